from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from pgmq.install import get_embedded_install_sql


def has_queue(schema_editor: BaseDatabaseSchemaEditor) -> bool:
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_namespace WHERE nspname = 'pgmq'")
        return cursor.fetchone() is not None


def install_queue(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Make the queue in the database itself, unless it is there: by the extension, or by an earlier run."""
    if not has_queue(schema_editor):
        schema_editor.execute(get_embedded_install_sql(), params=None)


def remove_queue(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Take the queue away with everything still waiting in it."""
    schema_editor.execute("DROP SCHEMA IF EXISTS pgmq CASCADE", params=None)


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="WorkerHeartbeat",
            fields=[
                ("name", models.CharField(max_length=40, primary_key=True, serialize=False, verbose_name="name")),
                ("beat_at", models.DateTimeField(verbose_name="beat at")),
            ],
            options={"verbose_name": "worker heartbeat", "verbose_name_plural": "worker heartbeats"},
        ),
        migrations.RunPython(install_queue, remove_queue),
    ]
