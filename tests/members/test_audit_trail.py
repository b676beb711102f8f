import pytest
from django.apps import apps
from django.db import DatabaseError, IntegrityError, connection, transaction

from members.actions import auditing
from members.models import AuditRecord

from .factories import AT, TESTER, MemberFactory, base_tier

pytestmark = pytest.mark.django_db


@pytest.fixture
def record() -> AuditRecord:
    member = MemberFactory.create()
    return auditing.record(
        actor=TESTER, action="member.read", subject=member, reason="call", details={"fields": ["phone"]}, at=AT
    )


def test_a_record_says_who_what_whom_why_and_when(record: AuditRecord) -> None:
    again = AuditRecord.objects.get(pk=record.pk)

    assert (again.actor, again.action, again.subject, again.reason) == (TESTER, "member.read", record.subject, "call")
    assert (again.details, again.at) == ({"fields": ["phone"]}, AT)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE members_auditrecord SET reason = 'other'",
        "UPDATE members_auditrecord SET at = now() WHERE id = 0 OR true",
        "DELETE FROM members_auditrecord",
    ],
)
def test_the_trail_cannot_be_changed_even_by_raw_sql(record: AuditRecord, statement: str) -> None:
    before = list(AuditRecord.objects.values())

    with pytest.raises(DatabaseError, match="append_only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)

    assert list(AuditRecord.objects.values()) == before


def test_nobody_acts_without_a_name(record: AuditRecord) -> None:
    with pytest.raises(IntegrityError, match="auditrecord_actor_given"), transaction.atomic():
        AuditRecord.objects.create(actor="", action="member.read")


def test_the_history_of_a_tier_is_kept_by_the_database() -> None:
    tier = base_tier()

    with connection.cursor() as cursor:
        cursor.execute("UPDATE members_tier SET threshold = 500 WHERE id = %s", [tier.pk])

    history = apps.get_model("members", "TierHistory")
    assert list(history._default_manager.values_list("code", "threshold")) == [("base", 0)]
