"""The functions that award may read which tier a member was in when something happened."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("members", "0005_tier_history"),
        ("points", "0009_hold_states"),
    ]

    operations = [
        migrations.RunSQL(
            "GRANT SELECT ON members_tierchange TO laurel_ledger",
            "REVOKE SELECT ON members_tierchange FROM laurel_ledger",
        ),
    ]
