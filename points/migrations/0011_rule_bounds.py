"""A rule whose limits or amounts leave nothing to anybody is refused, and the laws of a rule speak in sentences."""

from typing import Any

from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import IntegrityError, migrations, models, transaction

_NEW = ("earningrule_limits_whole", "earningrule_amounts_ordered")


def validate_where_all_obey(apps: Any, schema_editor: Any) -> None:
    """Hold the rows there are to the new laws, unless one breaks them: in force it keeps its terms until it is ended.

    Such a rule gives nothing, and its law is then enforced for whatever is written from now on.
    """
    connection = schema_editor.connection
    for name in _NEW:
        try:
            with transaction.atomic(connection.alias), connection.cursor() as cursor:
                cursor.execute(f"ALTER TABLE points_earningrule VALIDATE CONSTRAINT {name}")
        except IntegrityError:
            continue


class Migration(migrations.Migration):
    dependencies = [
        ("points", "0010_tier_history"),
    ]

    operations = [
        AddConstraintNotValid(
            model_name="earningrule",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("status", "retired"),
                    models.Q(
                        models.Q(("cap_day__isnull", True), ("cap_day__gte", 1), _connector="OR"),
                        models.Q(("cap_week__isnull", True), ("cap_week__gte", 1), _connector="OR"),
                        models.Q(("cap_month__isnull", True), ("cap_month__gte", 1), _connector="OR"),
                        models.Q(("cap_lifetime__isnull", True), ("cap_lifetime__gte", 1), _connector="OR"),
                        models.Q(("budget__isnull", True), ("budget__gte", 1), _connector="OR"),
                    ),
                    _connector="OR",
                ),
                name="earningrule_limits_whole",
                violation_error_message="A limit is at least 1; leave it empty for none.",
            ),
        ),
        AddConstraintNotValid(
            model_name="earningrule",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("status", "retired"),
                    ("amount_from_minor__isnull", True),
                    ("amount_below_minor__isnull", True),
                    ("amount_from_minor__lt", models.F("amount_below_minor")),
                    _connector="OR",
                ),
                name="earningrule_amounts_ordered",
                violation_error_message="“Amount from” must be less than “amount below”.",
            ),
        ),
        migrations.RunPython(validate_where_all_obey, migrations.RunPython.noop),
        migrations.AlterConstraint(
            model_name="earningrule",
            name="earningrule_points_positive",
            constraint=models.CheckConstraint(
                condition=models.Q(("points__gt", 0)),
                name="earningrule_points_positive",
                violation_error_message="The points must be more than nothing.",
            ),
        ),
        migrations.AlterConstraint(
            model_name="earningrule",
            name="earningrule_per_minor_positive",
            constraint=models.CheckConstraint(
                condition=models.Q(("per_minor__gt", 0)),
                name="earningrule_per_minor_positive",
                violation_error_message="The money points are given for must be more than nothing.",
            ),
        ),
        migrations.AlterConstraint(
            model_name="earningrule",
            name="earningrule_hours",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("hour_from__isnull", True), ("hour_from__lte", 23), _connector="OR"),
                    models.Q(("hour_below__isnull", True), ("hour_below__range", (1, 24)), _connector="OR"),
                ),
                name="earningrule_hours",
                violation_error_message="The hours run from 0 to 23, and end with 1 to 24.",
            ),
        ),
        migrations.AlterConstraint(
            model_name="referralprogramme",
            name="referralprogramme_currency_code",
            constraint=models.CheckConstraint(
                condition=models.Q(("currency", ""), ("currency__regex", "^[A-Z]{3}$"), _connector="OR"),
                name="referralprogramme_currency_code",
                violation_error_message="A currency is three capital letters, such as CNY.",
            ),
        ),
    ]
