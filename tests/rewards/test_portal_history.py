"""The history: newest first, in a member's words, and every line says why."""

import re
from datetime import date, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone, translation
from django.utils.formats import date_format
from pytest_django import DjangoAssertNumQueries

from points.actions import adjusting, awarding, spending
from points.actions.awarding import IncomingEvent
from points.models import Entry, EntryKind, Lot
from rewards.actions import redeeming
from rewards.models import Reward
from rewards.portal import lines
from rewards.portal.lines import PAGE_SIZE
from tests.members.factories import TESTER, MemberFactory

from .portal_scene import Scene, set_scene

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}


def titles(response: object) -> list[str]:
    return [line.title for line in response.context["page"].lines]  # type: ignore[attr-defined]


def redeem(scene: Scene, code: str) -> redeeming.Redeemed:
    return redeeming.redeem(
        member=scene.member,
        reward=Reward.objects.get(code=code),
        source="shop",
        reference=f"{code}-1",
        actor=TESTER,
        at=scene.now,
    )


def seq_of(scene: Scene, kind: str, point_type: str = "points") -> int:
    return int(Entry.objects.get(member=scene.member, kind=kind, point_type__code=point_type).seq)


def test_lines_come_newest_first_with_what_they_did_to_the_balance() -> None:
    scene = set_scene(points=1_000)
    spending.spend(member=scene.member, points=200, source="till", reference="s-1", actor=TESTER, at=scene.now)

    response = scene.signed_in().get("/history/")

    assert titles(response) == ["Points spent", "Purchase"]
    assert "−200" in response.text
    assert "+1,000" in response.text
    assert "800" in response.text


def test_growth_has_its_own_history() -> None:
    scene = set_scene(points=217)
    spending.spend(member=scene.member, points=200, source="till", reference="s-1", actor=TESTER, at=scene.now)

    response = scene.signed_in().get("/history/?type=growth")

    assert titles(response) == ["Purchase"]
    assert response.context["chosen"].code == "growth"


def test_only_one_kind_of_line_can_be_asked_for() -> None:
    scene = set_scene(points=1_000)
    spending.spend(member=scene.member, points=200, source="till", reference="s-1", actor=TESTER, at=scene.now)
    browser = scene.signed_in()

    assert titles(browser.get("/history/?kind=spent")) == ["Points spent"]
    assert titles(browser.get("/history/?kind=earned")) == ["Purchase"]
    assert "There is nothing of this kind." in browser.get("/history/?kind=expired").text


@pytest.mark.parametrize("query", ["kind=nonsense", "type=nonsense", "before=x", "before=" + "9" * 40, "before=-1"])
def test_nonsense_in_the_address_is_passed_over(query: str) -> None:
    response = set_scene(points=100).signed_in().get(f"/history/?{query}")

    assert (response.status_code, titles(response)) == (200, ["Purchase"])


def test_older_lines_follow_where_the_first_page_ended() -> None:
    scene = set_scene()
    for number in range(PAGE_SIZE + 3):
        scene.buys("1", at=scene.now - timedelta(days=90 - number))
    browser = scene.signed_in()

    first = browser.get("/history/").context["page"]
    second = browser.get(f"/history/?before={first.older}")

    assert len(first.lines) == PAGE_SIZE
    assert len(second.context["page"].lines) == 3
    assert second.context["page"].older is None
    seqs = [line.entry.seq for line in [*first.lines, *second.context["page"].lines]]
    assert seqs == sorted(seqs, reverse=True)
    assert "To the newest" in second.text


def test_htmx_gets_older_lines_without_the_page_around_them() -> None:
    scene = set_scene(points=100)

    text = scene.signed_in().get("/history/?before=1000", headers=HTMX).text

    assert "<html" not in text
    assert "<details" in text


def test_a_line_explains_the_rule_and_the_arithmetic() -> None:
    scene = set_scene()
    scene.buys("217.40", at=scene.now - timedelta(days=1), store="Huaihai Rd")

    page = scene.signed_in().get(f"/history/{seq_of(scene, 'accrual')}/")

    verdict = page.context["explanation"].verdict
    assert verdict.points == 217
    assert verdict.sentence in page.text.replace("&quot;", '"')
    assert "¥217.40" in page.text
    assert "Huaihai Rd" in page.text
    assert "<html" in page.text


def test_the_explanation_comes_alone_into_the_line() -> None:
    scene = set_scene(points=217)

    text = scene.signed_in().get(f"/history/{seq_of(scene, 'accrual')}/", headers=HTMX).text

    assert "<html" not in text
    assert "= 217" in text
    assert "These points are good until:" in text


def test_rules_that_did_not_apply_are_not_told() -> None:
    scene = set_scene(points=217)

    explanation = scene.signed_in().get(f"/history/{seq_of(scene, 'accrual')}/").context["explanation"]

    assert explanation.others == []


def test_a_redemption_names_its_reward_in_both_languages() -> None:
    scene = set_scene(points=500)
    done = redeem(scene, "coupon-1")
    browser = scene.signed_in()

    response = browser.get(f"/history/{seq_of(scene, 'redemption')}/")
    browser.cookies["django_language"] = "zh-hans"
    chinese = browser.get("/history/")

    assert titles(chinese)[0] == done.redemption.reward.name_zh_hans  # type: ignore[attr-defined]
    assert done.redemption.reward.name_en in response.text  # type: ignore[attr-defined]
    assert f"/orders/{done.redemption.key}/" in response.text


def test_points_given_back_name_the_order_they_came_from() -> None:
    scene = set_scene(points=500)
    done = redeem(scene, "coupon-1")
    redeeming.cancel(redemption=done.redemption, source="shop", reference="c-1", actor=TESTER, at=scene.now)

    response = scene.signed_in().get("/history/")

    first = response.context["page"].lines[0]
    assert (first.entry.kind, first.title, first.change) == ("restoration", str(done.redemption.reward), 100)


def test_a_correction_shows_the_note_written_for_the_member() -> None:
    scene = set_scene(points=500)
    adjusting.adjust(
        member=scene.member,
        points=50,
        credit=False,
        reason="fraud case 7",
        note="Correction of your purchase of Monday",
        reference="a-1",
        actor=TESTER,
        at=scene.now,
    )

    text = scene.signed_in().get(f"/history/{seq_of(scene, 'adjustment')}/").text

    assert "Correction of your purchase of Monday" in text
    assert "fraud case 7" not in text


def test_nobody_sees_somebody_elses_lines() -> None:
    scene = set_scene(points=100)
    other = MemberFactory.create(tier="member")
    browser = scene.signed_in()

    assert browser.get("/history/99/").status_code == 404
    assert browser.get(f"/history/{2**70}/").status_code == 404
    assert {line.entry.member_id for line in browser.get("/history/").context["page"].lines} == {scene.member.pk}
    assert other.pk != scene.member.pk


def test_what_is_left_is_added_up_by_its_end_in_the_order_it_will_be_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = set_scene(points=300, days_ago=100)
    scene.buys("50", at=scene.now - timedelta(days=1))
    spending.spend(member=scene.member, points=100, source="till", reference="s-1", actor=TESTER, at=scene.now)

    response = scene.signed_in().get("/history/lots/")

    endings = response.context["endings"]
    assert [[(lot.remaining, lot.points) for lot in one.lots] for one in endings] == [[(200, 300)], [(50, 50)]]
    assert [one.points for one in endings] == [200, 50]

    monkeypatch.setattr(lines, "_LOTS_LISTED", 1)
    endings = lines.endings(member=scene.member)
    assert [(one.points, len(one.lots), one.unlisted) for one in endings] == [(200, 1, 0), (50, 0, 1)]


def test_returned_points_that_get_a_later_end_are_told_of_once() -> None:
    scene = set_scene(points=300)
    spent = spending.spend(member=scene.member, points=100, source="till", reference="s-1", actor=TESTER, at=scene.now)
    lot = Lot.objects.get(member=scene.member, point_type__code="points")
    assert lot.expires_at
    spending.restore(
        member=scene.member,
        entry_id=spent.entry_id,
        points=100,
        source="till",
        reference="r-1",
        actor=TESTER,
        at=lot.expires_at - timedelta(days=1),
    )

    shown = scene.signed_in().get("/history/").context["page"].lines

    assert [line.change for line in shown][:2] == [100, -100]
    assert "transfer" in {entry.kind for entry in Entry.objects.filter(member=scene.member)}
    assert "transfer" not in {line.entry.kind for line in shown}


def test_history_and_explanation_keep_to_their_queries(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    scene = set_scene(points=1_000)
    for _ in range(30):
        scene.buys("10")
    redeem(scene, "coupon-1")
    browser: Client = scene.signed_in()

    with django_assert_max_num_queries(8):
        browser.get("/history/")
    with django_assert_max_num_queries(10):
        browser.get("/history/1/")
    with django_assert_max_num_queries(12):
        browser.get("/history/lots/")


def test_a_late_line_stands_where_it_came_in_and_says_which_day_it_is_for() -> None:
    scene = set_scene()
    old = scene.now - timedelta(days=150)
    scene.buys("10", at=scene.now - timedelta(days=40))
    event = IncomingEvent(
        reference="late", type="purchase", occurred_at=old, member=scene.member.number, amount_minor=2_000,
        currency="CNY",
    )  # fmt: skip
    awarding.award(event=event, source="till", actor=TESTER, at=scene.now)
    browser = scene.signed_in()

    english = browser.get("/history/")
    browser.cookies["django_language"] = "zh-hans"
    chinese = browser.get("/history/").text

    late, earlier = english.context["page"].lines
    assert (late.for_day, earlier.for_day) == (timezone.localdate(old), None)
    headings = re.findall(r"<h2[^>]*>([^<]+)</h2>", english.text)
    assert headings[0] == f"{timezone.localtime(scene.now):%B %Y}"
    day, same_year = timezone.localtime(old), timezone.localtime(old).year == timezone.localtime(scene.now).year
    assert f"for {day:%b} {day.day}{'' if same_year else f', {day.year}'}" in english.text
    assert f"{'' if same_year else f'{day.year}年'}{day.month}月{day.day}日" in chinese
    assert not re.search(r"\b0\d月", chinese)


@pytest.mark.parametrize(
    ("amount", "store", "start"), [(None, "", ""), (None, "Hall A", "Hall A · "), (100, "", "¥1.00 · ")]
)
def test_the_facts_of_an_event_begin_with_whatever_there_is(amount: int | None, store: str, start: str) -> None:
    scene = set_scene()
    money: dict[str, Any] = {"amount_minor": amount, "currency": "CNY"} if amount else {}
    event = IncomingEvent(
        reference="e-1", type="event_attendance" if amount is None else "purchase", occurred_at=scene.now,
        member=scene.member.number, store=store, **money,
    )  # fmt: skip
    awarding.award(event=event, source="till", actor=TESTER, at=scene.now)

    text = scene.signed_in().get(f"/history/{seq_of(scene, 'accrual')}/").text

    day = date_format(timezone.localtime(scene.now), "M j, Y")
    assert f"<dd>{start}{day} " in text


def test_what_the_night_makes_available_is_of_the_night() -> None:
    scene = set_scene(points=10)
    (line,) = lines.history(member=scene.member, point_type=lines.point_types()[0]).lines
    line.entry.occurred_at -= timedelta(days=1)

    assert line.for_day is not None
    line.entry.kind = EntryKind.MATURITY
    assert line.for_day is None


@pytest.mark.parametrize(
    ("language", "day", "short"), [("en", "Sep 7, 2026", "Sep 7"), ("zh-hans", "2026年9月7日", "9月7日")]
)
def test_each_language_writes_its_days_in_one_way(language: str, day: str, short: str) -> None:
    with translation.override(language):
        assert date_format(date(2026, 9, 7), "DATE_FORMAT") == day
        assert date_format(date(2026, 9, 7), "MONTH_DAY_FORMAT") == short
