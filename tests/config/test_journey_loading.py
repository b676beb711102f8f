"""The Complete Journey in the programme: days, redemptions and nights, once however often it is loaded."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.db.models import Sum

from config import seed
from config.journey import loading, reading
from config.journey.loading import Load
from config.journey.reading import Household, Redemption
from members.models import Member, MemberKey
from points import calendar, closing, reports
from points.actions import catalogue
from points.models import DailyStatistic, Entry, Event, JobRun, MemberMonth
from rewards.models import Redemption as Order
from tests.points.factories import nothing_changes

pytestmark = pytest.mark.django_db
#: Two households that redeem coupons in January, and one that does not.
IDS = (1923, 1773, 149)
LAST = date(2017, 1, 29)


@pytest.fixture(autouse=True)
def _programme() -> None:
    catalogue.forget()
    seed.seed_programme()
    seed.seed_currency(reading.CURRENCY)


@pytest.fixture(scope="module")
def households() -> list[Household]:
    found = {household.id: household for household in reading.households()}
    return [found[number] for number in IDS]


@pytest.fixture
def wanted(households: list[Household]) -> Load:
    return Load(households=households, last_day=LAST)


def books() -> Mapping[str, Any]:
    """Return what the books hold, by household and not by the number a member happened to get."""
    who = dict(MemberKey.objects.filter(kind="external").values_list("member_id", "key"))
    entries = Entry.objects.values_list("member_id", "seq", "kind", "points", "available_after", "recorded_at")
    orders = Order.objects.values_list("member_id", "reference", "points")
    months = MemberMonth.objects.values_list("member_id", "month", "category", "amount_minor", "earned", "redeemed")
    return {
        "entries": sorted((who[member], *rest) for member, *rest in entries),
        "orders": sorted((who[member], *rest) for member, *rest in orders),
        "months": sorted((who[member], *rest) for member, *rest in months),
        "days": sorted(DailyStatistic.objects.values_list("day", "point_type", "kind", "tier", "points")),
        "tiers": sorted((who[member], tier) for member, tier in Member.objects.values_list("pk", "tier__code")),
    }


def undone(wanted: Load) -> Mapping[str, Any]:
    """Load, look at the books, and undo it all."""
    with transaction.atomic():
        loading.load(wanted)
        seen = books()
        transaction.set_rollback(True)
    return seen


def test_households_baskets_coupons_and_nights_are_in_the_books(wanted: Load, households: list[Household]) -> None:
    loaded = loading.load(wanted)

    days = [(day, baskets) for day, baskets in reading.days(IDS) if day <= LAST]
    baskets = [basket for _day, found in days for basket in found]
    assert (loaded.members, loaded.days, loaded.baskets) == (3, 29, len(baskets))
    assert Event.objects.aggregate(Sum("amount_minor"))["amount_minor__sum"] == sum(b.amount_minor for b in baskets)
    assert loaded.points["growth"] == sum(basket.amount_minor // 100 for basket in baskets)
    assert loaded.redeemed == Order.objects.count() > 0
    assert JobRun.objects.filter(job="close", state="done").count() == 29
    assert MemberMonth.objects.filter(category="GROCERY").exists()
    assert DailyStatistic.objects.filter(kind="accrual").exists()
    assert reports.check_books() == []


def test_a_day_is_recorded_on_itself_and_its_night_at_the_end_of_it(wanted: Load) -> None:
    loading.load(wanted)

    for entry in Entry.objects.exclude(kind__in=["maturity", "expiry"]).select_related("event"):
        assert calendar.local_date(entry.recorded_at) == calendar.local_date(entry.occurred_at)
    for entry in Entry.objects.filter(kind__in=["maturity", "expiry"]):
        assert entry.recorded_at == calendar.start_of(calendar.local_date(entry.recorded_at))


def test_loading_again_changes_nothing(wanted: Load) -> None:
    first = loading.load(wanted)

    with nothing_changes():
        again = loading.load(wanted)

    assert again == first


@pytest.mark.parametrize("quick", [False, True])
def test_a_load_that_broke_off_in_a_night_goes_on_to_the_same_books(
    wanted: Load, monkeypatch: pytest.MonkeyPatch, quick: bool
) -> None:
    wanted = replace(wanted, quick_nights=quick)
    whole = undone(wanted)
    steps = closing.steps

    def break_off(day: date, at: datetime, told: Any) -> Any:
        if day == date(2017, 1, 14):
            raise KeyboardInterrupt
        return steps(day, at, told)

    monkeypatch.setattr(closing, "steps", break_off)
    with pytest.raises(KeyboardInterrupt):
        loading.load(wanted)
    monkeypatch.undo()
    loading.load(wanted)

    assert books() == whole
    assert reports.check_books() == []


def test_quick_nights_end_at_the_same_books(wanted: Load) -> None:
    assert undone(replace(wanted, quick_nights=True)) == undone(wanted)


def test_a_larger_sample_and_more_weeks_are_added_to_what_is_there(wanted: Load, households: list[Household]) -> None:
    whole = undone(wanted)
    loading.load(replace(wanted, households=households[:1], last_day=date(2017, 1, 15)))

    loading.load(wanted)

    ours = books()
    assert {name: ours[name] for name in ("orders", "months", "tiers")} == {
        name: whole[name] for name in ("orders", "months", "tiers")
    }
    assert [entry[:5] for entry in ours["entries"]] == [entry[:5] for entry in whole["entries"]]
    assert reports.check_books() == []
    with nothing_changes():
        loading.load(replace(wanted, households=households[:2]))


def test_a_redemption_that_was_refused_stays_refused(wanted: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monday = date(2017, 1, 2)
    too_many = {monday: [Redemption(1923, 1, monday, number) for number in range(1, 40)]}
    monkeypatch.setattr(reading, "redemptions", lambda only=None: too_many)

    loaded = loading.load(replace(wanted, nights=False))

    assert loaded.redeemed + loaded.refused.total() == 39
    assert loaded.refused["insufficient_points"] > 0
    JobRun.objects.filter(business_date=monday).update(state="running")
    with nothing_changes():
        assert loading.load(replace(wanted, nights=False)) == loaded


def test_a_year_can_be_moved_and_stays_where_it_was_moved(wanted: Load) -> None:
    shift = loading.shift_to(date(2026, 11, 22), source="moved")
    moved = replace(wanted, source="moved", shift=shift, last_day=date(2017, 1, 8), nights=False)

    loading.load(moved)

    event = Event.objects.order_by("occurred_at", "id")[0]
    assert calendar.local_date(event.occurred_at) - reading.FIRST_DAY >= shift
    assert shift == timedelta(days=3_248)
    assert loading.shift_to(date(2027, 1, 1), source="moved") == shift


def test_what_else_happens_happens_on_its_day(wanted: Load) -> None:
    seen: list[tuple[datetime, list[int]]] = []
    story = {date(2017, 1, 3): lambda at, members: seen.append((at, sorted(members)))}

    loading.load(replace(wanted, last_day=date(2017, 1, 5), nights=False, story=story))

    ((at, members),) = seen
    assert calendar.local_date(at) == date(2017, 1, 3)
    assert members == sorted(IDS)


def test_the_command_loads_a_sample_and_checks_the_books(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("load_complete_journey", "--households", "2", "--weeks", "1")

    told = capsys.readouterr().out
    assert "Households, now members                      2" in told
    assert "Days                                         7" in told
    assert "The books agree" in told
    assert JobRun.objects.filter(job="close").count() == 7


def test_the_command_says_how_to_get_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*args: Any) -> Any:
        raise reading.DataMissing("not here")

    monkeypatch.setattr(reading, "households", missing)

    with pytest.raises(CommandError, match="not here"):
        call_command("load_complete_journey", "--households", "2")
    with pytest.raises(CommandError, match="0 is not a whole number from 1 on"):
        call_command("load_complete_journey", "--households", "0")


def test_breaks_in_the_books_are_told_and_end_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = reports.Break("chain_broken", 1, 1, "entry 1")
    monkeypatch.setattr(reports, "check_books", lambda: [broken])

    with pytest.raises(SystemExit, match="1"):
        call_command("load_complete_journey", "--households", "1", "--weeks", "1", "--no-nights")

    assert "chain_broken: member 1" in capsys.readouterr().err
