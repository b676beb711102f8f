"""A coupon and a points entry are of one order, and its pieces leave a stock once: built beside the running shop."""

from django.db import migrations, models
from django.db.models.functions import Sign

_COUPON = """
CREATE UNIQUE INDEX CONCURRENTLY redemption_coupon_once ON rewards_redemption (member_id, coupon_id)
WHERE coupon_id IS NOT NULL
"""
_ENTRY = "CREATE UNIQUE INDEX CONCURRENTLY redemption_entry_once ON rewards_redemption (member_id, entry_id)"
_ENTRY_LAW = """
ALTER TABLE rewards_redemption ADD CONSTRAINT redemption_entry_once UNIQUE USING INDEX redemption_entry_once
"""
_MOVEMENT = """
CREATE UNIQUE INDEX CONCURRENTLY stockmovement_once ON rewards_stockmovement (reference, sign(pieces))
WHERE NOT (reference = '')
"""


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("rewards", "0004_webhooks")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(_COUPON, "DROP INDEX redemption_coupon_once"),
                migrations.RunSQL(_ENTRY, migrations.RunSQL.noop),
                migrations.RunSQL(_ENTRY_LAW, "ALTER TABLE rewards_redemption DROP CONSTRAINT redemption_entry_once"),
                migrations.RunSQL(_MOVEMENT, "DROP INDEX stockmovement_once"),
            ],
            state_operations=[
                migrations.AddConstraint(
                    "redemption",
                    models.UniqueConstraint(
                        fields=("member", "coupon"),
                        condition=models.Q(("coupon__isnull", False)),
                        name="redemption_coupon_once",
                    ),
                ),
                migrations.AddConstraint(
                    "redemption",
                    models.UniqueConstraint(fields=("member", "entry_id"), name="redemption_entry_once"),
                ),
                migrations.AddConstraint(
                    "stockmovement",
                    models.UniqueConstraint(
                        models.F("reference"),
                        Sign("pieces"),
                        condition=models.Q(("reference", ""), _negated=True),
                        name="stockmovement_once",
                    ),
                ),
            ],
        ),
    ]
