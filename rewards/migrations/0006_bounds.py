"""Prices that can be paid, days that end within a hundred years, and a service that was written off by mistake."""

import django.core.validators
import pgtrigger.compiler
import pgtrigger.migrations
from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models

# What nobody could pay or live to see is brought to the bound: no reward could be had by it anyway.
_CLAMP = """
UPDATE rewards_reward SET
    points = least(points, 1000000000000),
    money_minor = CASE WHEN money_minor > 1000000000000 THEN 1000000000000 ELSE money_minor END,
    coupon_valid_days = CASE WHEN coupon_valid_days > 36500 THEN 36500 ELSE coupon_valid_days END,
    points_by_tier = (
        SELECT coalesce(jsonb_object_agg(key, least(value::text::numeric, 1000000000000)), '{}')
        FROM jsonb_each(points_by_tier)
    )
WHERE points > 1000000000000 OR money_minor > 1000000000000 OR coupon_valid_days > 36500
    OR jsonb_path_exists(points_by_tier, '$.* ? (@ > 1000000000000)')
"""


class Migration(migrations.Migration):
    dependencies = [
        ("members", "0004_earlier_contacts"),
        ("rewards", "0005_once"),
    ]

    operations = [
        migrations.RunSQL(_CLAMP, migrations.RunSQL.noop),
        pgtrigger.migrations.RemoveTrigger(
            model_name="redemption",
            name="keeps_history",
        ),
        migrations.AlterField(
            model_name="coupon",
            name="valid_days",
            field=models.PositiveIntegerField(
                blank=True,
                help_text="Counted from the day a member gets it, or from its first day if later; it never outlives the end above.",
                null=True,
                validators=[django.core.validators.MaxValueValidator(36500)],
                verbose_name="days of validity",
            ),
        ),
        migrations.AlterField(
            model_name="couponbatch",
            name="valid_days",
            field=models.PositiveIntegerField(
                blank=True,
                help_text="Counted from the day a member gets it, or from its first day if later; it never outlives the end above.",
                null=True,
                validators=[django.core.validators.MaxValueValidator(36500)],
                verbose_name="days of validity",
            ),
        ),
        migrations.AlterField(
            model_name="reward",
            name="coupon_valid_days",
            field=models.PositiveIntegerField(
                blank=True,
                help_text="Counted from the issue. Empty: no end.",
                null=True,
                validators=[django.core.validators.MaxValueValidator(36500)],
                verbose_name="coupon: days of validity",
            ),
        ),
        migrations.AlterField(
            model_name="reward",
            name="money_minor",
            field=models.PositiveBigIntegerField(
                blank=True,
                help_text="What a piece costs besides the points. Empty: points alone.",
                null=True,
                validators=[django.core.validators.MaxValueValidator(1000000000000)],
                verbose_name="price in money (minor units)",
            ),
        ),
        migrations.AlterField(
            model_name="reward",
            name="points",
            field=models.PositiveBigIntegerField(
                validators=[django.core.validators.MaxValueValidator(1000000000000)], verbose_name="price in points"
            ),
        ),
        migrations.AlterField(
            model_name="rewardhistory",
            name="coupon_valid_days",
            field=models.PositiveIntegerField(
                blank=True,
                help_text="Counted from the issue. Empty: no end.",
                null=True,
                validators=[django.core.validators.MaxValueValidator(36500)],
                verbose_name="coupon: days of validity",
            ),
        ),
        migrations.AlterField(
            model_name="rewardhistory",
            name="money_minor",
            field=models.PositiveBigIntegerField(
                blank=True,
                help_text="What a piece costs besides the points. Empty: points alone.",
                null=True,
                validators=[django.core.validators.MaxValueValidator(1000000000000)],
                verbose_name="price in money (minor units)",
            ),
        ),
        migrations.AlterField(
            model_name="rewardhistory",
            name="points",
            field=models.PositiveBigIntegerField(
                validators=[django.core.validators.MaxValueValidator(1000000000000)], verbose_name="price in points"
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="redemption",
            trigger=pgtrigger.compiler.Trigger(
                name="keeps_history",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="\n            IF TG_OP = 'UPDATE' AND NEW.state IS NOT DISTINCT FROM OLD.state AND NEW.paid_at IS NOT DISTINCT FROM OLD.paid_at AND NEW.booked_for IS NOT DISTINCT FROM OLD.booked_for AND NEW.booked_place IS NOT DISTINCT FROM OLD.booked_place THEN\n                NEW.change := NULL;\n                RETURN NEW;\n            END IF;\n            \n        IF TG_OP = 'INSERT' AND NOT ((NEW.kind, NEW.state) IN (('gift', 'placed'), ('service', 'ready'), ('service', 'placed'), ('coupon', 'completed')) AND NEW.paid_at IS NULL\n        AND (NEW.kind <> 'service' OR (NEW.state = 'placed') = (NEW.money_minor IS NOT NULL))) THEN\n            RAISE EXCEPTION 'redemption_transition: a % does not begin as %', TG_TABLE_NAME, NEW.state USING ERRCODE = 'restrict_violation', CONSTRAINT = 'redemption_transition';\n        ELSIF TG_OP = 'UPDATE' AND NOT (NEW.state = OLD.state OR (NEW.kind, OLD.state, NEW.state) IN (('gift', 'placed', 'approved'), ('gift', 'placed', 'cancelled'), ('gift', 'approved', 'shipped'), ('gift', 'approved', 'ready'), ('gift', 'approved', 'cancelled'), ('gift', 'ready', 'completed'), ('gift', 'ready', 'cancelled'), ('gift', 'shipped', 'completed'), ('gift', 'shipped', 'returned'), ('gift', 'completed', 'returned'), ('service', 'placed', 'ready'), ('service', 'placed', 'cancelled'), ('service', 'ready', 'completed'), ('service', 'ready', 'cancelled'), ('service', 'ready', 'no_show'), ('service', 'no_show', 'returned'), ('service', 'completed', 'returned'), ('coupon', 'completed', 'cancelled'))) THEN\n            RAISE EXCEPTION 'redemption_transition: from % to % is refused', OLD.state, NEW.state USING ERRCODE = 'restrict_violation', CONSTRAINT = 'redemption_transition';\n        END IF;\n    \n    IF TG_OP = 'UPDATE' AND NEW.paid_at IS DISTINCT FROM OLD.paid_at\n        AND (OLD.paid_at IS NOT NULL OR OLD.state <> 'placed') THEN\n        RAISE EXCEPTION 'redemption_paid_once: an order is paid once, while it is placed' USING ERRCODE = 'restrict_violation', CONSTRAINT = 'redemption_paid_once';\n    ELSIF TG_OP = 'UPDATE' AND (NEW.booked_for, NEW.booked_place) IS DISTINCT FROM (OLD.booked_for, OLD.booked_place)\n        AND OLD.state NOT IN ('placed', 'ready') THEN\n        RAISE EXCEPTION 'redemption_booking_while_open: the booking of what is % stays', OLD.state USING ERRCODE = 'restrict_violation', CONSTRAINT = 'redemption_booking_while_open';\n    ELSIF TG_OP = 'UPDATE' AND NEW.kind = 'service' AND OLD.state <> NEW.state AND NEW.state = 'returned'\n        AND coalesce(NEW.change ->> 'reason', '') = '' THEN\n        RAISE EXCEPTION 'redemption_excuse_has_reason: the points of a service come back for a reason only' USING ERRCODE = 'restrict_violation', CONSTRAINT = 'redemption_excuse_has_reason';\n    END IF;\n\n            IF coalesce(NEW.change ->> 'actor', '') = '' OR NEW.change ->> 'at' IS NULL THEN\n                RAISE EXCEPTION 'redemption_change_names_actor: % on % must say who and when in its column change', TG_OP, TG_TABLE_NAME USING ERRCODE = 'restrict_violation', CONSTRAINT = 'redemption_change_names_actor';\n            END IF;\n            INSERT INTO rewards_redemptionchange (member_id, redemption_id, from_state, to_state, topic, booked_for, booked_place, source, reference, actor, reason, at) VALUES (NEW.member_id, NEW.id, coalesce(OLD.state, ''), NEW.state, CASE WHEN TG_OP = 'INSERT' THEN 'state'\n                        WHEN NEW.paid_at IS DISTINCT FROM OLD.paid_at THEN 'payment'\n                        WHEN NEW.state = OLD.state THEN 'booking' ELSE 'state' END, NEW.booked_for, NEW.booked_place, coalesce(NEW.change ->> 'source', ''), coalesce(NEW.change ->> 'reference', ''), NEW.change ->> 'actor', coalesce(NEW.change ->> 'reason', ''), (NEW.change ->> 'at')::timestamptz);\n            IF TG_OP = 'INSERT' OR NEW.state <> OLD.state THEN\n                    NEW.changed_at := (NEW.change ->> 'at')::timestamptz;\n                END IF;\n            NEW.change := NULL;\n            RETURN NEW;\n        ",
                    hash="ff09b2e2e637be64634a916cabdc69324c39d4ca",
                    operation="INSERT OR UPDATE",
                    pgid="pgtrigger_keeps_history_5db6e",
                    table="rewards_redemption",
                    when="BEFORE",
                ),
            ),
        ),
        # Checked for the coupons there are by the next migration, which stops nobody from writing.
        AddConstraintNotValid(
            model_name="coupon",
            constraint=models.CheckConstraint(
                condition=models.Q(("valid_days__isnull", True), ("valid_days__lte", 36500), _connector="OR"),
                name="coupon_days_in_range",
                violation_error_message="A coupon is good for at most 36,500 days.",
            ),
        ),
        migrations.AddConstraint(
            model_name="couponbatch",
            constraint=models.CheckConstraint(
                condition=models.Q(("valid_days__isnull", True), ("valid_days__lte", 36500), _connector="OR"),
                name="couponbatch_days_in_range",
                violation_error_message="A coupon is good for at most 36,500 days.",
            ),
        ),
        migrations.AddConstraint(
            model_name="reward",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("points__lte", 1000000000000),
                    models.Q(("money_minor__isnull", True), ("money_minor__lte", 1000000000000), _connector="OR"),
                    models.Q(
                        models.Func(
                            models.F("points_by_tier"),
                            output_field=models.BooleanField(),
                            template="(jsonb_path_exists(%(expressions)s, '$.* ? (@ > 1000000000000)'))",
                        ),
                        _negated=True,
                    ),
                ),
                name="reward_prices_in_range",
                violation_error_message="A price is at most 1,000,000,000,000.",
            ),
        ),
        migrations.AddConstraint(
            model_name="reward",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("coupon_valid_days__isnull", True), ("coupon_valid_days__lte", 36500), _connector="OR"
                ),
                name="reward_days_in_range",
                violation_error_message="A coupon is good for at most 36,500 days.",
            ),
        ),
    ]
