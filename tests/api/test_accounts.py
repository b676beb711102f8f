from datetime import date

import pytest
from django.test import Client as Browser
from pytest_django import DjangoAssertNumQueries

from members.models import Member
from points.models import DailyStatistic, EarningRule, MemberMonth, PointType
from tests.api.conftest import LONG_AGO, NOON, Caller, purchase
from tests.members.factories import MemberFactory, sign_in_for

HERE = "http://testserver/api/v1/"


def test_a_balance_tells_each_account(till: Caller, rich: Member) -> None:
    till.post("holds/", {"reference": "h", "member": rich.number, "points": 100})

    answer = till.get(f"members/{rich.number}/balance/")

    assert answer.status == 200
    assert answer.body == [
        {"type": "points", "name": "Points", "available": 900, "pending": 0, "held": 100, "owed": 0, "expiring": []},
        {"type": "growth", "name": "Growth", "available": 1000, "pending": 0, "held": 0, "owed": 0, "expiring": []},
    ]


def test_a_balance_and_its_lots_tell_the_last_day_of_what_expires(till: Caller, rich: Member) -> None:
    EarningRule.objects.create(
        code="review",
        status="active",
        valid_from=LONG_AGO,
        event_types=["review"],
        award_kind="fixed",
        point_type=PointType.objects.get(code="points"),
        points=50,
        expiry_policy="fixed_date",
        expiry_on=date(2098, 3, 31),
    )
    made = till.post("events/", {"reference": "b", "member": rich.number, "type": "review", "occurred_at": NOON})

    balance = till.get(f"members/{rich.number}/balance/").body[0]
    lots = till.get(f"members/{rich.number}/lots/?type=points").body["results"]

    assert [one["expires_on"] for one in made.body["entries"]] == ["2098-03-31"]
    assert (balance["available"], balance["expiring"]) == (1050, [{"on": "2098-03-31", "points": 50}])
    assert [(lot["points"], lot["remaining"], lot["expires_on"]) for lot in lots] == [
        (50, 50, "2098-03-31"),
        (1000, 1000, None),
    ]


@pytest.mark.parametrize(
    "at",
    [
        "2020-01-01T00:00:00Z",
        "2020-01-01T00:00:00%2B08:00",
        "2020-01-01T00:00:00+08:00",
        "2020-01-01T23:59:00%2B23:59",
        "2020-01-01T00:00:00-23:59",
    ],
)
def test_a_balance_of_the_past_is_what_the_books_said_then(till: Caller, rich: Member, at: str) -> None:
    past = till.get(f"members/{rich.number}/balance/?at={at}")
    future = till.get(f"members/{rich.number}/balance/?at=2098-01-01T00:00:00Z")

    assert [one["available"] for one in past.body] == [0, 0]
    assert [one["available"] for one in future.body] == [1000, 1000]


@pytest.mark.parametrize("at", ["2026-01-01T00:00:00", "yesterday", "2026-13-01T00:00:00Z", "%00"])
def test_a_balance_of_no_moment_is_refused(till: Caller, rich: Member, at: str) -> None:
    answer = till.get(f"members/{rich.number}/balance/?at={at}")

    assert answer.is_problem
    assert answer.status == 400
    assert "at" in answer.body["errors"]


def test_entries_tell_the_whole_story_newest_first(till: Caller, rich: Member) -> None:
    held = till.post("holds/", {"reference": "h", "member": rich.number, "points": 100}).body
    till.post(f"holds/{held['id']}/capture/", {"reference": "c", "points": 60})

    page = till.get(f"members/{rich.number}/entries/?type=points").body

    assert [
        (one["kind"], one["points"], one["from"], one["to"], one["available_after"]) for one in page["results"]
    ] == [
        ("release", 40, "held", "available", 940),
        ("redemption", 60, "held", "redeemed", 900),
        ("hold", 100, "available", "held", 900),
        ("accrual", 1000, "issued", "available", 1000),
    ]
    accrual, hold = page["results"][3], page["results"][2]
    assert (accrual["event"], accrual["rule"], accrual["reference"]) == ("first", "purchase-points", "first")
    assert accrual["occurred_at"] == NOON
    assert accrual["lots"] == [{"lot": accrual["lots"][0]["lot"], "points": 1000, "expires_on": None}]
    assert hold["lots"] == [{"lot": accrual["lots"][0]["lot"], "points": 100, "expires_on": None}]
    assert (hold["event"], hold["rule"]) == (None, None)
    # A capture spends the lots that its hold drew, as far as they are not released.
    assert page["results"][1]["lots"] == [{"lot": accrual["lots"][0]["lot"], "points": 60, "expires_on": None}]


def test_entries_are_filtered_and_paged_both_ways(till: Caller, alice: Member) -> None:
    till.post("events/", [purchase(alice, str(number), "1.00") for number in range(5)])

    seen, address = [], f"members/{alice.number}/entries/?kind=accrual&type=points&page_size=2"
    for _page in range(3):
        page = till.get(address).body
        seen.append([one["reference"] for one in page["results"]])
        address = (page["next"] or "").removeprefix(HERE)
    back = till.get(page["previous"].removeprefix(HERE)).body

    assert seen == [["4", "3"], ["2", "1"], ["0"]]
    assert not address
    assert [one["reference"] for one in back["results"]] == ["2", "1"]
    assert till.get(f"members/{alice.number}/entries/?kind=miracle").status == 400


def test_lots_with_the_same_end_are_paged_without_loss(till: Caller, alice: Member) -> None:
    till.post("events/", [purchase(alice, str(number), "1.00") for number in range(7)])

    seen: list[int] = []
    address = f"members/{alice.number}/lots/?type=points&page_size=3"
    while address:
        page = till.get(address).body
        seen += [lot["lot"] for lot in page["results"]]
        address = (page["next"] or "").removeprefix(HERE)

    assert len(seen) == len(set(seen)) == 7
    assert seen == sorted(seen)


@pytest.mark.parametrize("list_of", ["entries", "lots", "statistics"])
def test_a_list_costs_the_same_however_long_it_is(
    till: Caller, alice: Member, list_of: str, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    till.post("events/", [purchase(alice, str(number), "1.00") for number in range(30)])
    address = f"members/{alice.number}/{list_of}/"
    till.get(address)

    # The member, the rows, and the lots of entries.
    with django_assert_max_num_queries(4):
        assert till.get(address).status == 200


def test_statistics_of_a_member_are_listed_by_month_and_category(till: Caller, alice: Member) -> None:
    for month, category, minor in (("2026-02-01", "", 100), ("2026-03-01", "", 500), ("2026-03-01", "tea", 300)):
        MemberMonth.objects.create(
            member=alice, month=month, category=category, currency="CNY", events=1, amount_minor=minor, earned=3
        )

    rows = till.get(f"members/{alice.number}/statistics/").body["results"]

    assert [(row["month"], row["category"], row["money"]["amount"]) for row in rows] == [
        ("2026-03", "tea", "3.00"),
        ("2026-03", "", "5.00"),
        ("2026-02", "", "1.00"),
    ]
    assert len(till.get(f"members/{alice.number}/statistics/?since=2026-03-01&category=tea").body["results"]) == 1


def test_daily_statistics_are_filtered_by_day_and_type(till: Caller) -> None:
    rule = EarningRule.objects.get(code="purchase-points")
    for day, code, points in (("2026-02-27", "points", 1), ("2026-02-28", "points", 2), ("2026-02-28", "growth", 3)):
        DailyStatistic.objects.create(
            day=day,
            point_type=code,
            kind="accrual",
            rule_id=rule.pk,
            channel="app",
            tier="base",
            entries=1,
            points=points,
        )

    rows = till.get("statistics/daily/?from=2026-02-28&to=2026-02-28&type=points").body["results"]

    assert rows == [
        {
            "day": "2026-02-28",
            "type": "points",
            "kind": "accrual",
            "rule": "purchase-points",
            "channel": "app",
            "tier": "base",
            "entries": 1,
            "points": 2,
        }
    ]
    assert len(till.get("statistics/daily/").body["results"]) == 3
    first = till.get("statistics/daily/?page_size=2").body
    assert len(till.get(first["next"].removeprefix(HERE)).body["results"]) == 1
    assert till.get("statistics/daily/?from=yesterday").status == 400


@pytest.mark.parametrize("part", ["balance", "entries", "lots", "statistics"])
def test_a_signed_in_member_sees_his_own_account_and_nobody_else_s(rich: Member, part: str) -> None:
    bob = MemberFactory.create(name="Bob")
    browser = Browser()
    browser.force_login(sign_in_for(rich), backend="members.auth.MemberBackend")

    assert browser.get(f"/api/v1/members/{rich.number}/{part}/").status_code == 200
    assert browser.get(f"/api/v1/members/{bob.number}/{part}/").status_code == 404
