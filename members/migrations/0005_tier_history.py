"""The tiers a member was in, and from when each holds."""

import django.db.models.deletion
import django.db.models.functions.datetime
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models

from config.lib.sql import run_sql


class Migration(migrations.Migration):
    dependencies = [
        ("members", "0004_earlier_contacts"),
    ]

    operations = [
        migrations.CreateModel(
            name="TierChange",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("since", models.DateTimeField(verbose_name="holds from")),
                (
                    "recorded_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name="recorded"
                    ),
                ),
                (
                    "actor",
                    models.CharField(blank=True, db_default="", default="", max_length=160, verbose_name="actor"),
                ),
                (
                    "member",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="%(class)s_set",
                        to="members.member",
                        verbose_name="member",
                    ),
                ),
                (
                    "tier",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="members.tier",
                        verbose_name="tier",
                    ),
                ),
            ],
            options={
                "verbose_name": "tier change",
                "verbose_name_plural": "tier changes",
                "ordering": ("-id",),
                "default_permissions": ("view",),
                "indexes": [models.Index(fields=["member", "id"], name="tierchange_member")],
            },
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="tierchange",
            trigger=pgtrigger.compiler.Trigger(
                name="append_only",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="136f9f316f0515f63a09fa276226d184f7c16072",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_append_only_e6ed5",
                    table="members_tierchange",
                    when="BEFORE",
                ),
            ),
        ),
        # From here on nobody enrols or changes a tier until this is committed, so that none is missed.
        run_sql(__file__, "tier_history.sql"),
    ]
