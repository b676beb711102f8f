"""Keys of client systems in a table of their own, so that two can work while one replaces the other."""

import django.db.models.deletion
import django.db.models.functions.datetime
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models

MOVE_KEYS = """
INSERT INTO members_clientkey (client_id, key_id, secret_hash, created_at, expires_at, last_used_on)
SELECT id, key_id, secret_hash, created_at, expires_at, last_used_on FROM members_client
"""
# Of each client the newest key that is in use, else the newest there was, which stays ended.
MOVE_KEYS_BACK = """
UPDATE members_client c
SET key_id = coalesce(k.key_id, 'none-' || c.id), secret_hash = coalesce(k.secret_hash, ''),
    expires_at = CASE WHEN k.state = 'ended' THEN k.ended_at ELSE k.expires_at END, last_used_on = k.last_used_on
FROM members_client o
LEFT JOIN LATERAL (
    SELECT * FROM members_clientkey e WHERE e.client_id = o.id ORDER BY e.state = 'ended', e.state, e.id DESC LIMIT 1
) k ON true
WHERE o.id = c.id
"""


class Migration(migrations.Migration):
    dependencies = [
        ("members", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="ClientKey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key_id", models.CharField(max_length=16, unique=True, verbose_name="key id")),
                ("secret_hash", models.BinaryField(verbose_name="secret hash")),
                (
                    "state",
                    models.CharField(
                        choices=[("current", "in use"), ("retiring", "being replaced"), ("ended", "ended")],
                        db_default="current",
                        default="current",
                        max_length=10,
                        verbose_name="state",
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="created"),
                ),
                ("expires_at", models.DateTimeField(blank=True, null=True, verbose_name="expires")),
                ("ended_at", models.DateTimeField(blank=True, null=True, verbose_name="ended")),
                ("last_used_on", models.DateField(blank=True, null=True, verbose_name="last used on")),
                (
                    "client",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="keys",
                        to="members.client",
                        verbose_name="client system",
                    ),
                ),
            ],
            options={
                "verbose_name": "key",
                "verbose_name_plural": "keys",
                "ordering": ("-id",),
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("state", "ended"), _negated=True),
                        fields=("client", "state"),
                        name="clientkey_two_at_most",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "retiring"), _negated=True),
                            ("expires_at__isnull", False),
                            _connector="OR",
                        ),
                        name="clientkey_replaced_has_end",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("ended_at__isnull", False), ("state", "ended")),
                            models.Q(models.Q(("state", "ended"), _negated=True), ("ended_at__isnull", True)),
                            _connector="OR",
                        ),
                        name="clientkey_end_is_dated",
                    ),
                ],
            },
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="clientkey",
            trigger=pgtrigger.compiler.Trigger(
                name="kept",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot delete rows from % table', TG_TABLE_NAME;",
                    hash="43b5be7fad8c2965fdbaf4e08aaa0a25077fe0dd",
                    operation="DELETE",
                    pgid="pgtrigger_kept_e91ff",
                    table="members_clientkey",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="clientkey",
            trigger=pgtrigger.compiler.Trigger(
                name="keeps_key",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."client_id" IS DISTINCT FROM (NEW."client_id") OR OLD."key_id" IS DISTINCT FROM (NEW."key_id") OR OLD."secret_hash" IS DISTINCT FROM (NEW."secret_hash") OR OLD."created_at" IS DISTINCT FROM (NEW."created_at"))',
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update rows from % table', TG_TABLE_NAME;",
                    hash="b295d394b92395618af0af911ed6a9e04e7a9112",
                    operation="UPDATE",
                    pgid="pgtrigger_keeps_key_5309c",
                    table="members_clientkey",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="clientkey",
            trigger=pgtrigger.compiler.Trigger(
                name="ends_for_good",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    declare="DECLARE _is_valid_transition BOOLEAN;",
                    func='SELECT CONCAT(OLD."state", \':\', NEW."state") = ANY(\'{current:retiring,current:ended,retiring:ended}\'::text[]) INTO _is_valid_transition; IF (_is_valid_transition IS FALSE AND OLD."state" IS DISTINCT FROM NEW."state") THEN RAISE EXCEPTION \'pgtrigger: Invalid transition of field "state" from "%" to "%" on table %\', OLD."state", NEW."state", TG_TABLE_NAME; ELSE RETURN NEW; END IF;',
                    hash="c33764fdfd06e4f40c70eaf6fd36c20bf7ba7f84",
                    operation="UPDATE",
                    pgid="pgtrigger_ends_for_good_15f09",
                    table="members_clientkey",
                    when="BEFORE",
                ),
            ),
        ),
        # Room for clients without a key: only the way back passes through it.
        migrations.AlterField("client", "key_id", models.CharField(max_length=16, null=True, unique=True)),
        migrations.AlterField("client", "secret_hash", models.BinaryField(null=True)),
        migrations.RunSQL(MOVE_KEYS, MOVE_KEYS_BACK),
        migrations.RemoveField(
            model_name="client",
            name="expires_at",
        ),
        migrations.RemoveField(
            model_name="client",
            name="key_id",
        ),
        migrations.RemoveField(
            model_name="client",
            name="last_used_on",
        ),
        migrations.RemoveField(
            model_name="client",
            name="secret_hash",
        ),
    ]
