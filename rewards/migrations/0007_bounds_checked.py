"""Every coupon there is ends within a hundred years of being given."""

from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("rewards", "0006_bounds")]

    operations = [ValidateConstraint(model_name="coupon", name="coupon_days_in_range")]
