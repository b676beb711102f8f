"""From facts to messages: each is written once, in its transaction or out of the ledger, where it is asked for."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from threading import Event as Signal
from threading import Thread
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models import F
from django.utils import timezone

from config.lib.money import EXPONENTS, to_decimal_string
from config.lib.sql import read
from members import delivering
from members.actions import clients, updating, webhooks
from members.models import OFFERED_TYPES, Client, ClientKey, Scope, WebhookDelivery, WebhookEndpoint, scope_of
from points.actions import spending
from points.calendar import local_date
from points.models import Entry
from rewards import outbox
from rewards.actions import coupons, fulfilling
from tests.members.factories import TESTER, TierFactory, client_key
from tests.points.factories import (
    RuleFactory,
    event,
    expiring_lot,
    give,
    growth,
    new_member,
    night,
    take,
)
from tests.rewards.factories import CouponRewardFactory, RewardFactory, ServiceRewardFactory, order, printed_coupon

from .factories import collect, listener

pytestmark = pytest.mark.django_db
committing = pytest.mark.django_db(transaction=True)


def told(endpoint: WebhookEndpoint) -> list[str]:
    """The kinds of messages for an endpoint, in the order in which it would hear of one member."""
    line = ("member_id", "place", F("entry_id").asc(nulls_last=True), "id")
    waiting = WebhookDelivery.objects.filter(endpoint=endpoint).order_by(*line)
    return list(waiting.values_list("type", flat=True))


def data(endpoint: WebhookEndpoint, webhook_type: str) -> dict[str, Any]:
    """What the one message of a kind says."""
    found: dict[str, Any] = WebhookDelivery.objects.get(endpoint=endpoint, type=webhook_type).data
    return found


def test_what_is_earned_redeemed_and_expired_is_read_from_the_ledger() -> None:
    endpoint = listener()
    member = new_member()
    RuleFactory.create(code="base")
    take(event(member, 217, reference="receipt-1"))
    spending.spend(member=member, points=17, source="till", reference="s-1", actor=TESTER, at=timezone.now())

    assert collect() == 2

    assert told(endpoint) == ["member.enrolled", "points.accrued", "points.redeemed"]
    earned, spent = data(endpoint, "points.accrued"), data(endpoint, "points.redeemed")
    assert {name: earned[name] for name in ("member", "points", "type", "kind", "from", "to", "available_after")} == {
        "member": member.number,
        "points": 217,
        "type": "points",
        "kind": "accrual",
        "from": "issued",
        "to": "available",
        "available_after": 217,
    }
    assert (earned["reference"], earned["event"], earned["rule"]) == ("receipt-1", "receipt-1", "base")
    assert (spent["points"], spent["available_after"], spent["number"]) == (17, 200, 2)


def test_the_ledger_is_read_once_however_often_it_is_read() -> None:
    endpoint = listener()
    member = new_member()
    give(member, 5)

    assert [collect(), collect(), collect()] == [1, 0, 0]
    give(member, 6)
    assert [collect(), collect()] == [1, 0]

    assert told(endpoint).count("points.accrued") == 2


def test_an_expiry_of_the_night_is_told_with_what_is_left() -> None:
    endpoint = listener()
    member = new_member()
    expiring_lot(member, 40, date(2026, 3, 12))
    night(date(2026, 3, 12))

    collect()

    assert told(endpoint) == ["member.enrolled", "points.accrued", "points.expired"]
    assert data(endpoint, "points.expired")["available_after"] == 0


@committing
def test_a_fact_that_is_taken_back_is_told_to_nobody() -> None:
    endpoint = listener()
    tier = TierFactory.create(code="gold")
    member = new_member()
    WebhookDelivery.objects.all().delete()

    with transaction.atomic():
        give(member, 5)
        updating.assign_tier(member=member, tier=tier, reason="r", actor=TESTER, at=timezone.now())
        order_of_nothing = WebhookDelivery.objects.count()
        transaction.set_rollback(True)
    collect()

    assert order_of_nothing == 1
    assert told(endpoint) == []


@committing
def test_an_entry_that_commits_after_a_later_one_is_not_lost() -> None:
    endpoint = listener("https://hooks.example.com/", "points.accrued")
    slow, fast = new_member(), new_member()
    drawn, may_commit = Signal(), Signal()

    def write_slowly() -> None:
        try:
            with transaction.atomic():
                give(slow, 1)
                drawn.set()
                may_commit.wait(20)
        finally:
            connection.close()

    thread = Thread(target=write_slowly)
    thread.start()
    drawn.wait(20)
    give(fast, 2)

    # The later entry is there to be seen, but before it stands one that nobody can see yet.
    assert collect(patience_seconds=0.1) == 0
    assert collect(patience_seconds=0.1) == 0
    may_commit.set()
    thread.join(20)
    assert collect() == 2

    entries = list(Entry.objects.order_by("id").values_list("member_id", flat=True))
    assert entries == [slow.pk, fast.pk]
    assert sorted(WebhookDelivery.objects.values_list("data__points", flat=True)) == [1, 2]
    assert told(endpoint) == ["points.accrued"] * 2


def test_an_entry_that_is_taken_back_holds_nobody_up() -> None:
    listener("https://hooks.example.com/", "points.accrued")
    member = new_member()
    with transaction.atomic():
        give(member, 1)
        transaction.set_rollback(True)
    give(member, 2)

    assert collect() == 1
    assert WebhookDelivery.objects.get().data["points"] == 2


def test_a_writer_is_known_to_write_before_he_draws_the_number_of_an_entry() -> None:
    """What the fence stands on: a statement locks before it draws, on each road into the books."""
    RuleFactory.create()
    members = [new_member() for _ in range(20)]
    roads: list[Any] = [lambda: give(members[0], 1), lambda: take([event(member, 5) for member in members])]

    for road in roads:
        with transaction.atomic(), connection.cursor() as cursor:
            road()
            cursor.execute("SELECT count(*) FROM rewards_entry_writers() WHERE pid = pg_backend_pid()")
            assert cursor.fetchone() == (1,)


@committing
def test_a_long_transaction_that_writes_no_entries_holds_nobody_up() -> None:
    endpoint = listener("https://hooks.example.com/", "points.accrued")
    member = new_member()
    begun, may_end = Signal(), Signal()

    def change_something_else() -> None:
        try:
            with transaction.atomic():
                TierFactory.create(code="silver")
                begun.set()
                may_end.wait(20)
        finally:
            connection.close()

    thread = Thread(target=change_something_else)
    thread.start()
    begun.wait(20)
    give(member, 1)

    assert collect(patience_seconds=0) == 1
    may_end.set()
    thread.join(20)
    assert told(endpoint) == ["points.accrued"]


def test_a_run_that_dies_between_two_stretches_leaves_nothing_out_and_tells_nothing_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outbox, "CHUNK", 2)
    endpoint = listener("https://hooks.example.com/", "points.accrued")
    member = new_member()
    for points in range(1, 8):
        give(member, points)
    calls: list[Path] = []

    def die_at_the_third(path: Path) -> str:
        calls.append(path)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return read(path)

    with monkeypatch.context() as patch:
        patch.setattr(outbox, "read", die_at_the_third)
        with pytest.raises(KeyboardInterrupt):
            collect()
    before = WebhookDelivery.objects.count()
    collect()

    rows = WebhookDelivery.objects.order_by("place").values_list("data__points", flat=True)
    assert 0 < before < 7
    assert list(rows) == [1, 2, 3, 4, 5, 6, 7]
    assert told(endpoint) == ["points.accrued"] * 7


def test_an_endpoint_begins_with_the_present() -> None:
    member = new_member()
    give(member, 1)

    endpoint = listener()
    give(member, 2)
    collect()

    assert data(endpoint, "points.accrued")["points"] == 2


def test_the_very_first_entry_of_a_programme_is_told() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER SEQUENCE points_entry_id_seq RESTART")
    endpoint = listener("https://hooks.example.com/", "points.accrued")
    collect()
    give(new_member(), 1)

    assert Entry.objects.get().pk == 1
    assert collect() == 1
    assert told(endpoint) == ["points.accrued"]


def test_only_what_was_asked_for_is_written() -> None:
    listener("https://hooks.example.com/", "points.redeemed")
    member = new_member()
    give(member, 5)
    updating.change_standing(member=member, status="closed", reason="r", actor=TESTER, at=timezone.now())

    assert collect() == 0
    assert WebhookDelivery.objects.count() == 0


def test_several_endpoints_are_told_each_of_its_own() -> None:
    points = listener("https://one.example.com/", "points.accrued")
    people = listener("https://two.example.com/", "member.enrolled")
    both = listener("https://three.example.com/")
    give(new_member(), 5)
    collect()

    assert told(points) == ["points.accrued"]
    assert told(people) == ["member.enrolled"]
    assert told(both) == ["member.enrolled", "points.accrued"]


def test_a_new_tier_and_a_closed_membership_are_told_whatever_door_they_come_by() -> None:
    endpoint = listener()
    gold = TierFactory.create(code="gold")
    member = new_member()

    with connection.cursor() as cursor:
        cursor.execute("UPDATE members_member SET tier_id = %s WHERE id = %s", [gold.pk, member.pk])
    updating.change_standing(member=member, status="suspended", reason="r", actor=TESTER, at=timezone.now())
    updating.change_standing(member=member, status="closed", reason="r", actor=TESTER, at=timezone.now())

    assert told(endpoint) == ["member.enrolled", "tier.changed", "member.closed"]
    assert data(endpoint, "member.enrolled")["tier"] == "base"
    assert data(endpoint, "tier.changed") == {"member": member.number, "from": "base", "to": "gold"}
    assert data(endpoint, "member.closed") == {"member": member.number}


def test_the_night_tells_of_those_it_lifts() -> None:
    endpoint = listener("https://hooks.example.com/", "tier.changed")
    TierFactory.create(code="gold", rank=1, threshold=40)
    RuleFactory.create(point_type=growth())
    rich, poor = new_member(), new_member()
    take([event(rich, 50), event(poor, 30)])

    night(date(2026, 3, 12))

    assert data(endpoint, "tier.changed")["member"] == rich.number


def test_an_order_is_told_when_it_is_placed_and_when_it_is_completed() -> None:
    endpoint = listener("https://hooks.example.com/", "redemption.placed", "redemption.completed")
    member = new_member()
    give(member, 50_000)
    service = order(member, ServiceRewardFactory.create())

    assert told(endpoint) == ["redemption.placed"]
    fulfilling.complete(redemption=service, actor=TESTER, at=timezone.now())

    assert told(endpoint) == ["redemption.placed", "redemption.completed"]
    placed, completed = data(endpoint, "redemption.placed"), data(endpoint, "redemption.completed")
    assert (placed["redemption"], placed["status"], placed["points"]) == (str(service.key), "ready", 10_000)
    assert (completed["redemption"], completed["status"]) == (str(service.key), "completed")
    assert placed["reward"] == service.reward.code


def test_an_order_of_a_coupon_is_placed_and_completed_at_once() -> None:
    endpoint = listener("https://hooks.example.com/", "redemption.placed", "redemption.completed")
    member = new_member()
    give(member, 5_000)

    order(member, CouponRewardFactory.create())

    assert told(endpoint) == ["redemption.placed", "redemption.completed"]


def test_a_used_coupon_is_told_without_its_code() -> None:
    endpoint = listener("https://hooks.example.com/", "coupon.redeemed")
    coupon = printed_coupon(value_minor=500)

    coupons.redeem(
        code=coupon.code,
        amount_minor=2_000,
        currency="CNY",
        source="till",
        reference="bill-1",
        actor=TESTER,
        at=timezone.now(),
    )

    said = data(endpoint, "coupon.redeemed")
    assert coupon.code not in str(said)
    assert said["coupon"].endswith(coupon.code[-4:])
    assert (said["discount"], said["money"]) == (
        {"amount": "5.00", "currency": "CNY"},
        {"amount": "20.00", "currency": "CNY"},
    )
    assert (said["member"], said["source"], said["reference"]) == (None, "till", "bill-1")


def test_points_about_to_expire_are_told_thirty_seven_and_one_days_before_and_once() -> None:
    endpoint = listener("https://hooks.example.com/", "points.expiring")
    today = local_date(timezone.now())
    member = new_member()
    for days, points in ((1, 10), (2, 20), (7, 70), (8, 80), (30, 300), (31, 310)):
        expiring_lot(member, points, today + timedelta(days=days), at=timezone.now())
    WebhookEndpoint.objects.update(expiring_told_on=today - timedelta(days=1))

    assert [collect(), collect()] == [3, 0]

    said = WebhookDelivery.objects.filter(endpoint=endpoint).order_by("id").values_list("data", flat=True)
    assert [(each["days"], each["points"], each["expires_on"]) for each in said] == [
        (days, points, str(today + timedelta(days=days))) for days, points in ((1, 10), (7, 70), (30, 300))
    ]


def test_days_on_which_nothing_ran_are_made_up_for() -> None:
    endpoint = listener("https://hooks.example.com/", "points.expiring")
    today = local_date(timezone.now())
    member = new_member()
    for days in range(10):
        expiring_lot(member, days + 1, today + timedelta(days=days), at=timezone.now())
    WebhookEndpoint.objects.update(expiring_told_on=today - timedelta(days=2))

    collect()

    said = WebhookDelivery.objects.filter(endpoint=endpoint).order_by("id").values_list("data__days", flat=True)
    assert list(said) == [0, 1, 6, 7]


def test_after_a_long_standstill_no_points_are_told_twice() -> None:
    endpoint = listener("https://hooks.example.com/", "points.expiring")
    today = local_date(timezone.now())
    member = new_member()
    for days in range(32):
        expiring_lot(member, days + 1, today + timedelta(days=days), at=timezone.now())
    WebhookEndpoint.objects.update(expiring_told_on=today - timedelta(days=40))

    collect()

    said = WebhookDelivery.objects.filter(endpoint=endpoint).values_list("data", flat=True)
    assert sorted((each["days"], each["points"]) for each in said) == [
        (days, days + 1) for days in (0, *range(1, 8), *range(25, 31))
    ]


def test_a_fact_beside_the_ledger_stands_after_the_entries_before_it_and_before_those_after() -> None:
    endpoint = listener()
    member = new_member()
    gold, base = TierFactory.create(code="gold"), member.tier
    for points, tier in ((1, gold), (2, base)):
        give(member, points)
        updating.assign_tier(member=member, tier=tier, reason="r", actor=TESTER, at=timezone.now())
    give(member, 3)
    collect()

    assert told(endpoint) == [
        "member.enrolled", "points.accrued", "tier.changed", "points.accrued", "tier.changed", "points.accrued",
    ]  # fmt: skip


def test_many_entries_of_one_batch_stand_in_the_order_of_their_numbers() -> None:
    endpoint = listener("https://hooks.example.com/", "points.accrued")
    RuleFactory.create()
    RuleFactory.create(point_type=growth())
    members = [new_member() for _ in range(3)]
    take([event(member, yuan) for yuan in range(1, 21) for member in members])
    collect()

    for member in members:
        rows = WebhookDelivery.objects.filter(endpoint=endpoint, member=member).order_by("place", "id")
        for kind in ("points", "growth"):
            numbers = [each["number"] for each in rows.values_list("data", flat=True) if each["type"] == kind]
            assert len(numbers) == 20
            assert numbers == sorted(numbers)


def test_the_database_and_python_agree_who_may_hear_what() -> None:
    for scope in Scope.values:
        client, _key = client_key(f"c-{scope.replace(':', '-')}", scope)
        endpoint = listener(client=client_key(f"all-{scope.replace(':', '-')}")[0])
        WebhookEndpoint.objects.filter(pk=endpoint.pk).update(name=scope)
        Client.objects.filter(webhook_endpoints=endpoint).update(scopes=[scope])
        endpoint = WebhookEndpoint.objects.select_related("client").get(pk=endpoint.pk)
        with connection.cursor() as cursor:
            for each in OFFERED_TYPES:
                cursor.execute("SELECT %s IN (SELECT members_webhook_listeners(%s))", [endpoint.pk, each.value])
                assert cursor.fetchone() == (endpoint.may_hear(each),), (scope, each)
                assert endpoint.may_hear(each) == (scope_of(each) == scope)
        assert client.pk


@pytest.mark.parametrize("change", [{"is_active": False}, {"scopes": []}])
def test_a_system_that_is_switched_off_or_may_no_longer_read_is_told_nothing(change: dict[str, Any]) -> None:
    endpoint = listener()
    assert Client.objects.filter(pk=endpoint.client_id).update(**change) == 1
    give(new_member(), 5)

    collect()

    assert WebhookDelivery.objects.count() == 0


@pytest.mark.parametrize(
    "change",
    [{"expires_at": timezone.now() - timedelta(days=1)}, {"state": "ended", "ended_at": timezone.now()}],
)
def test_while_a_system_has_no_key_that_works_every_kind_of_message_waits_for_the_next(change: dict[str, Any]) -> None:
    endpoint = listener()
    assert ClientKey.objects.filter(client=endpoint.client_id).update(**change) == 1
    clients.forget()
    give(new_member(), 5)
    collect()
    now = timezone.now() + timedelta(seconds=1)
    assert delivering.claim(endpoint_id=endpoint.pk, at=now) == []
    assert not WebhookEndpoint.objects.with_work(now).exists()

    clients.rotate_key(client=endpoint.client, actor=TESTER, at=now)

    assert told(endpoint) == ["member.enrolled", "points.accrued"]
    assert WebhookEndpoint.objects.with_work(now).get() == endpoint
    assert len(delivering.claim(endpoint_id=endpoint.pk, at=now)) == 1


def test_a_system_that_is_switched_on_again_is_told_of_what_happens_from_then_on() -> None:
    endpoint = listener()
    today = local_date(timezone.now())
    Client.objects.filter(pk=endpoint.client_id).update(is_active=False)
    WebhookEndpoint.objects.update(expiring_told_on=today - timedelta(days=300))
    give(new_member(), 1)
    collect()

    Client.objects.filter(pk=endpoint.client_id).update(is_active=True)
    give(new_member(), 2)
    collect()

    assert told(endpoint) == ["member.enrolled", "points.accrued"]
    assert data(endpoint, "points.accrued")["points"] == 2


def test_an_endpoint_that_is_started_in_a_system_that_is_off_hears_nothing_of_before_the_system_is_on() -> None:
    endpoint = listener("https://hooks.example.com/", "points.accrued")
    Client.objects.filter(pk=endpoint.client_id).update(is_active=False)
    give(new_member(), 1)
    webhooks.stop(endpoint=endpoint, reason="r", actor=TESTER, at=timezone.now())
    webhooks.activate(endpoint=endpoint, actor=TESTER, at=timezone.now())
    give(new_member(), 2)
    collect()

    Client.objects.filter(pk=endpoint.client_id).update(is_active=True)
    give(new_member(), 3)

    assert collect() == 1
    assert data(endpoint, "points.accrued")["points"] == 3


STOPS: dict[str, Callable[[WebhookEndpoint], Any]] = {
    "by staff": lambda endpoint: webhooks.stop(endpoint=endpoint, reason="r", actor=TESTER, at=timezone.now()),
    "as gone": lambda endpoint: WebhookEndpoint.objects.filter(pk=endpoint.pk).update(status="gone"),
    "with its system": lambda endpoint: Client.objects.filter(pk=endpoint.client_id).update(is_active=False),
}


def start(endpoint: WebhookEndpoint) -> None:
    """Make an endpoint and its system active again, whichever was not."""
    Client.objects.filter(pk=endpoint.client_id).update(is_active=True)
    webhooks.activate(endpoint=endpoint, actor=TESTER, at=timezone.now())


@pytest.mark.parametrize("stop", STOPS)
def test_what_was_written_before_an_endpoint_stopped_is_told_when_it_starts(stop: str) -> None:
    endpoint = listener()
    give(new_member(), 1)

    STOPS[stop](endpoint)
    give(new_member(), 2)
    assert collect() == 1
    give(new_member(), 3)
    start(endpoint)
    give(new_member(), 4)
    assert collect() == 1

    assert told(endpoint) == ["member.enrolled", "points.accrued"] * 2
    points = (
        WebhookDelivery.objects.filter(type="points.accrued").order_by("place").values_list("data__points", flat=True)
    )
    assert list(points) == [1, 4]


@pytest.mark.parametrize("stop", STOPS)
def test_an_endpoint_that_is_started_before_the_ledger_was_read_loses_nothing(stop: str) -> None:
    endpoint = listener("https://hooks.example.com/", "points.accrued")
    give(new_member(), 1)

    STOPS[stop](endpoint)
    start(endpoint)
    give(new_member(), 2)

    assert [collect(), collect()] == [1, 1]  # up to the stop, and from there on


@committing
@pytest.mark.parametrize("stop", STOPS)
def test_an_entry_that_is_being_written_when_its_endpoint_stops_is_told(stop: str) -> None:
    endpoint = listener("https://hooks.example.com/", "points.accrued")
    slow = new_member()
    drawn, may_commit = Signal(), Signal()

    def write_slowly() -> None:
        try:
            with transaction.atomic():
                give(slow, 1)
                drawn.set()
                may_commit.wait(20)
        finally:
            connection.close()

    thread = Thread(target=write_slowly)
    thread.start()
    drawn.wait(20)
    STOPS[stop](endpoint)
    assert collect(patience_seconds=0.1) == 0
    may_commit.set()
    thread.join(20)

    assert collect() == 1
    assert data(endpoint, "points.accrued")["points"] == 1


def test_an_endpoint_that_is_stopped_is_told_nothing_and_begins_anew_with_the_present() -> None:
    endpoint = listener()
    webhooks.stop(endpoint=endpoint, reason="moved", actor=TESTER, at=timezone.now())
    give(new_member(), 1)
    collect()
    assert WebhookDelivery.objects.count() == 0

    webhooks.activate(endpoint=endpoint, actor=TESTER, at=timezone.now())
    give(new_member(), 2)
    collect()

    assert told(endpoint) == ["member.enrolled", "points.accrued"]
    assert data(endpoint, "points.accrued")["points"] == 2


def test_the_words_for_money_are_those_of_the_api() -> None:
    with connection.cursor() as cursor:
        for currency in [*EXPONENTS, "CNY", "USD", "EUR"]:
            for minor in (0, 1, 5, 100, 19_600, 123_456_789):
                cursor.execute("SELECT rewards_money(%s, %s) ->> 'amount'", [minor, currency])
                assert cursor.fetchone() == (to_decimal_string(minor, currency),), (minor, currency)


def test_no_message_names_or_reaches_a_person() -> None:
    endpoint = listener()
    member = new_member(name="王小明", phone="13800138000", email="wang@example.com", address="上海市世纪大道 100 号")
    give(member, 50_000)
    gift = order(member, RewardFactory.create(), address="上海市世纪大道 100 号")
    fulfilling.approve(redemption=gift, actor=TESTER, at=timezone.now())
    updating.assign_tier(
        member=member, tier=TierFactory.create(code="gold"), reason="王小明 asked", actor=TESTER, at=timezone.now()
    )
    collect()

    said = str(list(WebhookDelivery.objects.filter(endpoint=endpoint).values_list("data", flat=True)))
    assert member.number in said
    for personal in ("王小明", "13800138000", "wang@example.com", "世纪大道", "asked"):
        assert personal not in said


@committing
def test_who_writes_a_fact_does_not_wait_for_who_reads_the_ledger() -> None:
    endpoint = listener()
    member = new_member()
    gold = TierFactory.create(code="gold")
    done = Signal()

    def write() -> None:
        try:
            updating.assign_tier(member=member, tier=gold, reason="r", actor=TESTER, at=timezone.now())
            done.set()
        finally:
            connection.close()

    with transaction.atomic():
        WebhookEndpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
        WebhookEndpoint.objects.filter(pk=endpoint.pk).update(failures=1, failing_since=timezone.now())
        thread = Thread(target=write)
        thread.start()
        assert done.wait(10)
    thread.join(10)


_COPY = (
    "INSERT INTO members_webhookdelivery (endpoint_id, member_id, type, data, at, place, entry_id, next_attempt_at)"
)
LAWS = {
    "an entry is told once": f"{_COPY} SELECT endpoint_id, member_id, type, data, at, place, entry_id, now()"
    " FROM members_webhookdelivery",
    "a message is of a known kind": f"{_COPY} SELECT id, NULL, 'points.stolen', '{{}}', now(), 0, NULL, now()"
    " FROM members_webhookendpoint",
    "an entry stands in its own place": f"{_COPY} SELECT id, NULL, 'points.accrued', '{{}}', now(), 1, 2, now()"
    " FROM members_webhookendpoint",
    "a message keeps its words": "UPDATE members_webhookdelivery SET data = '{}'",
    "a message keeps its id": "UPDATE members_webhookdelivery SET key = gen_random_uuid()",
    "a delivered message is finished": "UPDATE members_webhookdelivery SET state = 'delivered'",
    "an endpoint asks for known kinds": "UPDATE members_webhookendpoint SET types = '{points.stolen}'",
    "an endpoint asks for something": "UPDATE members_webhookendpoint SET types = '{}'",
    "an endpoint is reached by https": "UPDATE members_webhookendpoint SET url = 'http://hooks.example.com/'",
    "local is this machine alone": "UPDATE members_webhookendpoint SET url = 'http://127.0.0.1.example.com/'",
    "an old secret has an end": "UPDATE members_webhookendpoint SET previous_secret = secret",
    "an endpoint stays with its system": "UPDATE members_webhookendpoint SET client_id = client_id + 1",
    "an endpoint is not deleted": "DELETE FROM members_webhookdelivery; DELETE FROM members_webhookendpoint",
    "failures have a beginning": "UPDATE members_webhookendpoint SET failures = 1",
}


@pytest.mark.parametrize("law", LAWS)
def test_the_database_holds_the_laws_of_the_outbox(law: str) -> None:
    listener("https://hooks.example.com/", "points.accrued")
    give(new_member(), 1)
    collect()

    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(LAWS[law])

    assert WebhookDelivery.objects.get().data["points"] == 1
