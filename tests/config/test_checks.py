import pytest
from pytest_django import Settings

from config import checks


def test_production_must_be_given_its_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in checks.SECRETS:
        monkeypatch.setenv(name, "given")
    assert checks.check_secrets() == []

    monkeypatch.delenv("LAUREL_PII_KEYS")

    assert [(error.id, "LAUREL_PII_KEYS" in error.msg) for error in checks.check_secrets()] == [("laurel.E001", True)]


def test_production_sends_no_webhooks_to_itself(settings: Settings) -> None:
    assert checks.check_webhooks() == []

    settings.LAUREL_WEBHOOKS_LOCAL = True

    assert [error.id for error in checks.check_webhooks()] == ["laurel.E002"]
