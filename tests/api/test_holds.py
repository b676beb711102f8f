from typing import Any
from uuid import uuid4

import pytest
import time_machine

from members.models import Member
from points import reports
from points.models import Balance, Hold
from tests.api.conftest import NOON, Caller, purchase
from tests.members.factories import MemberFactory


def hold(till: Caller, member: Member, reference: str = "h", points: int = 100, **more: Any) -> dict[str, Any]:
    answer = till.post("holds/", {"reference": reference, "member": member.number, "points": points, **more})
    assert answer.status == 201, answer.text
    body: dict[str, Any] = answer.body
    return body


def available(member: Member) -> tuple[int, int, int]:
    balance = Balance.objects.get(member=member, point_type__code="points")
    return balance.available, balance.held, balance.redeemed


@time_machine.travel("2026-03-01T04:00:00Z", tick=False)
def test_points_are_held_for_a_while(till: Caller, rich: Member) -> None:
    body = hold(till, rich, expires_in=600)

    assert body == {
        "id": str(Hold.objects.get().key),
        "status": "held",
        "member": rich.number,
        "type": "points",
        "points": 100,
        "captured": 0,
        "expires_at": "2026-03-01T12:10:00+08:00",
        "reference": "h",
    }
    assert available(rich) == (900, 100, 0)


def test_a_capture_spends_and_releases_the_rest(till: Caller, rich: Member) -> None:
    held = hold(till, rich)

    answer = till.post(f"holds/{held['id']}/capture/", {"reference": "c", "points": 60})

    assert (answer.status, answer.body["status"], answer.body["captured"]) == (201, "captured", 60)
    assert available(rich) == (940, 0, 60)


def test_a_void_gives_everything_back(till: Caller, rich: Member) -> None:
    held = hold(till, rich)

    answer = till.post(f"holds/{held['id']}/void/", {"reference": "v"})

    assert (answer.status, answer.body["status"]) == (201, "voided")
    assert available(rich) == (1000, 0, 0)


@pytest.mark.parametrize("step", ["capture", "void"])
def test_every_step_can_be_sent_again(till: Caller, rich: Member, step: str) -> None:
    held = hold(till, rich)
    again = till.post("holds/", {"reference": "h", "member": rich.number, "points": 100})

    first, second = (till.post(f"holds/{held['id']}/{step}/", {"reference": "s"}) for _ in range(2))

    assert (again.status, again.body, again.headers["Idempotent-Replayed"]) == (200, held, "true")
    assert (first.status, second.status, second.headers["Idempotent-Replayed"]) == (201, 200, "true")
    assert first.body == second.body


def test_a_used_reference_with_other_content_is_a_conflict(till: Caller, rich: Member) -> None:
    hold(till, rich)

    answer = till.post("holds/", {"reference": "h", "member": rich.number, "points": 5})

    assert (answer.status, answer.body["code"]) == (409, "reference_conflict")
    assert available(rich) == (900, 100, 0)


@pytest.mark.parametrize("change", [{"type": "gold"}, {"points": 10**12}])
def test_a_used_reference_is_a_conflict_whatever_else_is_wrong(
    till: Caller, rich: Member, change: dict[str, Any]
) -> None:
    held = hold(till, rich)
    till.post(f"holds/{held['id']}/capture/", {"reference": "c", "points": 60})

    again = till.post("holds/", {"reference": "h", "member": rich.number, "points": 100, **change})
    captured = till.post(f"holds/{held['id']}/capture/", {"reference": "c", "points": 101})
    fresh = till.post(f"holds/{held['id']}/capture/", {"reference": "c-2", "points": 101})

    assert [(one.status, one.body["code"]) for one in (again, captured, fresh)] == [
        (409, "reference_conflict"),
        (409, "reference_conflict"),
        (422, "hold_exceeded"),
    ]
    assert available(rich) == (940, 0, 60)


def test_a_closed_hold_stays_closed(till: Caller, rich: Member) -> None:
    held = hold(till, rich)
    till.post(f"holds/{held['id']}/void/", {"reference": "v"})

    answer = till.post(f"holds/{held['id']}/capture/", {"reference": "c"})

    assert answer.is_problem
    assert (answer.status, answer.body["code"], answer.body["state"]) == (409, "hold_closed", "voided")
    assert "Voided" in answer.body["detail"]
    assert available(rich) == (1000, 0, 0)


def test_more_than_there_is_cannot_be_held(till: Caller, rich: Member) -> None:
    answer = till.post("holds/", {"reference": "h", "member": rich.number, "points": 1_001})

    assert answer.is_problem
    assert (answer.status, answer.body["code"]) == (422, "insufficient_points")
    assert (answer.body["needed"], answer.body["available"]) == (1001, 1000)
    assert not Hold.objects.exists()


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"points": 0}, 400, "invalid"),
        ({"points": "5"}, 400, "invalid"),
        ({"points": 1.5}, 400, "invalid"),
        ({"points": True}, 400, "invalid"),
        ({"points": 10**30}, 400, "invalid"),
        ({"expires_in": 0}, 400, "invalid"),
        ({"expires_in": 86_400 * 31}, 400, "invalid"),
        ({"reference": ""}, 400, "invalid"),
        ({"member": "000000000000"}, 404, "unknown_member"),
        ({"type": "growth"}, 422, "points_not_redeemable"),
        ({"type": "gold"}, 422, "unknown_point_type"),
        ({"until": "tomorrow"}, 400, "invalid"),
    ],
)
def test_a_hold_that_cannot_be_is_refused(
    till: Caller, rich: Member, change: dict[str, object], status: int, code: str
) -> None:
    answer = till.post("holds/", {"reference": "h", "member": rich.number, "points": 1, **change})

    assert answer.is_problem
    assert (answer.status, answer.body["code"]) == (status, code), answer.text
    assert not Hold.objects.exists()


def test_more_than_is_held_cannot_be_captured(till: Caller, rich: Member) -> None:
    held = hold(till, rich)

    answer = till.post(f"holds/{held['id']}/capture/", {"reference": "c", "points": 101})

    assert (answer.status, answer.body["code"]) == (422, "hold_exceeded")


@pytest.mark.parametrize("step", ["capture", "void"])
def test_another_system_s_hold_is_not_there(till: Caller, shop: Caller, rich: Member, step: str) -> None:
    held = hold(till, rich)

    others = shop.post(f"holds/{held['id']}/{step}/", {"reference": "x"})
    unknown = till.post(f"holds/{uuid4()}/{step}/", {"reference": "x"})

    assert [(answer.status, answer.is_problem) for answer in (others, unknown)] == [(404, True)] * 2
    assert available(rich) == (900, 100, 0)


def test_points_captured_for_an_event_come_back_with_its_refund(till: Caller, rich: Member) -> None:
    till.post("events/", purchase(rich, "bill", "50.00"))
    held = hold(till, rich, points=300)

    captured = till.post(f"holds/{held['id']}/capture/", {"reference": "c", "points": 200, "event": "bill"})
    again = till.post(f"holds/{held['id']}/capture/", {"reference": "c", "points": 200, "event": "bill"})
    other = till.post(f"holds/{held['id']}/capture/", {"reference": "c", "points": 200, "event": "first"})
    assert (captured.status, again.status, other.status) == (201, 200, 409), captured.text
    assert available(rich) == (850, 0, 200)

    money = {"amount": "25.00", "currency": "CNY"}
    half = till.post("events/bill/refunds/", {"reference": "r-1", "occurred_at": NOON, "money": money})
    assert [(entry["kind"], entry["points"]) for entry in half.body["entries"]] == [
        ("restoration", 100),
        ("clawback", 25),
        ("clawback", 25),  # growth
    ]
    till.post("events/bill/refunds/", {"reference": "r-2", "occurred_at": NOON})
    assert available(rich) == (1000, 0, 0)
    assert not reports.check_books()


def test_nothing_is_captured_for_a_purchase_of_which_nothing_is_left(till: Caller, rich: Member) -> None:
    till.post("events/", purchase(rich, "bill", "50.00"))
    before, after = hold(till, rich, "h-1"), hold(till, rich, "h-2")
    first = till.post(f"holds/{before['id']}/capture/", {"reference": "c-1", "points": 40, "event": "bill"})
    till.post("events/bill/refunds/", {"reference": "r-1", "occurred_at": NOON})
    assert available(rich) == (900, 100, 0)

    again = till.post(f"holds/{before['id']}/capture/", {"reference": "c-1", "points": 40, "event": "bill"})
    refused = till.post(f"holds/{after['id']}/capture/", {"reference": "c-2", "event": "bill"})

    assert (again.status, again.body) == (200, first.body)
    assert refused.is_problem
    assert (refused.status, refused.body["code"]) == (422, "event_refunded")
    assert available(rich) == (900, 100, 0)
    elsewhere = till.post(f"holds/{after['id']}/capture/", {"reference": "c-2"})
    assert (elsewhere.status, available(rich)) == (201, (900, 0, 100))


def test_an_event_without_money_is_paid_for_until_it_is_refunded(till: Caller, rich: Member) -> None:
    till.post("events/", {**purchase(rich, "review"), "type": "review", "money": None})
    first, second = hold(till, rich, "h-1"), hold(till, rich, "h-2")

    captured = till.post(f"holds/{first['id']}/capture/", {"reference": "c-1", "event": "review"})
    till.post("events/review/refunds/", {"reference": "r-1", "occurred_at": NOON})
    refused = till.post(f"holds/{second['id']}/capture/", {"reference": "c-2", "event": "review"})

    assert (captured.status, refused.status, refused.body["code"]) == (201, 422, "event_refunded")
    assert available(rich) == (900, 100, 0)


def test_points_are_captured_only_for_an_event_of_this_client_and_member(
    till: Caller, shop: Caller, rich: Member
) -> None:
    bob = MemberFactory.create()
    till.post("events/", purchase(bob, "of-bob"))
    shop.post("events/", purchase(rich, "of-shop"))
    held = hold(till, rich)

    for reference in ("of-bob", "of-shop", "nobody-s"):
        answer = till.post(f"holds/{held['id']}/capture/", {"reference": "c", "event": reference})
        assert answer.is_problem
        assert (answer.status, answer.body["code"]) == (404, "unknown_event")

    assert available(rich) == (1096, 100, 0)


def test_a_hold_ends_at_its_deadline(till: Caller, rich: Member) -> None:
    with time_machine.travel("2026-03-01T04:00:00Z", tick=False) as clock:
        held = hold(till, rich, expires_in=1)
        clock.shift(1)

        answer = till.post(f"holds/{held['id']}/capture/", {"reference": "c"})

    assert (answer.status, answer.body["code"], answer.body["state"]) == (409, "hold_closed", "expired")
    assert available(rich) == (900, 100, 0)
