"""The description of the API says what the code does, and is shown from our own static files."""

import re
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client as Browser

from tests.api.conftest import Caller
from tests.api.test_access import CALLS


@pytest.fixture
def schema(stranger: Caller) -> dict[str, Any]:
    """The description as anybody gets it."""
    answer = stranger.get("schema/")
    assert (answer.status, answer.type) == (200, "application/vnd.oai.openapi+json")
    described: dict[str, Any] = answer.body
    return described


def test_the_description_is_valid_and_complete(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "schema.yml"))


def test_every_call_is_described_with_its_scope_and_its_errors(schema: dict[str, Any]) -> None:
    assert schema["openapi"].startswith("3.1")
    operations = [
        (path, method, operation)
        for path, calls in schema["paths"].items()
        for method, operation in calls.items()
        if method != "parameters" and not path.endswith("/schema/")
    ]
    assert len(operations) == len(CALLS)
    for path, method, operation in operations:
        wanted = {"400", "401", "403", "404", "503"} | ({"409", "415", "422", "429"} if method != "get" else set())
        assert wanted <= operation["responses"].keys(), path
        assert "Scope: `" in operation["description"], path
        assert {"clientKey": []} in operation["security"], path
        assert operation["summary"], path


def test_the_event_s_words_are_those_of_the_contract(schema: dict[str, Any]) -> None:
    event = schema["components"]["schemas"]["EventBodyRequest"]

    assert set(event["required"]) == {"reference", "member", "type", "occurred_at"}
    assert {"money", "channel", "store", "attributes", "items"} <= event["properties"].keys()
    entry = schema["components"]["schemas"]["EntryAnswer"]["properties"]
    assert {"from", "to", "available_after", "lots", "event", "rule", "note"} <= entry.keys()


def test_the_documentation_comes_from_our_own_files_under_the_strict_policy(db: None) -> None:
    page = Browser().get("/api/v1/docs/")

    assert page.status_code == 200
    sources = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(sources) == 5
    assert all(source.startswith("/") for source in sources)
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    assert not re.search(r"<script>|<style|style=|onclick=", page.text)
    script = Browser().get("/api/v1/docs/?script=")
    assert (script.status_code, script.headers["Content-Type"]) == (200, "application/javascript")
    assert "/api/v1/schema/" in script.text or "../schema/" in script.text
