"""Requests made up from the description, right and wrong ones, against the code: no surprise answers.

A slice of them each time; ten thousand and more with LAUREL_CI_LONG=1, as `LAUREL_CI_LONG=1 bash .ci/run` does.
"""

import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django import Settings
from schemathesis import Case, CheckContext, GenerationMode, Response
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from members.models import Member
from tests.api.conftest import Caller
from tests.api.test_access import CALLS
from tests.rewards.factories import CouponRewardFactory, printed_coupon

IS_LONG = os.environ.get("LAUREL_CI_LONG") == "1"
CASES_PER_CALL = 300 if IS_LONG else 15
LEAST_CASES = 5_000 if IS_LONG else 200
PROBLEM = "application/problem+json"


@pytest.fixture
def _one_connection(things: dict[str, dict[str, Any]]) -> Iterator[None]:
    """Keep requests from closing the connection that holds the test's transaction.

    Django's client does so too, but only while it is used: whatever is made with it must be there before.
    """
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def things(till: Caller, rich: Member) -> dict[str, dict[str, Any]]:
    """What there is, by the parameter or the field that names it, for each kind of address."""
    CouponRewardFactory.create(code="voucher", points=1)
    held = till.post("holds/", {"reference": "held", "member": rich.number, "points": 5}).body
    order = till.post("redemptions/", {"reference": "order", "member": rich.number, "reward": "voucher"}).body
    return {
        "path": {"number": rich.number, "reference": "first", "code": printed_coupon().code},
        "body": {"member": rich.number, "reward": "voucher", "event": "first"},
        "keys": {"holds": held["id"], "redemptions": order["id"]},
    }


def code_is_described(_context: CheckContext, response: Response, case: Case[Any]) -> None:
    """Programs decide by the code of a problem: each is shown with the call that answers it."""
    kind = str(response.headers.get("content-type", [""])[0])
    if not kind.startswith(PROBLEM):
        return
    schema: Any = case.operation.schema.raw_schema
    described = case.operation.definition.raw["responses"][str(response.status_code)]
    if reference := described.get("$ref"):
        described = schema["components"]["responses"][reference.rpartition("/")[2]]
    common = schema["components"]["responses"][f"Problem{response.status_code}"]
    shown = {code for each in (described, common) for code in each["content"][PROBLEM].get("examples", {})}
    code = response.json()["code"]
    assert code in shown, f"{code} is not in config/api_examples.py under {case.operation.label}"


CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    code_is_described,
]


def aim(case: Case[Any], things: dict[str, dict[str, Any]]) -> None:
    """Let a made-up request name what there is: members nobody has heard of are refused at the door."""
    path: Any = case.path_parameters or {}
    for name in path:
        if name == "key":
            path[name] = things["keys"]["holds" if "holds" in case.path else "redemptions"]
        elif name in things["path"]:
            path[name] = things["path"][name]
    if isinstance(case.body, dict):
        case.body.update({name: thing for name, thing in things["body"].items() if name in case.body})


@pytest.mark.slow
@pytest.mark.usefixtures("_one_connection")
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_the_code_answers_as_described(
    till: Caller, things: dict[str, dict[str, Any]], mode: GenerationMode, settings: Settings
) -> None:
    settings.LAUREL_COUPON_MISSES = 1_000_000
    schema = schemathesis.openapi.from_wsgi("/api/v1/schema/", get_wsgi_application())
    operations: list[Any] = [result.ok() for result in schema.get_all_operations()]  # type: ignore[union-attr]
    cases = 0

    assert len(operations) >= len(CALLS)
    for operation in operations:

        @given(case=operation.as_strategy(generation_mode=mode), is_aimed=st.booleans())
        @hypothesis_settings(
            max_examples=CASES_PER_CALL, deadline=None, database=None, suppress_health_check=list(HealthCheck)
        )
        def answers_as_described(case: Case[Any], is_aimed: bool) -> None:
            nonlocal cases
            cases += 1
            if is_aimed:
                aim(case, things)
            case.call_and_validate(headers={"Authorization": f"Bearer {till.key}"}, checks=CHECKS)

        answers_as_described()
    assert cases >= LEAST_CASES
