"""A hold is closed once, and says for good what was held."""

import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("points", "0008_movement_checked"),
    ]

    operations = [
        pgtrigger.migrations.AddTrigger(
            model_name="hold",
            trigger=pgtrigger.compiler.Trigger(
                name="closed_once",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="\n                    IF TG_OP = 'INSERT' THEN\n                        IF NEW.status <> 'held' OR NEW.captured <> 0 THEN RAISE EXCEPTION 'hold_begins: it is closed later' USING ERRCODE = 'restrict_violation', CONSTRAINT = 'hold_begins'; END IF;\n                    ELSE\n                        IF OLD.status <> 'held' THEN RAISE EXCEPTION 'hold_closes_once: what is closed stays so' USING ERRCODE = 'restrict_violation', CONSTRAINT = 'hold_closes_once'; END IF;\n                        IF NEW.status = 'held' THEN RAISE EXCEPTION 'hold_closes_once: nothing else changes' USING ERRCODE = 'restrict_violation', CONSTRAINT = 'hold_closes_once'; END IF;\n                        IF (NEW.status = 'captured') <> (NEW.captured > 0) THEN RAISE EXCEPTION 'hold_captures: all or some' USING ERRCODE = 'restrict_violation', CONSTRAINT = 'hold_captures'; END IF;\n                    END IF;\n                    RETURN NEW;\n                ",
                    hash="0da28192dab4a07d16345b3699150fa542e54dd3",
                    operation="INSERT OR UPDATE",
                    pgid="pgtrigger_closed_once_52478",
                    table="points_hold",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="hold",
            trigger=pgtrigger.compiler.Trigger(
                name="keeps_hold",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."id" IS DISTINCT FROM (NEW."id") OR OLD."member_id" IS DISTINCT FROM (NEW."member_id") OR OLD."key" IS DISTINCT FROM (NEW."key") OR OLD."point_type_id" IS DISTINCT FROM (NEW."point_type_id") OR OLD."entry_id" IS DISTINCT FROM (NEW."entry_id") OR OLD."points" IS DISTINCT FROM (NEW."points") OR OLD."source" IS DISTINCT FROM (NEW."source") OR OLD."reference" IS DISTINCT FROM (NEW."reference") OR OLD."expires_at" IS DISTINCT FROM (NEW."expires_at") OR OLD."created_at" IS DISTINCT FROM (NEW."created_at"))',
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update rows from % table', TG_TABLE_NAME;",
                    hash="5e9396374f907025f79fd7f673333d84f27a1933",
                    operation="UPDATE",
                    pgid="pgtrigger_keeps_hold_12e9f",
                    table="points_hold",
                    when="BEFORE",
                ),
            ),
        ),
    ]
