import pytest
from pytest_django import Settings

from members.checks import check_pii_keys


def found() -> list[str]:
    return [message.id or "" for message in check_pii_keys(None)]


def test_usable_keys_pass() -> None:
    assert found() == []


@pytest.mark.parametrize("keys", ["", "k1", "k1:YWJj", "k1:!!"])
def test_missing_or_unreadable_master_keys_are_an_error(settings: Settings, keys: str) -> None:
    settings.LAUREL_PII_KEYS = keys

    assert found() == ["members.E001"]


@pytest.mark.parametrize("key", ["", "YWJj"])
def test_a_missing_index_key_is_an_error(settings: Settings, key: str) -> None:
    settings.LAUREL_PII_INDEX_KEY = key

    assert found() == ["members.E002"]


def test_one_key_for_both_is_an_error(settings: Settings) -> None:
    settings.LAUREL_PII_INDEX_KEY = settings.LAUREL_PII_KEYS.partition(":")[2]

    assert found() == ["members.E003"]


def test_keys_that_are_not_set_are_an_error(settings: Settings) -> None:
    del settings.LAUREL_PII_KEYS

    assert found() == ["members.E001"]
