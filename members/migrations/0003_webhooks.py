"""Where client systems are told what happened, and what they were told."""

import uuid

import django.contrib.postgres.fields
import django.contrib.postgres.functions
import django.db.models.deletion
import django.db.models.functions.datetime
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models

from config.lib.sql import run_sql


class Migration(migrations.Migration):
    dependencies = [
        ("members", "0002_client_keys"),
    ]

    operations = [
        migrations.CreateModel(
            name="WebhookEndpoint",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=100, verbose_name="name")),
                ("url", models.CharField(max_length=500, verbose_name="address")),
                (
                    "types",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(
                            choices=[
                                ("points.accrued", "Points earned"),
                                ("points.redeemed", "Points redeemed"),
                                ("points.expired", "Points expired"),
                                ("points.expiring", "Points about to expire"),
                                ("tier.changed", "Tier changed"),
                                ("redemption.placed", "Order placed"),
                                ("redemption.completed", "Order completed"),
                                ("coupon.redeemed", "Coupon used"),
                                ("member.enrolled", "Member enrolled"),
                                ("member.closed", "Membership closed"),
                            ],
                            max_length=30,
                        ),
                        verbose_name="told of",
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("active", "Active"),
                            ("disabled", "Disabled"),
                            ("failed", "Stopped after failing for days"),
                            ("gone", "Stopped: the receiver answered 410 Gone"),
                        ],
                        db_default="active",
                        default="active",
                        max_length=8,
                        verbose_name="status",
                    ),
                ),
                ("secret", models.BinaryField(verbose_name="secret")),
                ("previous_secret", models.BinaryField(null=True, verbose_name="previous secret")),
                (
                    "previous_until",
                    models.DateTimeField(blank=True, null=True, verbose_name="previous secret good until"),
                ),
                (
                    "entries_read",
                    models.BigIntegerField(db_default=0, default=0, editable=False, verbose_name="told up to entry"),
                ),
                ("fence_entry", models.BigIntegerField(db_default=0, default=0, editable=False)),
                (
                    "fence_writers",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=40), db_default=[], default=list, editable=False
                    ),
                ),
                ("expiring_told_on", models.DateField(editable=False, verbose_name="told of expiring points on")),
                (
                    "failures",
                    models.PositiveIntegerField(
                        db_default=0, default=0, editable=False, verbose_name="failures in a row"
                    ),
                ),
                (
                    "failing_since",
                    models.DateTimeField(blank=True, editable=False, null=True, verbose_name="failing since"),
                ),
                (
                    "rests_until",
                    models.DateTimeField(blank=True, editable=False, null=True, verbose_name="rests until"),
                ),
                ("sending_until", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name="created"
                    ),
                ),
                (
                    "client",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="webhook_endpoints",
                        to="members.client",
                        verbose_name="client system",
                    ),
                ),
            ],
            options={
                "verbose_name": "webhook endpoint",
                "verbose_name_plural": "webhook endpoints",
                "ordering": ("id",),
                "default_permissions": ("add", "change", "view"),
            },
        ),
        migrations.CreateModel(
            name="WebhookDelivery",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "key",
                    models.UUIDField(
                        db_default=django.contrib.postgres.functions.RandomUUID(),
                        default=uuid.uuid4,
                        editable=False,
                        verbose_name="message id",
                    ),
                ),
                (
                    "type",
                    models.CharField(
                        choices=[
                            ("points.accrued", "Points earned"),
                            ("points.redeemed", "Points redeemed"),
                            ("points.expired", "Points expired"),
                            ("points.expiring", "Points about to expire"),
                            ("tier.changed", "Tier changed"),
                            ("redemption.placed", "Order placed"),
                            ("redemption.completed", "Order completed"),
                            ("coupon.redeemed", "Coupon used"),
                            ("member.enrolled", "Member enrolled"),
                            ("member.closed", "Membership closed"),
                            ("webhook.test", "Test"),
                        ],
                        max_length=30,
                        verbose_name="kind",
                    ),
                ),
                ("data", models.JSONField(verbose_name="data")),
                ("at", models.DateTimeField(verbose_name="time")),
                ("place", models.BigIntegerField(db_default=0, default=0, verbose_name="place")),
                ("entry_id", models.BigIntegerField(blank=True, null=True, verbose_name="entry")),
                (
                    "state",
                    models.CharField(
                        choices=[("waiting", "Waiting"), ("delivered", "Delivered"), ("failed", "Given up")],
                        db_default="waiting",
                        default="waiting",
                        max_length=9,
                        verbose_name="status",
                    ),
                ),
                ("attempts", models.PositiveSmallIntegerField(db_default=0, default=0, verbose_name="attempts")),
                ("next_attempt_at", models.DateTimeField(verbose_name="next attempt")),
                ("attempted_at", models.DateTimeField(blank=True, null=True, verbose_name="last attempt")),
                ("answer_status", models.PositiveSmallIntegerField(blank=True, null=True, verbose_name="answer")),
                ("answer", models.TextField(blank=True, db_default="", default="", verbose_name="text of the answer")),
                ("finished_at", models.DateTimeField(blank=True, null=True, verbose_name="finished")),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name="created"
                    ),
                ),
                (
                    "member",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="webhook_deliveries",
                        to="members.member",
                        verbose_name="member",
                    ),
                ),
                (
                    "endpoint",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="deliveries",
                        to="members.webhookendpoint",
                        verbose_name="endpoint",
                    ),
                ),
            ],
            options={
                "verbose_name": "webhook delivery",
                "verbose_name_plural": "webhook deliveries",
                "ordering": ("-id",),
                "permissions": (("resend_webhookdelivery", "Can send webhook messages again"),),
                "default_permissions": ("view",),
            },
        ),
        migrations.AddConstraint(
            model_name="webhookendpoint",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "types__contained_by",
                        [
                            "points.accrued",
                            "points.redeemed",
                            "points.expired",
                            "points.expiring",
                            "tier.changed",
                            "redemption.placed",
                            "redemption.completed",
                            "coupon.redeemed",
                            "member.enrolled",
                            "member.closed",
                        ],
                    ),
                    ("types__len__gt", 0),
                ),
                name="webhookendpoint_types_known",
                violation_error_message="An endpoint wants at least one kind of event.",
            ),
        ),
        migrations.AddConstraint(
            model_name="webhookendpoint",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("url__startswith", "https://"),
                    ("url__regex", "^http://127\\.0\\.0\\.1([:/?]|$)"),
                    _connector="OR",
                ),
                name="webhookendpoint_url_secure",
                violation_error_message="The address must begin with https://.",
            ),
        ),
        migrations.AddConstraint(
            model_name="webhookendpoint",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["active", "disabled", "failed", "gone"])),
                name="webhookendpoint_status_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="webhookendpoint",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("previous_secret__isnull", True), ("previous_until__isnull", True)),
                    models.Q(("previous_secret__isnull", False), ("previous_until__isnull", False)),
                    _connector="OR",
                ),
                name="webhookendpoint_previous_secret_ends",
            ),
        ),
        migrations.AddConstraint(
            model_name="webhookendpoint",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("failing_since__isnull", True), ("failures", 0)),
                    models.Q(("failing_since__isnull", False), ("failures__gt", 0)),
                    _connector="OR",
                ),
                name="webhookendpoint_failing_since_first",
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="webhookendpoint",
            trigger=pgtrigger.compiler.Trigger(
                name="keeps_client",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."client_id" IS DISTINCT FROM (NEW."client_id"))',
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update rows from % table', TG_TABLE_NAME;",
                    hash="2e67fe5504934237ab73e4d5d2cec0f15fa9b9a9",
                    operation="UPDATE",
                    pgid="pgtrigger_keeps_client_0d050",
                    table="members_webhookendpoint",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="webhookendpoint",
            trigger=pgtrigger.compiler.Trigger(
                name="no_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot delete rows from % table', TG_TABLE_NAME;",
                    hash="24391cb0f56e7044e15794747b362cc1c923ef58",
                    operation="DELETE",
                    pgid="pgtrigger_no_delete_29046",
                    table="members_webhookendpoint",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(
                condition=models.Q(("state", "waiting")),
                fields=["endpoint", "next_attempt_at", "id"],
                name="webhookdelivery_due",
            ),
        ),
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(
                condition=models.Q(("state", "waiting")),
                fields=["endpoint", "member", "place", "id"],
                name="webhookdelivery_line",
            ),
        ),
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(condition=models.Q(("state", "failed")), fields=["-id"], name="webhookdelivery_failed"),
        ),
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(
                condition=models.Q(("member__isnull", False)), fields=["member", "-id"], name="webhookdelivery_member"
            ),
        ),
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(
                condition=models.Q(("finished_at__isnull", False)),
                fields=["finished_at"],
                name="webhookdelivery_finished",
            ),
        ),
        migrations.AddConstraint(
            model_name="webhookdelivery",
            constraint=models.UniqueConstraint(fields=("endpoint", "entry_id"), name="webhookdelivery_entry_once"),
        ),
        migrations.AddConstraint(
            model_name="webhookdelivery",
            constraint=models.UniqueConstraint(fields=("key",), name="webhookdelivery_key"),
        ),
        migrations.AddConstraint(
            model_name="webhookdelivery",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "type__in",
                        [
                            "points.accrued",
                            "points.redeemed",
                            "points.expired",
                            "points.expiring",
                            "tier.changed",
                            "redemption.placed",
                            "redemption.completed",
                            "coupon.redeemed",
                            "member.enrolled",
                            "member.closed",
                            "webhook.test",
                        ],
                    )
                ),
                name="webhookdelivery_type_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="webhookdelivery",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("finished_at__isnull", True), ("state", "waiting")),
                    models.Q(("finished_at__isnull", False), ("state__in", ["delivered", "failed"])),
                    _connector="OR",
                ),
                name="webhookdelivery_finished_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="webhookdelivery",
            constraint=models.CheckConstraint(
                condition=models.Q(("entry_id__isnull", True), ("place", models.F("entry_id")), _connector="OR"),
                name="webhookdelivery_place",
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="webhookdelivery",
            trigger=pgtrigger.compiler.Trigger(
                name="keeps_message",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."endpoint_id" IS DISTINCT FROM (NEW."endpoint_id") OR OLD."key" IS DISTINCT FROM (NEW."key") OR OLD."member_id" IS DISTINCT FROM (NEW."member_id") OR OLD."type" IS DISTINCT FROM (NEW."type") OR OLD."data" IS DISTINCT FROM (NEW."data") OR OLD."at" IS DISTINCT FROM (NEW."at") OR OLD."place" IS DISTINCT FROM (NEW."place") OR OLD."entry_id" IS DISTINCT FROM (NEW."entry_id"))',
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update rows from % table', TG_TABLE_NAME;",
                    hash="ce91d586cf60169b175cba121c2444df66f604d6",
                    operation="UPDATE",
                    pgid="pgtrigger_keeps_message_5f042",
                    table="members_webhookdelivery",
                    when="BEFORE",
                ),
            ),
        ),
        run_sql(__file__, "webhooks.sql"),
    ]
