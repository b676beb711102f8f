"""Coupons of many uses: their terms, uses and reservations as rows, wrong codes counted, batches given to many."""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.expressions
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models

#: Nothing reserved coupons before this, though the law let somebody do it by hand: no checkout keeps them, so they go
#: the one way back there was. Told while the old trigger writes the history.
_RESERVED = """
UPDATE rewards_coupon
SET state = 'rolled_back', change = jsonb_build_object('actor', 'system:upgrade', 'at', now()) WHERE state = 'reserved';
SET CONSTRAINTS ALL IMMEDIATE;
SET CONSTRAINTS ALL DEFERRED;
"""
#: A coupon that is used was used once, and a batch has the codes it has.
_COUNTS = """
UPDATE rewards_coupon SET used = 1 WHERE state = 'redeemed';
UPDATE rewards_couponbatch b SET made = made.codes
FROM (SELECT batch_id, count(*) AS codes FROM rewards_coupon GROUP BY batch_id) AS made WHERE made.batch_id = b.id;
"""
#: The uses there were, and their returns: each gives back the last use before it.
_USES = """
INSERT INTO rewards_couponuse (
    coupon_id, member_id, amount_minor, discount_minor, channel, bill, source, reference, actor, reason, at)
SELECT coupon_id, member_id, coalesce(amount_minor, discount_minor, 0), coalesce(discount_minor, 0), '', '', source,
    reference, actor, reason, at
FROM rewards_couponevent WHERE to_state = 'redeemed' ORDER BY id;
INSERT INTO rewards_couponuse (
    coupon_id, member_id, gives_back_id, amount_minor, discount_minor, channel, bill, source, reference, actor, reason,
    at)
SELECT back.coupon_id, back.member_id, given.id, given.amount_minor, given.discount_minor, '', '', back.source,
    back.reference, back.actor, back.reason, back.at
FROM (
    SELECT *, row_number() OVER (PARTITION BY coupon_id ORDER BY id) AS place
    FROM rewards_couponevent WHERE from_state = 'redeemed' AND to_state = 'rolled_back'
) AS back JOIN (
    SELECT *, row_number() OVER (PARTITION BY coupon_id ORDER BY id) AS place FROM rewards_couponuse
) AS given USING (coupon_id, place) ORDER BY back.id;
SET CONSTRAINTS ALL IMMEDIATE;
SET CONSTRAINTS ALL DEFERRED;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("members", "0001_initial"),
        ("rewards", "0001_initial"),
    ]

    operations = [
        migrations.RunSQL(_RESERVED, migrations.RunSQL.noop),
        migrations.CreateModel(
            name="CouponBill",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("source", models.CharField(max_length=64, verbose_name="source")),
                ("bill", models.CharField(max_length=100, verbose_name="bill")),
                ("uses", models.PositiveIntegerField(verbose_name="uses")),
                ("is_alone", models.BooleanField(verbose_name="alone")),
            ],
            options={
                "verbose_name": "bill with coupons",
                "verbose_name_plural": "bills with coupons",
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="CouponGiving",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "segment",
                    models.CharField(blank=True, db_default="", default="", max_length=64, verbose_name="segment"),
                ),
                (
                    "wanted",
                    models.PositiveIntegerField(
                        help_text="How many were meant when it was asked for.", verbose_name="members"
                    ),
                ),
                ("given", models.PositiveIntegerField(db_default=0, default=0, verbose_name="given")),
                ("last_member_id", models.BigIntegerField(db_default=0, default=0, verbose_name="come as far as")),
                (
                    "state",
                    models.CharField(
                        choices=[("running", "Running"), ("done", "Done"), ("short", "Out of codes")],
                        db_default="running",
                        default="running",
                        max_length=7,
                        verbose_name="status",
                    ),
                ),
                ("reason", models.CharField(max_length=500, verbose_name="reason")),
                ("created_by", models.CharField(max_length=160, verbose_name="created by")),
                ("created_at", models.DateTimeField(verbose_name="created at")),
            ],
            options={
                "verbose_name": "coupon giving",
                "verbose_name_plural": "coupon givings",
                "ordering": ("-id",),
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="CouponGuess",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("door", models.CharField(max_length=160, unique=True, verbose_name="door")),
                ("began_at", models.DateTimeField(db_index=True, verbose_name="since")),
                ("misses", models.PositiveIntegerField(verbose_name="wrong codes")),
            ],
            options={
                "verbose_name": "wrong codes",
                "verbose_name_plural": "wrong codes",
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="CouponReservation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("member_id", models.BigIntegerField(null=True, verbose_name="member")),
                (
                    "state",
                    models.CharField(
                        choices=[("held", "Reserved"), ("used", "Used"), ("released", "Released")],
                        max_length=8,
                        verbose_name="status",
                    ),
                ),
                ("expires_at", models.DateTimeField(verbose_name="until")),
                (
                    "channel",
                    models.CharField(blank=True, db_default="", default="", max_length=64, verbose_name="channel"),
                ),
                ("source", models.CharField(max_length=64, verbose_name="source")),
                ("reference", models.CharField(max_length=100, verbose_name="reference")),
                ("actor", models.CharField(max_length=160, verbose_name="actor")),
                ("at", models.DateTimeField(verbose_name="time")),
                (
                    "ended_by",
                    models.CharField(blank=True, db_default="", default="", max_length=160, verbose_name="ended by"),
                ),
                (
                    "ended_reason",
                    models.CharField(blank=True, db_default="", default="", max_length=500, verbose_name="reason"),
                ),
                ("ended_at", models.DateTimeField(null=True, verbose_name="ended at")),
            ],
            options={
                "verbose_name": "coupon reservation",
                "verbose_name_plural": "coupon reservations",
                "ordering": ("-id",),
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="CouponUse",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("member_id", models.BigIntegerField(null=True, verbose_name="member")),
                ("amount_minor", models.BigIntegerField(verbose_name="amount (minor units)")),
                ("discount_minor", models.BigIntegerField(verbose_name="discount (minor units)")),
                (
                    "channel",
                    models.CharField(blank=True, db_default="", default="", max_length=64, verbose_name="channel"),
                ),
                ("bill", models.CharField(blank=True, db_default="", default="", max_length=100, verbose_name="bill")),
                (
                    "source",
                    models.CharField(blank=True, db_default="", default="", max_length=64, verbose_name="source"),
                ),
                (
                    "reference",
                    models.CharField(blank=True, db_default="", default="", max_length=100, verbose_name="reference"),
                ),
                ("actor", models.CharField(max_length=160, verbose_name="actor")),
                (
                    "reason",
                    models.CharField(blank=True, db_default="", default="", max_length=500, verbose_name="reason"),
                ),
                ("at", models.DateTimeField(verbose_name="time")),
            ],
            options={
                "verbose_name": "coupon use",
                "verbose_name_plural": "coupon uses",
                "ordering": ("-id",),
                "default_permissions": ("view",),
            },
        ),
        migrations.AlterModelOptions(
            name="couponbatch",
            options={
                "ordering": ("-id",),
                "permissions": (("export_couponbatch", "Can take the codes of a batch along as a file"),),
                "verbose_name": "coupon batch",
                "verbose_name_plural": "coupon batches",
            },
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name="coupon",
            name="keeps_history",
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name="coupon",
            name="keeps_terms",
        ),
        migrations.RemoveConstraint(
            model_name="coupon",
            name="coupon_terms_whole",
        ),
        migrations.RemoveConstraint(
            model_name="coupon",
            name="coupon_code_checked",
        ),
        migrations.RemoveConstraint(
            model_name="couponbatch",
            name="couponbatch_terms_whole",
        ),
        migrations.RemoveConstraint(
            model_name="reward",
            name="reward_coupon_terms",
        ),
        migrations.AddField(
            model_name="coupon",
            name="channels",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=64),
                blank=True,
                db_default=[],
                default=list,
                help_text="Channels it can be used in, separated by commas. Empty: all.",
                verbose_name="channels",
            ),
        ),
        migrations.AddField(
            model_name="coupon",
            name="combinable",
            field=models.BooleanField(
                db_default=True,
                default=True,
                help_text="With other coupons on one bill.",
                verbose_name="can be combined",
            ),
        ),
        migrations.AddField(
            model_name="coupon",
            name="free_category",
            field=models.CharField(
                blank=True, db_default="", default="", max_length=100, verbose_name="free item of a category"
            ),
        ),
        migrations.AddField(
            model_name="coupon",
            name="free_sku",
            field=models.CharField(blank=True, db_default="", default="", max_length=100, verbose_name="free item"),
        ),
        migrations.AddField(
            model_name="coupon",
            name="held",
            field=models.PositiveIntegerField(db_default=0, default=0, editable=False, verbose_name="uses reserved"),
        ),
        migrations.AddField(
            model_name="coupon",
            name="is_outside",
            field=models.BooleanField(db_default=False, default=False, editable=False, verbose_name="from outside"),
        ),
        migrations.AddField(
            model_name="coupon",
            name="most_minor",
            field=models.PositiveBigIntegerField(
                blank=True,
                help_text="The most a percentage or a free item takes off.",
                null=True,
                verbose_name="at most (minor units)",
            ),
        ),
        migrations.AddField(
            model_name="coupon",
            name="used",
            field=models.PositiveIntegerField(db_default=0, default=0, editable=False, verbose_name="uses so far"),
        ),
        migrations.AddField(
            model_name="coupon",
            name="uses",
            field=models.PositiveIntegerField(db_default=1, default=1, verbose_name="uses of a code"),
        ),
        migrations.AddField(
            model_name="coupon",
            name="uses_per_member",
            field=models.PositiveIntegerField(
                blank=True, help_text="Empty: as many as the code has.", null=True, verbose_name="uses by one member"
            ),
        ),
        migrations.AddField(
            model_name="coupon",
            name="valid_days",
            field=models.PositiveIntegerField(
                blank=True,
                help_text="Counted from the day a member gets it; it never outlives the end above.",
                null=True,
                verbose_name="days of validity",
            ),
        ),
        migrations.AddField(
            model_name="couponbatch",
            name="channels",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=64),
                blank=True,
                db_default=[],
                default=list,
                help_text="Channels it can be used in, separated by commas. Empty: all.",
                verbose_name="channels",
            ),
        ),
        migrations.AddField(
            model_name="couponbatch",
            name="combinable",
            field=models.BooleanField(
                db_default=True,
                default=True,
                help_text="With other coupons on one bill.",
                verbose_name="can be combined",
            ),
        ),
        migrations.AddField(
            model_name="couponbatch",
            name="free_category",
            field=models.CharField(
                blank=True, db_default="", default="", max_length=100, verbose_name="free item of a category"
            ),
        ),
        migrations.AddField(
            model_name="couponbatch",
            name="free_sku",
            field=models.CharField(blank=True, db_default="", default="", max_length=100, verbose_name="free item"),
        ),
        migrations.AddField(
            model_name="couponbatch",
            name="made",
            field=models.PositiveIntegerField(db_default=0, default=0, editable=False, verbose_name="codes made"),
        ),
        migrations.AddField(
            model_name="couponbatch",
            name="most_minor",
            field=models.PositiveBigIntegerField(
                blank=True,
                help_text="The most a percentage or a free item takes off.",
                null=True,
                verbose_name="at most (minor units)",
            ),
        ),
        migrations.AddField(
            model_name="couponbatch",
            name="origin",
            field=models.CharField(
                choices=[("drawn", "Drawn by us"), ("outside", "From outside")],
                db_default="drawn",
                default="drawn",
                max_length=7,
                verbose_name="origin",
            ),
        ),
        migrations.AddField(
            model_name="couponbatch",
            name="uses",
            field=models.PositiveIntegerField(db_default=1, default=1, verbose_name="uses of a code"),
        ),
        migrations.AddField(
            model_name="couponbatch",
            name="uses_per_member",
            field=models.PositiveIntegerField(
                blank=True, help_text="Empty: as many as the code has.", null=True, verbose_name="uses by one member"
            ),
        ),
        migrations.AddField(
            model_name="couponbatch",
            name="valid_days",
            field=models.PositiveIntegerField(
                blank=True,
                help_text="Counted from the day a member gets it; it never outlives the end above.",
                null=True,
                verbose_name="days of validity",
            ),
        ),
        migrations.AddField(
            model_name="reward",
            name="coupon_batch",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                help_text="Its codes are given out under its terms, as long as there are any.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="rewards",
                to="rewards.couponbatch",
                verbose_name="coupon: from the batch",
            ),
        ),
        migrations.AlterField(
            model_name="coupon",
            name="code",
            field=models.CharField(
                db_default=models.Func(function="rewards_new_code", output_field=models.CharField()),
                editable=False,
                max_length=40,
                verbose_name="code",
            ),
        ),
        migrations.AlterField(
            model_name="couponkey",
            name="code",
            field=models.CharField(max_length=40, unique=True, verbose_name="code"),
        ),
        migrations.RunSQL(_COUNTS, migrations.RunSQL.noop),
        pgtrigger.migrations.AddTrigger(
            model_name="coupon",
            trigger=pgtrigger.compiler.Trigger(
                name="counts_uses",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    declare="DECLARE said jsonb := NEW.change; who bigint := coalesce(NEW.member_id, (NEW.change ->> 'member_id')::bigint);",
                    func="\n    IF NEW.used = OLD.used AND NEW.held = OLD.held THEN\n        RETURN NEW;\n    END IF;\n    IF (NEW.used - OLD.used, NEW.held - OLD.held) NOT IN ((1, 0), (-1, 0), (0, 1), (0, -1), (1, -1)) THEN\n        RAISE EXCEPTION 'coupon_one_use_at_a_time: coupon % is used, reserved or given back once at a time', OLD.id USING ERRCODE = 'restrict_violation', CONSTRAINT = 'coupon_one_use_at_a_time';\n    END IF;\n    IF coalesce(said ->> 'actor', '') = '' OR said ->> 'at' IS NULL THEN\n        RAISE EXCEPTION 'coupon_change_names_actor: a use of coupon % must say who and when in its column change', OLD.id USING ERRCODE = 'restrict_violation', CONSTRAINT = 'coupon_change_names_actor';\n    END IF;\n    IF NEW.used + NEW.held > OLD.used + OLD.held THEN\n        IF OLD.state NOT IN ('issued', 'assigned', 'rolled_back') THEN\n            RAISE EXCEPTION 'coupon_transition: a coupon that is % is not used', OLD.state USING ERRCODE = 'restrict_violation', CONSTRAINT = 'coupon_transition';\n        END IF;\n        IF (said ->> 'at')::timestamptz < NEW.valid_from OR (said ->> 'at')::timestamptz >= NEW.expires_at THEN\n            RAISE EXCEPTION 'coupon_in_its_time: coupon % is not good at this time', OLD.id USING ERRCODE = 'restrict_violation', CONSTRAINT = 'coupon_in_its_time';\n        END IF;\n        IF NEW.uses_per_member <= (\n            SELECT count(*) FROM rewards_couponuse u\n            WHERE u.coupon_id = NEW.id AND u.member_id = who AND u.gives_back_id IS NULL\n                AND NOT EXISTS (SELECT FROM rewards_couponuse r WHERE r.gives_back_id = u.id)\n        ) + (\n            SELECT count(*) FROM rewards_couponreservation r\n            WHERE r.coupon_id = NEW.id AND r.member_id = who AND r.state = 'held'\n        ) OR (NEW.uses_per_member IS NOT NULL AND who IS NULL) THEN\n            RAISE EXCEPTION 'coupon_member_uses: coupon % has no use left for this member', OLD.id USING ERRCODE = 'restrict_violation', CONSTRAINT = 'coupon_member_uses';\n        END IF;\n    END IF;\n    IF NEW.used > OLD.used OR NEW.held > OLD.held THEN\n        IF cardinality(NEW.channels) > 0 AND coalesce(said ->> 'channel', '') <> ALL (NEW.channels) THEN\n            RAISE EXCEPTION 'coupon_keeps_channels: coupon % is not for this channel', OLD.id USING ERRCODE = 'restrict_violation', CONSTRAINT = 'coupon_keeps_channels';\n        END IF;\n    END IF;\n    IF NEW.used > OLD.used THEN\n        IF (said ->> 'amount_minor')::bigint < NEW.minimum_minor THEN\n            RAISE EXCEPTION 'coupon_keeps_minimum: coupon % is not for so small a purchase', OLD.id USING ERRCODE = 'restrict_violation', CONSTRAINT = 'coupon_keeps_minimum';\n        END IF;\n        IF (said ->> 'discount_minor')::bigint > coalesce(NEW.value_minor, NEW.most_minor, 9223372036854775807)\n            OR NEW.percent * (said ->> 'amount_minor')::numeric < (said ->> 'discount_minor')::numeric * 100 THEN\n            RAISE EXCEPTION 'coupon_keeps_worth: coupon % does not take that much off', OLD.id USING ERRCODE = 'restrict_violation', CONSTRAINT = 'coupon_keeps_worth';\n        END IF;\n        INSERT INTO rewards_couponuse (\n            coupon_id, member_id, amount_minor, discount_minor, channel, bill, source, reference, actor, reason, at)\n        VALUES (\n            NEW.id, who, (said ->> 'amount_minor')::bigint, (said ->> 'discount_minor')::bigint,\n            coalesce(said ->> 'channel', ''), coalesce(said ->> 'bill', ''), coalesce(said ->> 'source', ''),\n            coalesce(said ->> 'reference', ''), said ->> 'actor', coalesce(said ->> 'reason', ''),\n            (said ->> 'at')::timestamptz);\n        IF coalesce(said ->> 'bill', '') <> '' THEN\n            INSERT INTO rewards_couponbill AS bill (source, bill, uses, is_alone)\n            VALUES (coalesce(said ->> 'source', ''), said ->> 'bill', 1, NOT NEW.combinable)\n            ON CONFLICT (source, bill) DO UPDATE\n                SET uses = bill.uses + 1, is_alone = bill.is_alone OR EXCLUDED.is_alone;\n        END IF;\n    ELSIF NEW.used < OLD.used THEN\n        INSERT INTO rewards_couponuse (\n            coupon_id, member_id, gives_back_id, amount_minor, discount_minor, channel, bill, source, reference, actor,\n            reason, at)\n        SELECT coupon_id, member_id, id, amount_minor, discount_minor, channel, bill, coalesce(said ->> 'source', ''),\n            coalesce(said ->> 'reference', ''), said ->> 'actor', coalesce(said ->> 'reason', ''),\n            (said ->> 'at')::timestamptz\n        FROM rewards_couponuse\n        WHERE id = (said ->> 'gives_back')::bigint AND coupon_id = NEW.id AND gives_back_id IS NULL;\n        IF NOT FOUND THEN\n            RAISE EXCEPTION 'coupon_use_unknown: coupon % has no such use to give back', OLD.id USING ERRCODE = 'restrict_violation', CONSTRAINT = 'coupon_use_unknown';\n        END IF;\n        UPDATE rewards_couponbill b SET uses = b.uses - 1, is_alone = false\n        FROM rewards_couponuse u\n        WHERE u.id = (said ->> 'gives_back')::bigint AND u.bill <> '' AND (b.source, b.bill) = (u.source, u.bill);\n    END IF;\n    IF NEW.held > OLD.held THEN\n        INSERT INTO rewards_couponreservation (\n            coupon_id, member_id, state, expires_at, channel, source, reference, actor, at)\n        VALUES (\n            NEW.id, who, 'held', (said ->> 'until')::timestamptz, coalesce(said ->> 'channel', ''),\n            coalesce(said ->> 'source', ''), coalesce(said ->> 'reference', ''), said ->> 'actor',\n            (said ->> 'at')::timestamptz);\n    ELSIF NEW.held < OLD.held THEN\n        UPDATE rewards_couponreservation\n        SET state = CASE WHEN NEW.used > OLD.used THEN 'used' ELSE 'released' END, ended_by = said ->> 'actor',\n            ended_reason = coalesce(said ->> 'reason', ''), ended_at = (said ->> 'at')::timestamptz\n        WHERE id = (said ->> 'reservation')::bigint AND coupon_id = NEW.id AND state = 'held';\n        IF NOT FOUND THEN\n            RAISE EXCEPTION 'coupon_reservation_unknown: coupon % has no such reservation', OLD.id USING ERRCODE = 'restrict_violation', CONSTRAINT = 'coupon_reservation_unknown';\n        END IF;\n    END IF;\n    NEW.state := CASE\n        WHEN NEW.used = NEW.uses THEN 'redeemed'\n        WHEN NEW.used + NEW.held = NEW.uses THEN 'reserved'\n        WHEN OLD.state = 'redeemed' THEN 'rolled_back'\n        WHEN OLD.state = 'reserved' AND NEW.member_id IS NULL THEN 'issued'\n        WHEN OLD.state = 'reserved' THEN 'assigned'\n        ELSE NEW.state END;\n    RETURN NEW;\n",
                    hash="983faa53993925c68cc7ca7fa6dcb1452b89df9d",
                    operation="UPDATE",
                    pgid="pgtrigger_counts_uses_a5c16",
                    table="rewards_coupon",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="coupon",
            trigger=pgtrigger.compiler.Trigger(
                name="keeps_history",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="\n            IF TG_OP = 'UPDATE' AND NEW.state IS NOT DISTINCT FROM OLD.state THEN\n                NEW.change := NULL;\n                RETURN NEW;\n            END IF;\n            \n        IF TG_OP = 'INSERT' AND NOT (NEW.state IN ('issued', 'assigned') AND NEW.used = 0 AND NEW.held = 0) THEN\n            RAISE EXCEPTION 'coupon_transition: a % does not begin as %', TG_TABLE_NAME, NEW.state USING ERRCODE = 'restrict_violation', CONSTRAINT = 'coupon_transition';\n        ELSIF TG_OP = 'UPDATE' AND NOT ((OLD.state, NEW.state) IN (('issued', 'assigned'), ('issued', 'reserved'), ('issued', 'redeemed'), ('issued', 'expired'), ('issued', 'void'), ('assigned', 'reserved'), ('assigned', 'redeemed'), ('assigned', 'expired'), ('assigned', 'void'), ('rolled_back', 'reserved'), ('rolled_back', 'redeemed'), ('rolled_back', 'expired'), ('rolled_back', 'void'), ('reserved', 'issued'), ('reserved', 'assigned'), ('reserved', 'redeemed'), ('redeemed', 'rolled_back'), ('rolled_back', 'assigned'))) THEN\n            RAISE EXCEPTION 'coupon_transition: from % to % is refused', OLD.state, NEW.state USING ERRCODE = 'restrict_violation', CONSTRAINT = 'coupon_transition';\n        END IF;\n    \n            IF coalesce(NEW.change ->> 'actor', '') = '' OR NEW.change ->> 'at' IS NULL THEN\n                RAISE EXCEPTION 'coupon_change_names_actor: % on % must say who and when in its column change', TG_OP, TG_TABLE_NAME USING ERRCODE = 'restrict_violation', CONSTRAINT = 'coupon_change_names_actor';\n            END IF;\n            INSERT INTO rewards_couponevent (coupon_id, member_id, from_state, to_state, amount_minor, discount_minor, source, reference, actor, reason, at) VALUES (NEW.id, NEW.member_id, coalesce(OLD.state, ''), NEW.state, (NEW.change ->> 'amount_minor')::bigint, (NEW.change ->> 'discount_minor')::bigint, coalesce(NEW.change ->> 'source', ''), coalesce(NEW.change ->> 'reference', ''), NEW.change ->> 'actor', coalesce(NEW.change ->> 'reason', ''), (NEW.change ->> 'at')::timestamptz);\n            \n                    IF TG_OP = 'INSERT' THEN\n                        INSERT INTO rewards_couponkey (code, coupon_id) VALUES (NEW.code, NEW.id);\n                    END IF;\n                \n            NEW.change := NULL;\n            RETURN NEW;\n        ",
                    hash="3a360893bd385347e413786ed1bfbda7e0866ed0",
                    operation="INSERT OR UPDATE",
                    pgid="pgtrigger_keeps_history_12086",
                    table="rewards_coupon",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="coupon",
            trigger=pgtrigger.compiler.Trigger(
                name="keeps_terms",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."value_minor" IS DISTINCT FROM (NEW."value_minor") OR OLD."percent" IS DISTINCT FROM (NEW."percent") OR OLD."free_sku" IS DISTINCT FROM (NEW."free_sku") OR OLD."free_category" IS DISTINCT FROM (NEW."free_category") OR OLD."most_minor" IS DISTINCT FROM (NEW."most_minor") OR OLD."minimum_minor" IS DISTINCT FROM (NEW."minimum_minor") OR OLD."currency" IS DISTINCT FROM (NEW."currency") OR OLD."channels" IS DISTINCT FROM (NEW."channels") OR OLD."combinable" IS DISTINCT FROM (NEW."combinable") OR OLD."uses" IS DISTINCT FROM (NEW."uses") OR OLD."uses_per_member" IS DISTINCT FROM (NEW."uses_per_member") OR OLD."valid_from" IS DISTINCT FROM (NEW."valid_from") OR OLD."valid_days" IS DISTINCT FROM (NEW."valid_days") OR OLD."code" IS DISTINCT FROM (NEW."code") OR OLD."is_outside" IS DISTINCT FROM (NEW."is_outside") OR OLD."batch_id" IS DISTINCT FROM (NEW."batch_id") OR OLD."reward_id" IS DISTINCT FROM (NEW."reward_id") OR OLD."issued_at" IS DISTINCT FROM (NEW."issued_at"))',
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update rows from % table', TG_TABLE_NAME;",
                    hash="4fd50b12788e938bf38e959e7974843a219ae5c7",
                    operation="UPDATE",
                    pgid="pgtrigger_keeps_terms_e9f71",
                    table="rewards_coupon",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="coupon",
            trigger=pgtrigger.compiler.Trigger(
                name="keeps_end",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (NEW.expires_at IS DISTINCT FROM OLD.expires_at AND NOT coalesce(OLD.member_id IS NULL AND NEW.state = 'assigned' AND NEW.valid_days IS NOT NULL AND NEW.expires_at < coalesce(OLD.expires_at, 'infinity'), false))",
                    func="RAISE EXCEPTION 'coupon_keeps_end: coupon % keeps its last day', OLD.id USING ERRCODE = 'restrict_violation', CONSTRAINT = 'coupon_keeps_end';",
                    hash="d098792952f38b8784a198af816d7b729f41c2fa",
                    operation="UPDATE",
                    pgid="pgtrigger_keeps_end_d8b43",
                    table="rewards_coupon",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="coupon",
            trigger=pgtrigger.compiler.Trigger(
                name="given_unused",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.member_id IS NULL AND NEW.member_id IS NOT NULL AND (NEW.used > 0 OR NEW.held > 0))",
                    func="RAISE EXCEPTION 'coupon_given_unused: coupon % is used by others and given to nobody', OLD.id USING ERRCODE = 'restrict_violation', CONSTRAINT = 'coupon_given_unused';",
                    hash="1307c9a749e4ae75fb5c2e00b86779b3066cc03d",
                    operation="UPDATE",
                    pgid="pgtrigger_given_unused_f05a9",
                    table="rewards_coupon",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="couponbatch",
            trigger=pgtrigger.compiler.Trigger(
                name="keeps_terms",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."value_minor" IS DISTINCT FROM (NEW."value_minor") OR OLD."percent" IS DISTINCT FROM (NEW."percent") OR OLD."free_sku" IS DISTINCT FROM (NEW."free_sku") OR OLD."free_category" IS DISTINCT FROM (NEW."free_category") OR OLD."most_minor" IS DISTINCT FROM (NEW."most_minor") OR OLD."minimum_minor" IS DISTINCT FROM (NEW."minimum_minor") OR OLD."currency" IS DISTINCT FROM (NEW."currency") OR OLD."channels" IS DISTINCT FROM (NEW."channels") OR OLD."combinable" IS DISTINCT FROM (NEW."combinable") OR OLD."uses" IS DISTINCT FROM (NEW."uses") OR OLD."uses_per_member" IS DISTINCT FROM (NEW."uses_per_member") OR OLD."valid_from" IS DISTINCT FROM (NEW."valid_from") OR OLD."valid_days" IS DISTINCT FROM (NEW."valid_days") OR OLD."expires_at" IS DISTINCT FROM (NEW."expires_at") OR OLD."origin" IS DISTINCT FROM (NEW."origin") OR OLD."created_by" IS DISTINCT FROM (NEW."created_by"))',
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update rows from % table', TG_TABLE_NAME;",
                    hash="a6bbdae70d7d04c6ec4c1e13205ced9f37668125",
                    operation="UPDATE",
                    pgid="pgtrigger_keeps_terms_cc0d3",
                    table="rewards_couponbatch",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="couponbatch",
            trigger=pgtrigger.compiler.Trigger(
                name="keeps_quantity",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (NEW.made < OLD.made OR (OLD.origin = 'drawn' AND NEW.quantity <> OLD.quantity))",
                    func="RAISE EXCEPTION 'couponbatch_keeps_quantity: batch % keeps its codes', OLD.id USING ERRCODE = 'restrict_violation', CONSTRAINT = 'couponbatch_keeps_quantity';",
                    hash="77d43898de9df460b9c82551f3e43a1ce3bbe280",
                    operation="UPDATE",
                    pgid="pgtrigger_keeps_quantity_d62e6",
                    table="rewards_couponbatch",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddConstraint(
            model_name="couponbatch",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("most_minor__isnull", True),
                        ("percent__isnull", True),
                        ("value_minor__gt", 0),
                        ("value_minor__isnull", False),
                        ("free_category", ""),
                        ("free_sku", ""),
                    ),
                    models.Q(
                        ("percent__isnull", False),
                        ("percent__range", (1, 100)),
                        ("value_minor__isnull", True),
                        ("free_category", ""),
                        ("free_sku", ""),
                    ),
                    models.Q(
                        ("percent__isnull", True),
                        ("value_minor__isnull", True),
                        models.Q(
                            models.Q(models.Q(("free_sku", ""), _negated=True), ("free_category", "")),
                            models.Q(("free_sku", ""), models.Q(("free_category", ""), _negated=True)),
                            _connector="OR",
                        ),
                    ),
                    _connector="OR",
                ),
                name="couponbatch_terms_whole",
                violation_error_message="A coupon is worth a value, a percentage from 1 to 100, or a free item.",
            ),
        ),
        migrations.AddConstraint(
            model_name="couponbatch",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("uses__range", (1, 1000000)),
                    models.Q(("uses_per_member__isnull", True), ("uses_per_member__gt", 0), _connector="OR"),
                    models.Q(("most_minor__isnull", True), ("most_minor__gt", 0), _connector="OR"),
                    models.Q(("valid_days__isnull", True), ("valid_days__gt", 0), _connector="OR"),
                ),
                name="couponbatch_limits_positive",
                violation_error_message="A code has 1 to 1,000,000 uses, and no limit of a coupon is nought.",
            ),
        ),
        migrations.AddConstraint(
            model_name="couponbatch",
            constraint=models.CheckConstraint(
                condition=models.Q(("made__lte", models.F("quantity"))), name="couponbatch_made_in_range"
            ),
        ),
        migrations.AddConstraint(
            model_name="couponbatch",
            constraint=models.CheckConstraint(
                condition=models.Q(("origin__in", ["drawn", "outside"])), name="couponbatch_origin_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="reward",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("kind", "coupon"),
                        models.Q(
                            models.Q(
                                models.Q(
                                    models.Q(
                                        ("coupon_percent__isnull", True),
                                        ("coupon_value_minor__gt", 0),
                                        ("coupon_value_minor__isnull", False),
                                    ),
                                    models.Q(
                                        ("coupon_percent__isnull", False),
                                        ("coupon_percent__range", (1, 100)),
                                        ("coupon_value_minor__isnull", True),
                                    ),
                                    _connector="OR",
                                ),
                                ("coupon_batch__isnull", True),
                            ),
                            models.Q(
                                ("coupon_percent__isnull", True),
                                ("coupon_value_minor__isnull", True),
                                ("coupon_batch__isnull", False),
                            ),
                            _connector="OR",
                        ),
                    ),
                    models.Q(
                        models.Q(("kind", "coupon"), _negated=True),
                        ("coupon_percent__isnull", True),
                        ("coupon_value_minor__isnull", True),
                        ("coupon_batch__isnull", True),
                    ),
                    _connector="OR",
                ),
                name="reward_coupon_terms",
                violation_error_message="A coupon has a value, a percentage or a batch; other rewards have none.",
            ),
        ),
        migrations.AddConstraint(
            model_name="couponbill",
            constraint=models.UniqueConstraint(fields=("source", "bill"), name="couponbill_once"),
        ),
        migrations.AddConstraint(
            model_name="couponbill",
            constraint=models.CheckConstraint(
                condition=models.Q(("is_alone", False), ("uses__lte", 1), _connector="OR"), name="couponbill_alone"
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="couponbill",
            trigger=pgtrigger.compiler.Trigger(
                name="write_by_trigger",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (pg_trigger_depth() = 0)",
                    func="RAISE EXCEPTION 'rewards_history_written_by_trigger: % on % is refused', TG_OP, TG_TABLE_NAME USING ERRCODE = 'restrict_violation', CONSTRAINT = 'rewards_history_written_by_trigger';",
                    hash="0cb81d678aa59e473e4eeed9d0b25d3312443a3b",
                    operation="INSERT OR UPDATE",
                    pgid="pgtrigger_write_by_trigger_f0116",
                    table="rewards_couponbill",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="couponbill",
            trigger=pgtrigger.compiler.Trigger(
                name="no_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'rewards_never_deleted: % on % is refused', TG_OP, TG_TABLE_NAME USING ERRCODE = 'restrict_violation', CONSTRAINT = 'rewards_never_deleted';",
                    hash="b8041a4e02d44ee1c803a1fd3aac18d653461eaa",
                    operation="DELETE",
                    pgid="pgtrigger_no_delete_c9160",
                    table="rewards_couponbill",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="couponbill",
            trigger=pgtrigger.compiler.Trigger(
                name="no_truncate",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'rewards_never_deleted: % on % is refused', TG_OP, TG_TABLE_NAME USING ERRCODE = 'restrict_violation', CONSTRAINT = 'rewards_never_deleted';",
                    hash="9dc5fc755dce077ea669942ec3ed41b303301312",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_no_truncate_45dcb",
                    table="rewards_couponbill",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddField(
            model_name="coupongiving",
            name="batch",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="givings",
                to="rewards.couponbatch",
                verbose_name="batch",
            ),
        ),
        migrations.AddField(
            model_name="coupongiving",
            name="tier",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="members.tier",
                verbose_name="tier",
            ),
        ),
        migrations.AddField(
            model_name="coupon",
            name="giving",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="coupons",
                to="rewards.coupongiving",
                verbose_name="giving",
            ),
        ),
        migrations.AddIndex(
            model_name="coupon",
            index=models.Index(condition=models.Q(("state", "issued")), fields=["batch", "id"], name="coupon_free"),
        ),
        migrations.AddConstraint(
            model_name="coupon",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("most_minor__isnull", True),
                        ("percent__isnull", True),
                        ("value_minor__gt", 0),
                        ("value_minor__isnull", False),
                        ("free_category", ""),
                        ("free_sku", ""),
                    ),
                    models.Q(
                        ("percent__isnull", False),
                        ("percent__range", (1, 100)),
                        ("value_minor__isnull", True),
                        ("free_category", ""),
                        ("free_sku", ""),
                    ),
                    models.Q(
                        ("percent__isnull", True),
                        ("value_minor__isnull", True),
                        models.Q(
                            models.Q(models.Q(("free_sku", ""), _negated=True), ("free_category", "")),
                            models.Q(("free_sku", ""), models.Q(("free_category", ""), _negated=True)),
                            _connector="OR",
                        ),
                    ),
                    _connector="OR",
                ),
                name="coupon_terms_whole",
                violation_error_message="A coupon is worth a value, a percentage from 1 to 100, or a free item.",
            ),
        ),
        migrations.AddConstraint(
            model_name="coupon",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("uses__range", (1, 1000000)),
                    models.Q(("uses_per_member__isnull", True), ("uses_per_member__gt", 0), _connector="OR"),
                    models.Q(("most_minor__isnull", True), ("most_minor__gt", 0), _connector="OR"),
                    models.Q(("valid_days__isnull", True), ("valid_days__gt", 0), _connector="OR"),
                ),
                name="coupon_limits_positive",
                violation_error_message="A code has 1 to 1,000,000 uses, and no limit of a coupon is nought.",
            ),
        ),
        migrations.AddConstraint(
            model_name="coupon",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        models.Func(models.F("code"), function="rewards_is_code", output_field=models.BooleanField()),
                        ("is_outside", False),
                    ),
                    models.Q(
                        ("batch__isnull", False),
                        ("code__regex", "^[^[:space:][:cntrl:]/\\-–—]{4,40}$"),
                        ("is_outside", True),
                    ),
                    _connector="OR",
                ),
                name="coupon_code_checked",
            ),
        ),
        migrations.AddConstraint(
            model_name="coupon",
            constraint=models.UniqueConstraint(
                condition=models.Q(("giving__isnull", False)), fields=("giving", "member"), name="coupon_given_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="coupon",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("valid_days__isnull", True),
                    ("member__isnull", True),
                    ("expires_at__isnull", False),
                    _connector="OR",
                ),
                name="coupon_days_have_an_end",
            ),
        ),
        migrations.AddConstraint(
            model_name="coupon",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "uses__gte",
                        django.db.models.expressions.CombinedExpression(models.F("used"), "+", models.F("held")),
                    )
                ),
                name="coupon_uses_in_range",
            ),
        ),
        migrations.AddConstraint(
            model_name="coupon",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        models.Q(("state", "redeemed"), ("used", models.F("uses"))),
                        models.Q(models.Q(("state", "redeemed"), _negated=True), ("used__lt", models.F("uses"))),
                        _connector="OR",
                    ),
                    models.Q(
                        ("state", "redeemed"),
                        models.Q(("state", "reserved"), _negated=True),
                        (
                            "uses",
                            django.db.models.expressions.CombinedExpression(models.F("used"), "+", models.F("held")),
                        ),
                        _connector="OR",
                    ),
                    models.Q(
                        ("state__in", ["redeemed", "reserved"]),
                        (
                            "uses__gt",
                            django.db.models.expressions.CombinedExpression(models.F("used"), "+", models.F("held")),
                        ),
                        _connector="OR",
                    ),
                    models.Q(
                        models.Q(("state__in", ["expired", "void"]), _negated=True), ("held", 0), _connector="OR"
                    ),
                ),
                name="coupon_state_counts",
            ),
        ),
        migrations.AddConstraint(
            model_name="couponguess",
            constraint=models.CheckConstraint(condition=models.Q(("misses__gt", 0)), name="couponguess_counts"),
        ),
        migrations.AddConstraint(
            model_name="couponguess",
            constraint=models.CheckConstraint(
                condition=models.Q(("door", ""), _negated=True), name="couponguess_door_given"
            ),
        ),
        migrations.AddField(
            model_name="couponreservation",
            name="coupon",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="rewards.coupon",
                verbose_name="coupon",
            ),
        ),
        migrations.AddField(
            model_name="couponuse",
            name="coupon",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="rewards.coupon",
                verbose_name="coupon",
            ),
        ),
        migrations.AddField(
            model_name="couponuse",
            name="gives_back",
            field=models.OneToOneField(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="given_back_by",
                to="rewards.couponuse",
                verbose_name="gives back",
            ),
        ),
        migrations.AddConstraint(
            model_name="coupongiving",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["running", "done", "short"])), name="coupongiving_state_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="coupongiving",
            constraint=models.CheckConstraint(
                condition=models.Q(("created_by", ""), _negated=True), name="coupongiving_actor_given"
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="coupongiving",
            trigger=pgtrigger.compiler.Trigger(
                name="keeps_order",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."batch_id" IS DISTINCT FROM (NEW."batch_id") OR OLD."tier_id" IS DISTINCT FROM (NEW."tier_id") OR OLD."segment" IS DISTINCT FROM (NEW."segment") OR OLD."created_by" IS DISTINCT FROM (NEW."created_by") OR OLD."created_at" IS DISTINCT FROM (NEW."created_at"))',
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update rows from % table', TG_TABLE_NAME;",
                    hash="6186ea2b48fc1aee559229cffc664e123410e179",
                    operation="UPDATE",
                    pgid="pgtrigger_keeps_order_c7a96",
                    table="rewards_coupongiving",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="coupongiving",
            trigger=pgtrigger.compiler.Trigger(
                name="goes_forward",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (NEW.given < OLD.given OR NEW.last_member_id < OLD.last_member_id)",
                    func="RAISE EXCEPTION 'coupongiving_goes_forward: giving % does not go back', OLD.id USING ERRCODE = 'restrict_violation', CONSTRAINT = 'coupongiving_goes_forward';",
                    hash="d38970f064f78706c08c2d8bc3d3ddfed6deca5e",
                    operation="UPDATE",
                    pgid="pgtrigger_goes_forward_21e1a",
                    table="rewards_coupongiving",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="coupongiving",
            trigger=pgtrigger.compiler.Trigger(
                name="no_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'rewards_never_deleted: % on % is refused', TG_OP, TG_TABLE_NAME USING ERRCODE = 'restrict_violation', CONSTRAINT = 'rewards_never_deleted';",
                    hash="4e8f0390cac2d3c1a2e227eaff4f2a72c8080b50",
                    operation="DELETE",
                    pgid="pgtrigger_no_delete_3ae83",
                    table="rewards_coupongiving",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="coupongiving",
            trigger=pgtrigger.compiler.Trigger(
                name="no_truncate",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'rewards_never_deleted: % on % is refused', TG_OP, TG_TABLE_NAME USING ERRCODE = 'restrict_violation', CONSTRAINT = 'rewards_never_deleted';",
                    hash="29309a7e55c580dc140c8ed43217fb8b588ef38c",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_no_truncate_69fdb",
                    table="rewards_coupongiving",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddIndex(
            model_name="couponreservation",
            index=models.Index(
                condition=models.Q(("state", "held")), fields=["expires_at"], name="couponreservation_stale"
            ),
        ),
        migrations.AddIndex(
            model_name="couponreservation",
            index=models.Index(
                condition=models.Q(("state", "held")), fields=["coupon"], name="couponreservation_held"
            ),
        ),
        migrations.AddConstraint(
            model_name="couponreservation",
            constraint=models.UniqueConstraint(
                fields=("coupon", "source", "reference"), name="couponreservation_reference"
            ),
        ),
        migrations.AddConstraint(
            model_name="couponreservation",
            constraint=models.CheckConstraint(
                condition=models.Q(("expires_at__gt", models.F("at"))), name="couponreservation_ends"
            ),
        ),
        migrations.AddConstraint(
            model_name="couponreservation",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["held", "used", "released"])), name="couponreservation_state_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="couponreservation",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("ended_at__isnull", True), ("ended_by", ""), ("state", "held")),
                    models.Q(
                        models.Q(("state", "held"), _negated=True),
                        models.Q(("ended_by", ""), _negated=True),
                        ("ended_at__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="couponreservation_end_told",
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="couponreservation",
            trigger=pgtrigger.compiler.Trigger(
                name="write_by_trigger",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (pg_trigger_depth() = 0)",
                    func="RAISE EXCEPTION 'rewards_history_written_by_trigger: % on % is refused', TG_OP, TG_TABLE_NAME USING ERRCODE = 'restrict_violation', CONSTRAINT = 'rewards_history_written_by_trigger';",
                    hash="57f73cc7b889578d93e8bd2cdd64d0487eb9373e",
                    operation="INSERT OR UPDATE",
                    pgid="pgtrigger_write_by_trigger_fccc9",
                    table="rewards_couponreservation",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="couponreservation",
            trigger=pgtrigger.compiler.Trigger(
                name="no_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'rewards_never_deleted: % on % is refused', TG_OP, TG_TABLE_NAME USING ERRCODE = 'restrict_violation', CONSTRAINT = 'rewards_never_deleted';",
                    hash="0a71578c881ae8a91251bdaf5797041f765f816b",
                    operation="DELETE",
                    pgid="pgtrigger_no_delete_c2593",
                    table="rewards_couponreservation",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="couponreservation",
            trigger=pgtrigger.compiler.Trigger(
                name="no_truncate",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'rewards_never_deleted: % on % is refused', TG_OP, TG_TABLE_NAME USING ERRCODE = 'restrict_violation', CONSTRAINT = 'rewards_never_deleted';",
                    hash="f5ee91561e096d645513360c2e6c947b1cb5cc51",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_no_truncate_01303",
                    table="rewards_couponreservation",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="couponreservation",
            trigger=pgtrigger.compiler.Trigger(
                name="keeps_promise",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."id" IS DISTINCT FROM (NEW."id") OR OLD."coupon_id" IS DISTINCT FROM (NEW."coupon_id") OR OLD."member_id" IS DISTINCT FROM (NEW."member_id") OR OLD."expires_at" IS DISTINCT FROM (NEW."expires_at") OR OLD."channel" IS DISTINCT FROM (NEW."channel") OR OLD."source" IS DISTINCT FROM (NEW."source") OR OLD."reference" IS DISTINCT FROM (NEW."reference") OR OLD."actor" IS DISTINCT FROM (NEW."actor") OR OLD."at" IS DISTINCT FROM (NEW."at"))',
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update rows from % table', TG_TABLE_NAME;",
                    hash="5513e0b6df731e416fd51c4fc7b6c8f9f03ec64e",
                    operation="UPDATE",
                    pgid="pgtrigger_keeps_promise_aa262",
                    table="rewards_couponreservation",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="couponreservation",
            trigger=pgtrigger.compiler.Trigger(
                name="ends_once",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.state <> 'held')",
                    func="RAISE EXCEPTION 'couponreservation_ends_once: reservation % has ended', OLD.id USING ERRCODE = 'restrict_violation', CONSTRAINT = 'couponreservation_ends_once';",
                    hash="94bd917645dae059bccda4d7e4e5f7273ab2b26c",
                    operation="UPDATE",
                    pgid="pgtrigger_ends_once_aa530",
                    table="rewards_couponreservation",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddIndex(
            model_name="couponuse",
            index=models.Index(fields=["coupon", "-id"], name="couponuse_coupon"),
        ),
        migrations.AddIndex(
            model_name="couponuse",
            index=models.Index(fields=["coupon", "source", "reference"], name="couponuse_reference"),
        ),
        migrations.AddIndex(
            model_name="couponuse",
            index=models.Index(
                condition=models.Q(("member_id__isnull", False)),
                fields=["coupon", "member_id"],
                name="couponuse_member",
            ),
        ),
        migrations.AddConstraint(
            model_name="couponuse",
            constraint=models.CheckConstraint(
                condition=models.Q(("discount_minor__gte", 0), ("discount_minor__lte", models.F("amount_minor"))),
                name="couponuse_within_amount",
            ),
        ),
        migrations.RunSQL(_USES, migrations.RunSQL.noop),
        pgtrigger.migrations.AddTrigger(
            model_name="couponuse",
            trigger=pgtrigger.compiler.Trigger(
                name="insert_by_trigger",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (pg_trigger_depth() = 0)",
                    func="RAISE EXCEPTION 'rewards_history_written_by_trigger: % on % is refused', TG_OP, TG_TABLE_NAME USING ERRCODE = 'restrict_violation', CONSTRAINT = 'rewards_history_written_by_trigger';",
                    hash="323898814927a054cee4d4ad404dfc10b6ebb246",
                    operation="INSERT",
                    pgid="pgtrigger_insert_by_trigger_01929",
                    table="rewards_couponuse",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="couponuse",
            trigger=pgtrigger.compiler.Trigger(
                name="append_only",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'rewards_history_append_only: % on % is refused', TG_OP, TG_TABLE_NAME USING ERRCODE = 'restrict_violation', CONSTRAINT = 'rewards_history_append_only';",
                    hash="9f0153c48c3f5b20098a949c07332560d03c140e",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_append_only_501cb",
                    table="rewards_couponuse",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="couponuse",
            trigger=pgtrigger.compiler.Trigger(
                name="no_truncate",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'rewards_history_append_only: % on % is refused', TG_OP, TG_TABLE_NAME USING ERRCODE = 'restrict_violation', CONSTRAINT = 'rewards_history_append_only';",
                    hash="86ec5b091e922a4c10de61e8198fddb9e40f2c39",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_no_truncate_08e09",
                    table="rewards_couponuse",
                    when="BEFORE",
                ),
            ),
        ),
    ]
