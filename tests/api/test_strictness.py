"""What could be meant in two ways, or not at all, is refused and not guessed."""

import json

import pytest
from django.test import Client as Browser
from django.utils import translation
from django.utils.translation import trans_real

from members.models import Member
from points.models import Event
from rewards.models import Redemption

from .conftest import NOON, Caller

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ('{"reference": "h-1", "member": "%s", "points": 5, "points": 500}', "points"),
        ('{"reference": "h-1", "member": "%s", "points": 5, "p\\u006fints": 5}', "points"),
        ('{"reference": "h-1", "member": "%s", "points": 5, "\\ud800": 1, "\\ud800": 2}', "?"),
    ],
)
def test_a_name_given_twice_is_refused_and_named(till: Caller, alice: Member, body: str, name: str) -> None:
    answer = till.call("POST", "holds/", raw=body % alice.number)

    assert (answer.status, answer.body["code"]) == (400, "malformed")
    assert answer.body["detail"] == f"The body names {name} twice in one object."
    assert till.get(f"members/{alice.number}/balance/").body[0]["held"] == 0


def test_a_name_given_twice_within_a_list_of_events_is_refused_with_the_list(till: Caller, alice: Member) -> None:
    event = {"reference": "e-1", "member": alice.number, "type": "purchase", "occurred_at": NOON}
    twice = json.dumps(event)[:-1] + ', "money": {"amount": "1", "amount": "100", "currency": "CNY"}}'

    answer = till.call("POST", "events/", raw=f"[{json.dumps(event)}, {twice}]")

    assert (answer.status, answer.body["code"]) == (400, "malformed")
    assert not Event.objects.exists()


@pytest.mark.parametrize("query", ["?preview=true", "?page_size=5", "?cursor=x", "?"])
def test_a_write_takes_no_parameters(till: Caller, alice: Member, query: str) -> None:
    event = {"reference": "e-1", "member": alice.number, "type": "purchase", "occurred_at": NOON}

    answer = till.post(f"events/{query}", event)

    assert answer.status == (201 if query == "?" else 400)
    assert Event.objects.exists() == (query == "?")
    if query != "?":
        assert list(answer.body["errors"]) == [query[1:].partition("=")[0]]


def test_what_a_view_is_asked_when_reading_is_no_parameter_of_its_writes(till: Caller, alice: Member) -> None:
    asked = {"reference": "r-1", "member": alice.number, "reward": "x"}

    assert till.post("redemptions/?member=1", asked).body["errors"] == {"member": ["This parameter is not known."]}
    assert till.call("PATCH", f"members/{alice.number}/?number=1", {"name": "B"}).status == 400
    assert not Redemption.objects.exists()


def test_the_description_comes_in_our_languages_and_keeps_no_other(client: Browser) -> None:
    english, chinese = (client.get("/api/v1/schema/", {"lang": code}).content.decode() for code in ("en", "zh-hans"))
    known = set(vars(trans_real)["_translations"])

    for code in ("en-x-1", "zz", "x" * 50, ""):
        answer = client.get("/api/v1/schema/", {"lang": code})
        assert answer.content.decode() == english
    assert chinese != english
    assert set(vars(trans_real)["_translations"]) == known
    assert translation.get_language() == "en"
