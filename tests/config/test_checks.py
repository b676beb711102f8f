import os
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_django import Settings

from config import checks, folders


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


@pytest.mark.parametrize("currency", ["cny", "RMB元", "", "CNYX"])
def test_a_currency_must_be_one(settings: Settings, currency: str) -> None:
    assert checks.check_currency() == []

    settings.LAUREL_CURRENCY = currency

    assert [error.id for error in checks.check_currency()] == ["laurel.E003"]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DATABASE_URL", "garbage"),
        ("DATABASE_URL", "postgres://"),
        ("DATABASE_URL", "postgres://me:s3cret@host:port/laurel"),
        ("DATABASE_URL", "mysql://me:s3cret@host/laurel"),
        ("LAUREL_VAR", "/dev/null/var"),
        ("LAUREL_TIME_ZONE", "Mars/Olympus"),
        ("LAUREL_TIME_ZONE", "Asia"),
        ("LAUREL_CLOSE_HOUR_UTC", "77"),
        ("LAUREL_CLOSE_HOUR_UTC", "late"),
        ("LAUREL_ADJUSTMENT_LIMIT", "ten"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_a_setting_that_cannot_be_is_named_in_one_line(tmp_path: Path, variable: str, value: str) -> None:
    environment = {**os.environ, "LAUREL_VAR": str(tmp_path), "DATABASE_URL": "postgres://laurel@127.0.0.1:1/laurel"}

    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=folders.BASE_DIR,
        env={**environment, variable: value},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr.startswith(f"{variable}: ")
    assert done.stderr.count("\n") == 1
    assert "s3cret" not in done.stderr
