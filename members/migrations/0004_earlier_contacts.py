"""What a member's contacts were stays with him, sealed like what they are."""

from django.db import migrations, models

import members.fields


class Migration(migrations.Migration):
    dependencies = [
        ("members", "0003_webhooks"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="member",
            name="member_forgotten_is_empty",
        ),
        migrations.AddField(
            model_name="member",
            name="earlier",
            field=members.fields.SealedTextField(max_length=50000, verbose_name="earlier contacts"),
        ),
        migrations.AddConstraint(
            model_name="member",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("data_key__isnull", False),
                    models.Q(
                        ("address__isnull", True),
                        ("birth_month__isnull", True),
                        ("birthday__isnull", True),
                        ("earlier__isnull", True),
                        ("email__isnull", True),
                        ("name__isnull", True),
                        ("phone__isnull", True),
                    ),
                    _connector="OR",
                ),
                name="member_forgotten_is_empty",
            ),
        ),
    ]
