"""Every entry there is obeys the law of movements as it is written now."""

from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("points", "0007_movement")]

    operations = [ValidateConstraint(model_name="entry", name="entry_movement")]
