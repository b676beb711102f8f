"""The functions as they are now, for databases that were made with earlier ones."""

from django.db import migrations

from config.lib.sql import run_sql

#: The files in `points/sql/` hold the newest text and replace what is there. Whoever changes one adds a migration like
#: this one with the new digest, or the databases there are would keep the old text; a test compares.
DIGEST = "b0a4c5f6a7782c3a46104490c874a90794cb8c0ab978659951ddb20ddf6f9dd9"


class Migration(migrations.Migration):
    dependencies = [("points", "0003_laws")]

    operations = [
        run_sql(__file__, "post.sql", "evaluate.sql", "award.sql", "refund.sql", "night.sql", "rights.sql", undo="")
    ]
