"""Referral programmes and verdicts on invitations; refunds that say why and make up for what earlier ones left."""

import django.contrib.postgres.constraints
import django.contrib.postgres.fields.ranges
import django.db.models.deletion
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models

from config.lib.sql import run_sql

#: The functions as they are now; see 0004_functions_again.
DIGEST = "a058522411abcf56630bacaadfaa888a66207da62743b9bb6ce97fe064dceaa8"

#: A function is known by its arguments: with one more it is another one, and the old one would stay beside it.
OLD_REFUND = "points_refund(bigint, bigint, bigint, jsonb, text, text, bytea, timestamptz, text, timestamptz, text, timestamptz)"

#: Invitations were rewarded before there were verdicts: without one they would be judged, and perhaps held, a second time.
PAID_BEFORE = """
    INSERT INTO points_referral (member_id, friend_id, status, happened_at, recorded_at)
    SELECT e.member_id, f.id, 'rewarded', e.occurred_at, e.recorded_at
    FROM points_reference r
    JOIN points_event e ON e.id = r.target AND e.member_id = r.member_id AND e.type = 'referral'
    JOIN members_member f ON f.number = substr(r.reference, 8) AND f.referred_by_id = e.member_id
    WHERE r.source = 'referral' AND r.operation = 'event' AND r.reference LIKE 'friend-%'
    ORDER BY e.id
"""


class Migration(migrations.Migration):
    dependencies = [
        ("members", "0001_initial"),
        ("points", "0005_orders"),
    ]

    operations = [
        migrations.RunSQL(f"DROP FUNCTION IF EXISTS {OLD_REFUND}", migrations.RunSQL.noop),
        run_sql(__file__, "post.sql", "evaluate.sql", "award.sql", "refund.sql", "night.sql", "rights.sql", undo=""),
        migrations.CreateModel(
            name="ReferralProgramme",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=100, verbose_name="name")),
                ("name_en", models.CharField(max_length=100, null=True, verbose_name="name")),
                ("name_zh_hans", models.CharField(max_length=100, null=True, verbose_name="name")),
                (
                    "valid_from",
                    models.DateTimeField(help_text="For friends who join from then on.", verbose_name="valid from"),
                ),
                (
                    "valid_until",
                    models.DateTimeField(
                        blank=True,
                        help_text="The first moment it no longer holds; empty: no end.",
                        null=True,
                        verbose_name="valid until",
                    ),
                ),
                (
                    "converts_on",
                    models.CharField(
                        choices=[
                            ("enrolment", "The friend joins"),
                            ("purchase", "The friend makes a first purchase"),
                            ("attendance", "The friend takes part in an event"),
                        ],
                        db_default="purchase",
                        default="purchase",
                        max_length=10,
                        verbose_name="condition",
                    ),
                ),
                (
                    "amount_from_minor",
                    models.PositiveBigIntegerField(
                        db_default=1,
                        default=1,
                        help_text="What is left of it after refunds.",
                        verbose_name="purchase of at least (minor units)",
                    ),
                ),
                (
                    "currency",
                    models.CharField(
                        blank=True,
                        db_default="",
                        default="",
                        help_text="Empty: any.",
                        max_length=3,
                        verbose_name="currency",
                    ),
                ),
                (
                    "within_days",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        help_text="Empty: at any time.",
                        null=True,
                        verbose_name="within so many days of joining",
                    ),
                ),
                (
                    "wait_days",
                    models.PositiveSmallIntegerField(
                        db_default=0,
                        default=0,
                        help_text="So long after it the reward comes, if the purchase has not been returned by then; 0: at once.",
                        verbose_name="days to wait",
                    ),
                ),
                (
                    "cap",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Of one referrer in a period; empty: no limit.",
                        null=True,
                        verbose_name="most rewarded friends",
                    ),
                ),
                (
                    "cap_period",
                    models.CharField(
                        choices=[("day", "Day"), ("month", "Month"), ("lifetime", "Lifetime")],
                        db_default="month",
                        default="month",
                        max_length=8,
                        verbose_name="period of the limit",
                    ),
                ),
                (
                    "device_limit",
                    models.PositiveSmallIntegerField(
                        db_default=3,
                        default=3,
                        help_text="If more join from one device in that time, or with one code at any time, somebody looks at them.",
                        verbose_name="friends from one device",
                    ),
                ),
                (
                    "device_hours",
                    models.PositiveSmallIntegerField(db_default=24, default=24, verbose_name="hours for the device"),
                ),
            ],
            options={
                "verbose_name": "referral programme",
                "verbose_name_plural": "referral programmes",
                "ordering": ("-valid_from",),
                "default_permissions": ("add", "change", "view"),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("valid_until__isnull", True), ("valid_until__gt", models.F("valid_from")), _connector="OR"
                        ),
                        name="referralprogramme_period_ordered",
                        violation_error_message="The period must end after it begins.",
                    ),
                    django.contrib.postgres.constraints.ExclusionConstraint(
                        expressions=[
                            (
                                models.Func(
                                    "valid_from",
                                    "valid_until",
                                    function="tstzrange",
                                    output_field=django.contrib.postgres.fields.ranges.DateTimeRangeField(),
                                ),
                                "&&",
                            )
                        ],
                        name="referralprogramme_one_at_a_time",
                        violation_error_message="Another referral programme holds in that period.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("converts_on__in", ["enrolment", "purchase", "attendance"])),
                        name="referralprogramme_condition_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("cap__isnull", True), ("cap__gt", 0), _connector="OR"),
                        name="referralprogramme_cap_whole",
                        violation_error_message="A limit is at least 1; leave it empty for none.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("cap_period__in", ["day", "month", "lifetime"])),
                        name="referralprogramme_cap_period_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("within_days__isnull", True), ("within_days__gt", 0), _connector="OR"),
                        name="referralprogramme_within_whole",
                        violation_error_message="The days are at least 1; leave them empty for any time.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("device_hours__range", (1, 720)), ("device_limit__gt", 0)),
                        name="referralprogramme_device_counted",
                        violation_error_message="At least one friend from one device, in 1 to 720 hours.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("currency", ""), ("currency__regex", "^[A-Z]{3}$"), _connector="OR"),
                        name="referralprogramme_currency_code",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Referral",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("rewarded", "Rewarded"),
                            ("unpaid", "Without points"),
                            ("capped", "Over the limit"),
                            ("open", "In quarantine"),
                            ("released", "Released"),
                            ("rejected", "Rejected"),
                        ],
                        max_length=8,
                        verbose_name="status",
                    ),
                ),
                ("happened_at", models.DateTimeField(verbose_name="condition met")),
                ("recorded_at", models.DateTimeField(verbose_name="recorded at")),
                (
                    "evidence",
                    models.JSONField(
                        db_default=models.Value([], models.JSONField()),
                        default=list,
                        help_text="A list of {kind, members}.",
                        verbose_name="evidence",
                    ),
                ),
                (
                    "enrolled_by",
                    models.CharField(
                        blank=True, db_default="", default="", max_length=160, verbose_name="friend enrolled by"
                    ),
                ),
                (
                    "decided_by",
                    models.CharField(blank=True, db_default="", default="", max_length=160, verbose_name="decided by"),
                ),
                ("decided_at", models.DateTimeField(blank=True, null=True, verbose_name="decided at")),
                (
                    "reason",
                    models.CharField(blank=True, db_default="", default="", max_length=500, verbose_name="reason"),
                ),
                (
                    "friend",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="members.member",
                        verbose_name="friend",
                    ),
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
                    "programme",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="points.referralprogramme",
                        verbose_name="referral programme",
                    ),
                ),
            ],
            options={
                "verbose_name": "referral",
                "verbose_name_plural": "referrals",
                "ordering": ("-id",),
                "permissions": (("decide_referral", "Can release and reject referrals in quarantine"),),
                "default_permissions": ("view",),
            },
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="referralprogramme",
            trigger=pgtrigger.compiler.Trigger(
                name="no_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot delete rows from % table', TG_TABLE_NAME;",
                    hash="4090ced11efe2b1a5aaa1cb363bebddf6fd8b54a",
                    operation="DELETE",
                    pgid="pgtrigger_no_delete_7a78c",
                    table="points_referralprogramme",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddIndex(
            model_name="referral",
            index=models.Index(condition=models.Q(("status", "open")), fields=["id"], name="referral_open"),
        ),
        migrations.AddConstraint(
            model_name="referral",
            constraint=models.UniqueConstraint(fields=("member", "friend"), name="referral_once"),
        ),
        migrations.AddConstraint(
            model_name="referral",
            constraint=models.CheckConstraint(
                condition=models.Q(("member", models.F("friend")), _negated=True), name="referral_of_another"
            ),
        ),
        migrations.AddConstraint(
            model_name="referral",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["rewarded", "unpaid", "capped", "open", "released", "rejected"])),
                name="referral_status_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="referral",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("decided_at__isnull", False),
                        ("status__in", ["released", "rejected"]),
                        models.Q(("decided_by", ""), _negated=True),
                        models.Q(("reason", ""), _negated=True),
                    ),
                    models.Q(
                        ("decided_at__isnull", True),
                        ("decided_by", ""),
                        ("reason", ""),
                        ("status__in", ["rewarded", "unpaid", "capped", "open"]),
                    ),
                    _connector="OR",
                ),
                name="referral_decided_whole",
            ),
        ),
        migrations.AddConstraint(
            model_name="referral",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("evidence", []), ("status__in", ["rewarded", "unpaid", "capped"])),
                    models.Q(
                        ("status__in", ["open", "released", "rejected"]), models.Q(("evidence", []), _negated=True)
                    ),
                    _connector="OR",
                ),
                name="referral_held_for_evidence",
            ),
        ),
        migrations.AddConstraint(
            model_name="referral",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("decided_by", ""),
                    models.Q(("decided_by", models.F("enrolled_by")), _negated=True),
                    _connector="OR",
                ),
                name="referral_four_eyes",
                violation_error_message="Whoever took the friend in does not decide.",
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="referral",
            trigger=pgtrigger.compiler.Trigger(
                name="keeps_member",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."member_id" IS DISTINCT FROM (NEW."member_id"))',
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update rows from % table', TG_TABLE_NAME;",
                    hash="3759fa13762dcb99a216a55b7a69e26befbe929f",
                    operation="UPDATE",
                    pgid="pgtrigger_keeps_member_ac800",
                    table="points_referral",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="referral",
            trigger=pgtrigger.compiler.Trigger(
                name="decided_once",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="\n                    IF TG_OP = 'INSERT' THEN\n                        IF NEW.status IN ('released', 'rejected') THEN RAISE EXCEPTION 'referral_begins: it is decided later' USING ERRCODE = 'restrict_violation', CONSTRAINT = 'referral_begins'; END IF;\n                    ELSE\n                        IF OLD.status <> 'open' THEN RAISE EXCEPTION 'referral_decided_once: the verdict stands' USING ERRCODE = 'restrict_violation', CONSTRAINT = 'referral_decided_once'; END IF;\n                        IF NEW.status = 'open' THEN RAISE EXCEPTION 'referral_decided_once: nothing else changes' USING ERRCODE = 'restrict_violation', CONSTRAINT = 'referral_decided_once'; END IF;\n                    END IF;\n                    RETURN NEW;\n                ",
                    hash="c465f7735a04c86da9753e0efa83b7109c6ef7e5",
                    operation="INSERT OR UPDATE",
                    pgid="pgtrigger_decided_once_094e1",
                    table="points_referral",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="referral",
            trigger=pgtrigger.compiler.Trigger(
                name="keeps_facts",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."friend_id" IS DISTINCT FROM (NEW."friend_id") OR OLD."programme_id" IS DISTINCT FROM (NEW."programme_id") OR OLD."happened_at" IS DISTINCT FROM (NEW."happened_at") OR OLD."recorded_at" IS DISTINCT FROM (NEW."recorded_at") OR OLD."evidence" IS DISTINCT FROM (NEW."evidence") OR OLD."enrolled_by" IS DISTINCT FROM (NEW."enrolled_by"))',
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update rows from % table', TG_TABLE_NAME;",
                    hash="701c3b57a5b10dd73ee58d6a20bd33cde09f5b0e",
                    operation="UPDATE",
                    pgid="pgtrigger_keeps_facts_38658",
                    table="points_referral",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="referral",
            trigger=pgtrigger.compiler.Trigger(
                name="no_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot delete rows from % table', TG_TABLE_NAME;",
                    hash="90a0ea1555fcc0a5f3b3701f9109351e4e0917af",
                    operation="DELETE",
                    pgid="pgtrigger_no_delete_7d542",
                    table="points_referral",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.RunSQL(PAID_BEFORE, migrations.RunSQL.noop),
    ]
