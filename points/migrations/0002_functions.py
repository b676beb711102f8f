"""The functions that write and decide, and the guard that lets nobody else write."""

from django.db import migrations

from config.lib.sql import run_sql


class Migration(migrations.Migration):
    dependencies = [("points", "0001_initial")]

    operations = [
        run_sql(
            __file__,
            "types.sql",
            "post.sql",
            "evaluate.sql",
            "award.sql",
            "refund.sql",
            "night.sql",
            "guard.sql",
            "rights.sql",
        )
    ]
