"""A password that staff give a member is good for choosing another one, and for nothing else."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("members", "0005_tier_history"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="member",
            options={
                "default_permissions": ("add", "change", "view"),
                "ordering": ("id",),
                "permissions": (
                    ("read_personal_data", "Can read personal data in the clear"),
                    ("give_password", "Can give members a password to sign in with"),
                    ("change_standing", "Can suspend, reinstate and close memberships"),
                    ("export_members", "Can take lists of members along as files"),
                ),
                "verbose_name": "member",
                "verbose_name_plural": "members",
            },
        ),
        migrations.AddField(
            model_name="user",
            name="must_change_password",
            field=models.BooleanField(
                db_default=False,
                default=False,
                editable=False,
                help_text="The password was given at a counter: nothing else is open before the member has chosen another.",
                verbose_name="must change the password",
            ),
        ),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.CheckConstraint(
                condition=models.Q(("must_change_password", False), ("member__isnull", False), _connector="OR"),
                name="user_must_change_is_of_member",
            ),
        ),
    ]
