"""What is not in the ledger is written into the outbox by triggers; endpoints begin with the present."""

from django.db import migrations

from config.lib.sql import run_sql


class Migration(migrations.Migration):
    dependencies = [
        ("members", "0003_webhooks"),
        ("points", "0004_functions_again"),
        ("rewards", "0003_orders"),
    ]

    operations = [run_sql(__file__, "webhooks.sql")]
