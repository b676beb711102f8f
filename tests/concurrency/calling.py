"""Requests of many client systems at once, through the whole API as a till calls it."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

from members.models import Member
from rewards.models import Reward
from tests.api.conftest import NOON, Answer, Caller, purchase
from tests.members.factories import MemberFactory
from tests.points.factories import new_reference

from .racing import at_once, winners

#: Connections at a time.
CLIENTS = 32

#: An address below /api/v1/ and what is posted there.
Request = tuple[str, Any]


def send_at_once(till: Caller, requests: Sequence[Request]) -> list[Answer]:
    """Post every request, many at a time; each has its answer, and none of them is an error of ours."""
    answers = winners(at_once([partial(till.post, path, body) for path, body in requests], clients=CLIENTS))
    assert len(answers) == len(requests)
    assert not [answer.text for answer in answers if answer.status >= 500]
    return answers


def tally(answers: Sequence[Answer]) -> Counter[tuple[int, str]]:
    """How often each status came, with its code where it was a refusal."""
    return Counter((answer.status, answer.body["code"] if answer.is_problem else "") for answer in answers)


def member_with(till: Caller, points: int) -> Member:
    """A member after a purchase that gave so many points."""
    member = MemberFactory.create()
    answer = till.post("events/", purchase(member, new_reference("bill"), f"{points}.00"))
    assert answer.status == 201, answer.text
    return member


def held(till: Caller, member: Member, points: int = 100) -> str:
    """The address of a hold of the member's points."""
    answer = till.post("holds/", {"reference": new_reference("h"), "member": member.number, "points": points})
    assert answer.status == 201, answer.text
    return f"holds/{answer.body['id']}"


def ordered(till: Caller, member: Member, reward: Reward) -> str:
    """The address of an order of the member's."""
    answer = till.post("redemptions/", order(member, reward))
    assert answer.status == 201, answer.text
    return f"redemptions/{answer.body['id']}"


def order(member: Member, reward: Reward) -> dict[str, Any]:
    return {"reference": new_reference("o"), "member": member.number, "reward": reward.code}


def refund(**part: Any) -> dict[str, Any]:
    return {"reference": new_reference("b"), "occurred_at": NOON, **part}


def yuan(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "CNY"}
