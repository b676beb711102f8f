"""The examples of the description are possible: each fits its schema, and each refusal is one the code knows."""

from typing import Any

import jsonschema

from config.api_examples import BAD_EVENTS, CALLS, refusals_of
from tests.api.test_schema import schema

__all__ = ["schema"]  # a fixture


def operations(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        call["operationId"]: call
        for calls in schema["paths"].values()
        for call in calls.values()
        if call["operationId"] != "schema_retrieve"
    }


def check(schema: dict[str, Any], content: dict[str, Any]) -> int:
    """Hold each example of a content to its schema; return how many there were."""
    whole = {"components": schema["components"], **content["schema"]}
    validator = jsonschema.Draft202012Validator(whole, format_checker=jsonschema.FormatChecker())
    for example in content.get("examples", {}).values():
        validator.validate(example["value"])
    return len(content.get("examples", {}))


def test_every_call_has_an_example_and_each_fits_its_schema(schema: dict[str, Any]) -> None:
    described = operations(schema)

    assert described.keys() == CALLS.keys()
    for name, call in described.items():
        for content in call.get("requestBody", {}).get("content", {}).values():
            assert check(schema, content) == 1, name
        for status, answer in call["responses"].items():
            for content in answer.get("content", {}).values():
                assert check(schema, content) >= 1, (name, status)
    for answer in schema["components"]["responses"].values():
        for content in answer["content"].values():
            check(schema, content)


def test_each_refusal_is_shown_under_its_status_and_code(schema: dict[str, Any]) -> None:
    described = operations(schema)

    for name in CALLS:
        for refusal in refusals_of(name):
            content = described[name]["responses"][str(refusal.status)]["content"]["application/problem+json"]
            shown = content["examples"][refusal.code]["value"]
            assert (shown["status"], shown["code"], "%(" in shown["detail"]) == (refusal.status, refusal.code, False)


def test_the_bad_events_shown_are_refused_with_their_codes() -> None:
    shown = [refusal.code for refusal in refusals_of("send_events") if refusal.code in BAD_EVENTS]

    assert shown == list(BAD_EVENTS)
