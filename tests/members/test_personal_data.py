import base64
from datetime import date
from typing import Any

import pytest
from django.core.exceptions import FieldError
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.forms import modelform_factory
from pytest_django import Settings

from config.lib.crypto import DecryptionError
from members import batches
from members.fields import PersonalDataForgotten
from members.models import AuditRecord, Member

from .factories import MemberFactory

pytestmark = pytest.mark.django_db

PERSONAL = {
    "name": "Alice Liddell",
    "phone": "+8613800138000",
    "email": "alice@example.com",
    "birthday": date(1990, 5, 17),
    "address": "1 Christ Church, Oxford",
}


@pytest.fixture
def alice() -> Member:
    return MemberFactory.create(**PERSONAL)


@pytest.fixture
def bob() -> Member:
    return MemberFactory.create(name="Bob", phone="+8613900139000")


def run(sql: str, *params: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)


def reread(member: Member) -> Member:
    return Member.objects.get(pk=member.pk)


def test_personal_data_is_read_as_plain_values(alice: Member) -> None:
    again = reread(alice)

    assert {name: getattr(again, name) for name in PERSONAL} == PERSONAL


def test_no_table_holds_personal_data_in_the_clear(alice: Member) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_name LIKE 'members_%'")
        tables = [name for (name,) in cursor.fetchall()]
        assert {"members_member", "members_memberkey", "members_auditrecord"} <= set(tables)
        for table in tables:
            cursor.execute(f"SELECT string_agg(rows::text, ' ') FROM {table} AS rows")
            dump = (cursor.fetchone()[0] or "").lower()
            for value in map(str, PERSONAL.values()):
                assert value.lower() not in dump
                assert value.encode().hex() not in dump
                assert base64.b64encode(value.encode()).decode().lower() not in dump


def test_a_changed_ciphertext_is_never_returned(alice: Member) -> None:
    run("UPDATE members_member SET name = set_byte(name, 20, get_byte(name, 20) # 1) WHERE id = %s", alice.pk)

    with pytest.raises(DecryptionError):
        _ = reread(alice).name


def test_ciphertext_of_another_member_does_not_open(alice: Member, bob: Member) -> None:
    run(
        "UPDATE members_member SET name = other.name FROM members_member AS other"
        " WHERE members_member.id = %s AND other.id = %s",
        alice.pk,
        bob.pk,
    )

    with pytest.raises(DecryptionError):
        _ = reread(alice).name


def test_ciphertext_moved_together_with_its_key_does_not_open(alice: Member, bob: Member) -> None:
    run(
        "UPDATE members_member SET name = other.name, data_key = other.data_key FROM members_member AS other"
        " WHERE members_member.id = %s AND other.id = %s",
        alice.pk,
        bob.pk,
    )

    with pytest.raises(DecryptionError):
        _ = reread(alice).name


def test_ciphertext_of_another_column_does_not_open(alice: Member) -> None:
    run("UPDATE members_member SET name = address WHERE id = %s", alice.pk)

    with pytest.raises(DecryptionError):
        _ = reread(alice).name


def test_without_the_master_key_nothing_opens(alice: Member, settings: Settings) -> None:
    settings.LAUREL_PII_KEYS = "other:" + base64.b64encode(b"o" * 32).decode()

    with pytest.raises(DecryptionError, match="the master key test is not in the settings"):
        _ = reread(alice).name


def test_without_the_data_key_the_person_is_forgotten(alice: Member) -> None:
    sealed = Member.objects.values_list("name", flat=True).get(pk=alice.pk)
    run(
        "UPDATE members_member SET data_key = NULL, name = NULL, phone = NULL, email = NULL, birthday = NULL,"
        " address = NULL, birth_month = NULL WHERE id = %s",
        alice.pk,
    )
    forgotten = reread(alice)

    assert (forgotten.name, forgotten.birthday) == ("", None)
    forgotten.name = "Alice"
    with pytest.raises(PersonalDataForgotten):
        forgotten.save()
    forgotten.name = sealed
    with pytest.raises(PersonalDataForgotten):
        _ = forgotten.name


def test_a_member_without_a_data_key_cannot_keep_personal_data(alice: Member) -> None:
    with pytest.raises(IntegrityError, match="member_forgotten_is_empty"), transaction.atomic():
        run("UPDATE members_member SET data_key = NULL WHERE id = %s", alice.pk)


def test_saving_what_was_only_loaded_does_not_seal_it_anew(alice: Member) -> None:
    before = Member.objects.values_list("name", "phone").get(pk=alice.pk)

    reread(alice).save()

    assert Member.objects.values_list("name", "phone").get(pk=alice.pk) == before


def test_an_assigned_value_is_sealed_on_save(alice: Member) -> None:
    again = reread(alice)
    again.name, again.birthday = "Alice Hargreaves", date(1991, 1, 2)

    again.save()

    assert (reread(alice).name, reread(alice).birthday) == ("Alice Hargreaves", date(1991, 1, 2))


def test_a_refreshed_or_deferred_member_opens_too(alice: Member) -> None:
    alice.refresh_from_db()
    deferred = Member.objects.defer("name", "data_key").get(pk=alice.pk)

    assert (alice.name, deferred.name) == ("Alice Liddell", "Alice Liddell")


def test_an_update_of_many_rows_cannot_write_plain_values(alice: Member, bob: Member) -> None:
    alice.name, bob.name = "A", "B"

    with pytest.raises(TypeError, match="name is sealed"), transaction.atomic():
        Member.objects.bulk_update([alice, bob], ["name"])
    with pytest.raises(TypeError, match="name is sealed"), transaction.atomic():
        Member.objects.update(name="X")
    assert reread(alice).name == "Alice Liddell"


def test_a_sealed_column_cannot_be_searched(alice: Member) -> None:
    with pytest.raises(FieldError, match="phone is sealed and cannot be searched"):
        Member.objects.filter(phone="+8613800138000")
    assert Member.objects.filter(phone__isnull=False).get() == alice


def test_forms_show_and_check_plain_values(alice: Member) -> None:
    form_class = modelform_factory(Member, fields=["name", "phone", "birthday"])

    shown = form_class(instance=reread(alice)).initial
    wrong = form_class({"name": "n" * 151, "birthday": "yesterday"}, instance=reread(alice))
    right = form_class({"name": "Al", "phone": "", "birthday": "1990-05-18"}, instance=reread(alice))

    assert shown == {name: PERSONAL[name] for name in ("name", "phone", "birthday")}
    assert set(wrong.errors) == {"name", "birthday"}
    assert right.is_valid(), right.errors
    right.save()
    assert (reread(alice).name, reread(alice).phone, reread(alice).birthday) == ("Al", "", date(1990, 5, 18))


def test_a_row_without_an_id_cannot_be_sealed() -> None:
    with pytest.raises(ValueError, match="bound to its row"):
        Member(number="100000017", name="Alice").save()


def test_masks_show_enough_to_recognise(alice: Member) -> None:
    assert (alice.masked_name, alice.masked_phone, alice.masked_email) == (
        "A**** L******",
        "+86138****8000",
        "a***@example.com",
    )
    assert len(alice.grouped_number) == 14


class TestRotation:
    @pytest.fixture
    def rotated(self, alice: Member, bob: Member, settings: Settings) -> str:
        """Put a new master key in front; return the setting without the old one."""
        new = "k2:" + base64.b64encode(b"2" * 32).decode()
        settings.LAUREL_PII_KEYS = f"{new},{settings.LAUREL_PII_KEYS}"
        return new

    def test_rotation_makes_the_old_master_key_dispensable(
        self, alice: Member, rotated: str, settings: Settings, capsys: Any
    ) -> None:
        ciphertext = Member.objects.values_list("name", flat=True).get(pk=alice.pk)

        call_command("rotate_pii_keys", batch=1)

        settings.LAUREL_PII_KEYS = rotated
        assert reread(alice).name == "Alice Liddell"
        assert Member.objects.values_list("name", flat=True).get(pk=alice.pk) == ciphertext
        assert capsys.readouterr().out == "2 data keys are now under the current master key.\n"
        assert AuditRecord.objects.get(action="pii_keys.rotated").details == {"wrapped": 2, "webhook_secrets": 0}

    def test_rotation_goes_on_where_it_was_stopped(self, alice: Member, bob: Member, rotated: str) -> None:
        last, wrapped = batches.rewrap_data_keys(after=0, limit=1)

        again = batches.rewrap_data_keys(after=0, limit=10)

        assert (last, wrapped) == (alice.pk, 1)
        assert again == (bob.pk, 1)
        assert batches.rewrap_data_keys(after=0, limit=10) == (0, 0)

    @pytest.mark.parametrize("batch", [0, -1])
    def test_rotation_in_batches_of_nothing_is_refused(self, rotated: str, batch: int) -> None:
        with pytest.raises(CommandError, match="1 or more"):
            call_command("rotate_pii_keys", batch=batch)

        assert not AuditRecord.objects.filter(action="pii_keys.rotated").exists()

    def test_rotation_does_not_claim_to_have_done_what_it_has_not(
        self, alice: Member, bob: Member, rotated: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
    ) -> None:
        assert batches.count_outdated_keys() == 2
        wrap = batches.rewrap_data_keys
        monkeypatch.setattr(batches, "rewrap_data_keys", lambda **how: (0, 0) if how["after"] else wrap(**how))

        with pytest.raises(CommandError, match="1 keys are still under an older master key"):
            call_command("rotate_pii_keys", batch=1)

        assert "are now under" not in capsys.readouterr().out
        call_command("rotate_pii_keys", batch=1)
        assert batches.count_outdated_keys() == 0

    def test_rotation_leaves_the_forgotten_forgotten(self, alice: Member, bob: Member, rotated: str) -> None:
        Member.objects.filter(pk=bob.pk).update(
            data_key=None, name=None, phone=None, email=None, birthday=None, address=None, birth_month=None
        )

        call_command("rotate_pii_keys")

        assert reread(bob).data_key is None
