"""One version of a rule at a time, expiries within reach, holds that stay."""

import datetime

import django.contrib.postgres.constraints
import django.contrib.postgres.fields.ranges
import pgtrigger.compiler
import pgtrigger.migrations
from django.contrib.postgres.operations import BtreeGistExtension
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("points", "0002_functions"),
    ]

    operations = [
        BtreeGistExtension(),
        pgtrigger.migrations.AddTrigger(
            model_name="hold",
            trigger=pgtrigger.compiler.Trigger(
                name="no_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot delete rows from % table', TG_TABLE_NAME;",
                    hash="1848ce5340f517ebe1c48f0ce5ddc13d3103f3c3",
                    operation="DELETE",
                    pgid="pgtrigger_no_delete_434e5",
                    table="points_hold",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddConstraint(
            model_name="earningrule",
            constraint=django.contrib.postgres.constraints.ExclusionConstraint(
                condition=models.Q(("status__in", ["active", "retired"])),
                expressions=[
                    ("code", "="),
                    (
                        models.Func(
                            "valid_from",
                            "valid_until",
                            function="tstzrange",
                            output_field=django.contrib.postgres.fields.ranges.DateTimeRangeField(),
                        ),
                        "&&",
                    ),
                ],
                name="earningrule_one_version_at_a_time",
                violation_error_message="Another version of this rule is in force in that period.",
            ),
        ),
        migrations.AddConstraint(
            model_name="earningrule",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("expiry_value__isnull", True),
                        models.Q(("expiry_policy", "days"), ("expiry_value__lte", 36500)),
                        models.Q(("expiry_policy", "months_end"), ("expiry_value__lte", 1200)),
                        models.Q(("expiry_policy", "year_end"), ("expiry_value__lte", 100)),
                        ("expiry_policy__in", ["", "never", "fixed_date"]),
                        _connector="OR",
                    ),
                    models.Q(
                        ("expiry_on__isnull", True), ("expiry_on__lt", datetime.date(2200, 1, 1)), _connector="OR"
                    ),
                ),
                name="earningrule_expiry_in_reach",
                violation_error_message="The expiry must lie within a hundred years.",
            ),
        ),
        migrations.AddConstraint(
            model_name="pointtype",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("expiry_value__isnull", True),
                        models.Q(("expiry_policy", "days"), ("expiry_value__lte", 36500)),
                        models.Q(("expiry_policy", "months_end"), ("expiry_value__lte", 1200)),
                        models.Q(("expiry_policy", "year_end"), ("expiry_value__lte", 100)),
                        ("expiry_policy__in", ["", "never", "fixed_date"]),
                        _connector="OR",
                    ),
                    models.Q(
                        ("expiry_on__isnull", True), ("expiry_on__lt", datetime.date(2200, 1, 1)), _connector="OR"
                    ),
                ),
                name="pointtype_expiry_in_reach",
                violation_error_message="The expiry must lie within a hundred years.",
            ),
        ),
    ]
