"""The law of movements as one short expression, and the functions that ask the database for less per event."""

import django.db.models.lookups
from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models

from config.lib.sql import run_sql

#: The functions as they are now; see 0004_functions_again.
DIGEST = "597f250b6f0f1838a68e6984a7348e3738190a632f50afa1cb3f9404648adf4a"


class Migration(migrations.Migration):
    dependencies = [
        ("members", "0004_earlier_contacts"),
        ("points", "0006_referral"),
    ]

    operations = [
        run_sql(__file__, "post.sql", "evaluate.sql", "award.sql", "refund.sql", "night.sql", "rights.sql", undo=""),
        migrations.RemoveConstraint(model_name="entry", name="entry_movement"),
        # Checked for the rows there are by the next migration, which stops nobody from writing.
        AddConstraintNotValid(
            model_name="entry",
            constraint=models.CheckConstraint(
                condition=django.db.models.lookups.In(
                    models.Func(
                        "kind",
                        models.Value(" "),
                        "from_account",
                        models.Value(" "),
                        "to_account",
                        arg_joiner=" || ",
                        output_field=models.TextField(),
                        template="(%(expressions)s)",
                    ),
                    [
                        "accrual issued available",
                        "accrual issued pending",
                        "maturity pending available",
                        "hold available held",
                        "release held available",
                        "redemption available redeemed",
                        "redemption held redeemed",
                        "restoration redeemed available",
                        "expiry available expired",
                        "reinstatement expired available",
                        "clawback pending issued",
                        "clawback available issued",
                        "clawback owed issued",
                        "settlement available owed",
                        "adjustment issued available",
                        "adjustment available issued",
                        "transfer available transfer",
                        "transfer transfer available",
                    ],
                ),
                name="entry_movement",
            ),
        ),
    ]
