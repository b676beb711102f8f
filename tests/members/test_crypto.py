import base64

import pytest

from config.lib import crypto
from config.lib.crypto import DecryptionError, KeyProblem, KeyRing

KEY = bytes(range(32))
OLD = f"old:{base64.b64encode(b'o' * 32).decode()}"
NEW = f"new:{base64.b64encode(b'n' * 32).decode()}"


def test_what_is_sealed_opens_in_its_own_place() -> None:
    sealed = crypto.seal(KEY, "王小明".encode(), "members_member.name.1")

    assert crypto.unseal(KEY, sealed, "members_member.name.1").decode() == "王小明"
    assert "王小明".encode() not in sealed


def test_the_same_text_is_sealed_differently_each_time() -> None:
    assert crypto.seal(KEY, b"Alice", "here") != crypto.seal(KEY, b"Alice", "here")


def test_any_changed_byte_is_noticed() -> None:
    sealed = crypto.seal(KEY, b"Alice", "here")

    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(DecryptionError):
            crypto.unseal(KEY, bytes(changed), "here")


@pytest.mark.parametrize("context", ["members_member.phone.1", "members_member.name.2", "other.name.1", ""])
def test_a_value_does_not_open_in_another_place(context: str) -> None:
    sealed = crypto.seal(KEY, b"Alice", "members_member.name.1")

    with pytest.raises(DecryptionError):
        crypto.unseal(KEY, sealed, context)


@pytest.mark.parametrize("garbage", [b"", b"\x01", b"Alice", b"\x01" + b"0" * 27, b"\x02" + b"0" * 60])
def test_what_was_never_sealed_is_refused_and_not_returned(garbage: bytes) -> None:
    with pytest.raises(DecryptionError):
        crypto.unseal(KEY, garbage, "here")


def test_a_data_key_names_the_master_key_that_wrapped_it() -> None:
    wrapped = KeyRing.parse([OLD]).wrap(KEY, "row 1")

    assert wrapped.startswith(crypto.wrapped_prefix("old"))
    assert KeyRing.parse([NEW, OLD]).unwrap(wrapped, "row 1") == KEY


def test_a_missing_master_key_is_named() -> None:
    wrapped = KeyRing.parse([OLD]).wrap(KEY, "row 1")

    with pytest.raises(DecryptionError, match="the master key old is not in the settings"):
        KeyRing.parse([NEW]).unwrap(wrapped, "row 1")


def test_a_data_key_cannot_be_passed_off_as_wrapped_by_another_master_key() -> None:
    ring = KeyRing.parse([OLD, NEW])
    wrapped = ring.wrap(KEY, "row 1")
    forged = crypto.wrapped_prefix("new") + wrapped.removeprefix(crypto.wrapped_prefix("old"))

    with pytest.raises(DecryptionError):
        ring.unwrap(forged, "row 1")


@pytest.mark.parametrize("garbage", [b"", b"\x02", b"\x02\x00", b"\x02\x09short", b"\x02\x02\xff\xff" + b"0" * 40])
def test_what_is_no_wrapped_key_is_refused(garbage: bytes) -> None:
    with pytest.raises(DecryptionError):
        KeyRing.parse([OLD]).unwrap(garbage, "row 1")


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        ([], "no key is set"),
        (["bm8gaWQ="], "key 1: expected id:base64"),
        ([":" + OLD[4:]], "key 1: expected id:base64"),
        ([OLD, "new:!!!"], r"key 2 \(new\): not valid base64"),
        (["short:YWJj"], r"key 1 \(short\): 3 bytes long where 32 are needed"),
        ([OLD, OLD], "key 2: the id old is used twice"),
    ],
)
def test_an_unusable_key_setting_is_named_by_place_and_reason(texts: list[str], reason: str) -> None:
    with pytest.raises(KeyProblem, match=reason):
        KeyRing.parse(texts)


def test_a_key_ring_does_not_show_its_keys() -> None:
    assert "ooo" not in repr(KeyRing.parse([OLD]))


def test_a_key_is_read_as_it_is_written() -> None:
    assert crypto.decode_key(crypto.encode_key(KEY)) == KEY


def test_a_blind_index_depends_on_key_purpose_and_text() -> None:
    index = crypto.blind_index(KEY, "phone", "+8613800138000")

    assert index == crypto.blind_index(KEY, "phone", "+8613800138000")
    assert index != crypto.blind_index(b"x" * 32, "phone", "+8613800138000")
    assert index != crypto.blind_index(KEY, "email", "+8613800138000")
    assert index != crypto.blind_index(KEY, "phone", "+8613800138001")
    assert len(index) == 43
