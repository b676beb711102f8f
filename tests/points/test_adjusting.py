"""Staff correct with a reason, up and down, and never below nought."""

from datetime import date, timedelta
from typing import Any

import pytest

from members.models import Member
from points import reports
from points.actions import adjusting
from points.actions.posting import InsufficientPoints, PointsOutOfRange, Posted, ReferenceConflict
from points.models import Entry, ExpiryPolicy

from .factories import (
    AT,
    TESTER,
    PointTypeFactory,
    accounts,
    expiring_lot,
    growth,
    history,
    in_utc,
    local,
    lots,
    new_member,
    new_reference,
    nothing_changes,
)

pytestmark = pytest.mark.django_db


def adjust(member: Member, points: int, *, credit: bool = True, **given: Any) -> Posted:
    return adjusting.adjust(
        **{
            "member": member,
            "points": points,
            "credit": credit,
            "reason": "goodwill",
            "reference": new_reference("adjust"),
            "actor": TESTER,
            "at": AT,
            **given,
        }
    )


def test_a_credit_opens_a_lot_that_ends_as_the_point_type_says() -> None:
    PointTypeFactory.create(code="points", expiry_policy=ExpiryPolicy.MONTHS_END, expiry_value=12)
    member = new_member()

    posted = adjust(member, 50, note="We are sorry.")

    assert posted.available == 50
    assert lots(member) == [(50, in_utc(local(2027, 4, 1)))]
    entry = Entry.objects.get(member=member)
    assert (entry.reason, entry.note, entry.actor, entry.source) == ("goodwill", "We are sorry.", TESTER, "admin")


def test_a_debit_takes_the_soonest_ending_points_and_no_more_than_there_are() -> None:
    member = new_member()
    adjust(member, 50)
    expiring_lot(member, 30, date(2026, 6, 30))

    adjust(member, 40, credit=False)

    assert lots(member) == [(40, None)]
    assert accounts(member) == {"issued": 40, "available": 40}
    with nothing_changes(), pytest.raises(InsufficientPoints):
        adjust(member, 41, credit=False)
    assert not reports.check_books()


@pytest.mark.parametrize("reason", ["", "  ", "\n"])
def test_nobody_adjusts_without_a_reason(reason: str) -> None:
    member = new_member()

    with nothing_changes(), pytest.raises(adjusting.ReasonMissing):
        adjust(member, 50, reason=reason)


@pytest.mark.parametrize("points", [0, -50, 10**12 + 1])
@pytest.mark.parametrize("credit", [True, False])
def test_a_number_that_is_none_is_refused(points: int, credit: bool) -> None:
    member = new_member()
    adjust(member, 100)

    with nothing_changes(), pytest.raises(PointsOutOfRange):
        adjust(member, points, credit=credit)


def test_the_same_adjustment_again_is_the_first_and_another_is_a_conflict() -> None:
    growth()
    member, somebody = new_member(), new_member()
    first = adjust(member, 50, reference="a")

    with nothing_changes():
        again = adjust(member, 50, reference="a", at=AT + timedelta(days=1))
    assert (again.entry_id, again.replayed) == (first.entry_id, True)

    changes: list[dict[str, Any]] = [
        {"points": 51},
        {"credit": False},
        {"reason": "error"},
        {"member": somebody},
        {"point_type": "growth"},
    ]
    for change in changes:
        given = {"member": member, "points": 50, **change}
        with nothing_changes(), pytest.raises(ReferenceConflict):
            adjust(given.pop("member"), given.pop("points"), reference="a", **given)


def test_a_refused_adjustment_leaves_its_reference_free() -> None:
    member = new_member()
    with nothing_changes(), pytest.raises(InsufficientPoints):
        adjust(member, 10, credit=False, reference="a")

    adjust(member, 10)

    assert adjust(member, 10, credit=False, reference="a").available == 0
    assert [kind for kind, *_rest in history(member)] == ["adjustment", "adjustment"]


def test_growth_is_adjusted_like_points() -> None:
    growth()
    member = new_member()

    adjust(member, 500, point_type="growth")
    adjust(member, 100, credit=False, point_type="growth")

    assert accounts(member, "growth") == {"issued": 400, "available": 400}
    assert accounts(member) == {}
