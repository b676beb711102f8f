"""A day at a till and in a web shop, over HTTP on a real server; after it the books agree. The README quotes it."""

import inspect
import re
import textwrap
from collections.abc import Iterator
from datetime import timedelta
from email.message import Message
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, patch
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from django.utils import timezone
from pytest_django.live_server_helper import LiveServer

from config import seed
from config.lib import actor
from members.actions import clients
from points import calendar, closing, reports
from points.models import Entry, Event
from rewards.actions import fulfilling
from rewards.models import Coupon, Redemption, Stock
from tests.api import example_client
from tests.api.example_client import Laurel, Refused
from tests.members.factories import client_key

pytestmark = pytest.mark.django_db(transaction=True)
CLERK = actor.Actor("staff:clerk")


@pytest.fixture
def address(live_server: LiveServer) -> Iterator[str]:
    """The address of a server with the programme everybody starts with."""
    seed.seed_programme()
    yield live_server.url
    clients.forget()


def tour(address: str, key: str) -> dict[str, Any]:
    """What a till does with a customer. These lines are the tour of the API in README.md."""
    laurel = Laurel(address, key)
    member = laurel.enrol("enrol-1", "王小明", phone="13800138000", language="zh-hans")["number"]
    laurel.buy("bill-1", member=member, amount="2196.00", channel="in-store", store="101")

    asked = laurel.preview(member=member, amount="58.00")["points"]  # {"points": 58, "growth": 58}
    held = laurel.hold("hold-1", member=member, points=500)  # set aside while the customer pays
    laurel.buy("bill-2", member=member, amount="58.00")
    laurel.capture("capture-1", held, points=300, event="bill-2")  # 200 go back
    laurel.refund("refund-1", event="bill-2", amount="29.00")  # half the bill: half of both

    coupon = laurel.redeem("order-1", member=member, reward="coupon-1")["coupon"]["code"]
    saved = laurel.use_coupon("use-1", coupon, member=member, amount="20.00")  # {"amount": "1.00", …}
    try:
        laurel.redeem("order-2", member=member, reward="gift-tote", variant="green")
    except Refused as refusal:
        needed = refusal.facts["needed"] if refusal.code == "insufficient_points" else None
    return {"asked": asked, "saved": saved, "needed": needed, "left": laurel.balance(member)["points"]["available"]}


def test_the_tour_in_the_readme_is_this_one_and_it_runs(address: str) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    source = inspect.getsource(tour).split('README.md."""\n')[1].rpartition("    return")[0]
    (quoted,) = re.findall(r"```python\n(laurel = Laurel.*?)```", readme, re.DOTALL)
    assert quoted == textwrap.dedent(source)

    told = tour(address, client_key("till")[1])

    # 2,196 + 50 for a big basket (pending); −300 for the second bill, 150 of it back, 58 earned and 29 taken back.
    assert told["asked"] == {"points": 58, "growth": 58}
    assert told["saved"] == {"amount": "1.00", "currency": "CNY"}
    assert told["left"] == 2196 - 300 + 150 + 58 - 29 - 100
    assert told["needed"] == 2500
    assert reports.check_books() == []


def test_a_day_at_a_till_and_in_a_shop_ends_with_books_that_agree(address: str) -> None:
    till, shop = (Laurel(address, client_key(name)[1]) for name in ("till", "shop"))
    shop.headers["Accept-Language"] = "zh-hans"
    began = timezone.now()

    # Morning: a friend invites a friend; both enrol, one of them twice because the line broke.
    ann = till.enrol("e-1", "Ann", phone="13800138000", email="ann@example.com")
    assert till.enrol("e-1", "Ann", phone="13800138000", email="ann@example.com") == ann
    ben = shop.enrol("e-1", "Ben", phone="13900139000", referral_code=ann["referral_code"])
    assert till.find(phone="139 0013 9000") == ben

    # Purchases: one by one, once more, and a list with one bad row.
    bill: dict[str, Any] = {
        "channel": "in-store",
        "items": [
            {"sku": "tea", "category": "DRINKS", "quantity": 3, "money": till.money("90.00")},
            {"sku": "rice", "category": "FOOD", "quantity": 1, "money": till.money("6110.00")},
        ],
    }
    assert till.preview(member=ann["number"], amount="6200.00", **bill)["points"]["points"] == 6250
    assert not Event.objects.exists()
    first = till.buy("bill-1", member=ann["number"], amount="6200.00", **bill)
    assert (first["status"], first["points"]["points"]) == ("accepted", 6250)
    assert any(
        "6,200" in verdict["sentence"] or "6200" in verdict["sentence"] for verdict in till.explain("bill-1")["rules"]
    )
    occurred_at = began.isoformat()
    row = {"member": ben["number"], "type": "purchase", "occurred_at": occurred_at, "money": till.money("40.00")}
    rows = till._call(
        "POST",
        till.base + "events/",
        [{"reference": "b-1", **row}, {"reference": "b-2", **row, "member": "1"}, {"reference": "b-3", **row}],
    )
    assert [one["status"] for one in rows] == ["accepted", "rejected", "accepted"]
    assert rows[1]["code"] == "unknown_member"
    assert till.balance(ann["number"])["points"]["available"] == 6_300  # 100 of them for Ben, who bought

    # At the till: points are held, the customer changes her mind, then pays with some after all.
    given_up = till.hold("h-1", member=ann["number"], points=1_000)
    with pytest.raises(Refused) as too_much:
        till.hold("h-2", member=ann["number"], points=6_000)
    assert (too_much.value.code, too_much.value.facts["available"]) == ("insufficient_points", 5_300)
    till.void("v-1", given_up)
    held = till.hold("h-2", member=ann["number"], points=600)
    till.buy("bill-2", member=ann["number"], amount="100.00", channel="till")
    assert till.capture("c-1", held, points=400, event="bill-2")["captured"] == 400
    with pytest.raises(Refused) as closed:
        till.capture("c-2", given_up, points=1, event="bill-2")
    assert closed.value.code == "hold_closed"
    assert till.balance(ann["number"])["points"]["available"] == 6_300 - 400 + 100

    # In the shop: a coupon, used once, for one of two who try.
    offers = {offer["code"]: offer for offer in shop.offers(ann["number"])}
    assert (offers["coupon-20"]["points"], offers["coupon-20"]["name"]) == (1_900, "20 元优惠券")
    coupon = shop.redeem("o-1", member=ann["number"], reward="coupon-20")["coupon"]["code"]
    assert not shop.check_coupon(coupon, member=ann["number"], amount="99.00")["valid"]
    assert shop.check_coupon(coupon, member=ann["number"], amount="150.00")["discount"] == shop.money("20.00")
    assert shop.use_coupon("u-1", coupon, member=ann["number"], amount="150.00") == shop.money("20.00")
    with pytest.raises(Refused) as used:
        till.use_coupon("u-1", coupon, member=ann["number"], amount="150.00")
    assert used.value.code == "coupon_unusable"
    shop.buy("web-1", member=ann["number"], amount="130.00", channel="web")

    # Refunds in parts, of lines and of money, and once too often.
    returned_at = timezone.now()
    till.refund("r-1", event="bill-1", items=[{"sku": "tea", "quantity": 1}], at=returned_at)
    till.refund("r-2", event="bill-1", items=[{"sku": "tea", "money": till.money("60.00")}])
    with pytest.raises(Refused) as beyond:
        till.refund("r-3", event="bill-1", items=[{"sku": "tea"}])
    assert beyond.value.code == "refund_exceeds_line"
    till.refund("r-4", event="bill-2", amount="25.00")
    till.refund("r-5", event="bill-2")
    assert till.balance(ann["number"])["points"]["available"] == 6_300 - 90 - 1_900 + 130

    # A gift is ordered and sent, another taken back in time; a parcel on its way is not.
    mug = shop.redeem("o-2", member=ann["number"], reward="gift-mug", address="上海市黄浦区人民大道 200 号")
    tote = shop.redeem("o-3", member=ann["number"], reward="gift-tote", variant="green", address="上海")
    assert shop.cancel("x-1", tote)["status"] == "cancelled"
    parcel = Redemption.objects.get(key=mug["id"])
    fulfilling.approve(redemption=parcel, actor=CLERK, at=timezone.now())
    fulfilling.ship(redemption=parcel, carrier="SF Express", tracking="SF1", actor=CLERK, at=timezone.now())
    with pytest.raises(Refused) as shipped:
        shop.cancel("x-2", mug)
    assert shipped.value.code == "cannot_cancel"
    assert shop.order(mug["id"])["status"] == "shipped"

    # A second mug waits at the counter and is written off by its code.
    second = shop.redeem("o-4", member=ann["number"], reward="gift-mug")
    waiting = Redemption.objects.get(key=second["id"])
    fulfilling.approve(redemption=waiting, actor=CLERK, at=timezone.now())
    fulfilling.ready(redemption=waiting, actor=CLERK, at=timezone.now())
    fulfilling.write_off(code=shop.order(second["id"])["pickup_code"], actor=CLERK, at=timezone.now())
    assert shop.order(second["id"])["status"] == "completed"

    # Everything is sent again, as after a night without a network: nothing happens twice.
    entries = Entry.objects.count()
    assert shop.redeem("o-4", member=ann["number"], reward="gift-mug")["status"] == "completed"
    shop.use_coupon("u-1", coupon, member=ann["number"], amount="150.00")
    till.refund("r-1", event="bill-1", items=[{"sku": "tea", "quantity": 1}], at=returned_at)
    assert Entry.objects.count() == entries

    # Night, and the figures of the day.
    days_on = sorted({calendar.local_date(began), calendar.local_date(timezone.now())})
    for day in days_on:
        closing.close(business_date=day, at=timezone.now() + timedelta(days=1))
    history = list(till.entries(ann["number"]))
    spent = sum(one["points"] for one in history if one["kind"] == "redemption")
    days = till.days(**{"from": days_on[0].isoformat(), "to": days_on[-1].isoformat(), "type": "points"})
    assert sum(one["points"] for one in days if one["kind"] == "redemption") == spent
    assert till.balance(ann["number"], at=began)["points"]["available"] == 0
    assert Coupon.objects.get(code=coupon).state == "redeemed"
    assert Stock.objects.get(reward__code="gift-mug").count == 498
    assert reports.check_books() == []


def test_a_line_that_breaks_and_a_server_that_asks_to_wait_are_met_by_the_same_request_again(address: str) -> None:
    waits: list[float] = []
    till = Laurel(address, client_key("till")[1], sleep=waits.append)
    ann = till.enrol("e-1", "Ann")["number"]
    attempts: list[str] = []
    whole = urlopen

    def broken(request: Any, timeout: float) -> Any:
        """Lose the first answer after the server has done its work."""
        attempts.append(request.full_url)
        answer = whole(request, timeout=timeout)
        if len(attempts) == 1:
            answer.close()
            raise TimeoutError
        return answer

    with patch.object(example_client, "urlopen", broken):
        result = till.buy("bill-1", member=ann, amount="10.00")

    assert (result["status"], len(attempts), waits) == ("replayed", 2, [1])
    assert Event.objects.count() == 1


def by_a_proxy(status: int, **headers: str) -> HTTPError:
    """What a proxy says when it does not reach Laurel, or is asked too often."""
    told = Message()
    for name, value in headers.items():
        told[name.replace("_", "-")] = value
    return HTTPError("http://points.example.com/", status, "No", told, BytesIO(b"<html>No</html>"))


def test_a_proxy_that_answers_for_laurel_and_an_answer_that_breaks_off_are_met_by_the_same_request_again(
    address: str,
) -> None:
    waits: list[float] = []
    till = Laurel(address, client_key("till")[1], sleep=waits.append)
    ann = till.enrol("e-1", "Ann")["number"]
    broken_off = MagicMock()
    broken_off.__enter__.return_value.read.side_effect = ConnectionResetError
    first: list[Any] = [by_a_proxy(503, Retry_After="7"), by_a_proxy(502), broken_off]

    def through_a_proxy(request: Any, timeout: float) -> Any:
        answer = first.pop(0) if first else urlopen(request, timeout=timeout)
        if isinstance(answer, HTTPError):
            raise answer
        return answer

    with patch.object(example_client, "urlopen", through_a_proxy):
        assert till.buy("bill-1", member=ann, amount="10.00")["status"] == "accepted"
    assert waits == [7, 1, 1]

    first = [by_a_proxy(504) for _ in range(till.tries)]
    with patch.object(example_client, "urlopen", through_a_proxy), pytest.raises(Refused, match="504") as refusal:
        till.balance(ann)
    assert (refusal.value.status, refusal.value.code) == (504, "no_problem_document")


def test_the_client_tells_refusals_by_their_code(address: str) -> None:
    with pytest.raises(Refused, match="no such member") as refusal:
        Laurel(address, client_key("till")[1]).buy("bill-1", member="1", amount="10.00")

    assert (refusal.value.status, refusal.value.code) == (404, "unknown_member")
    with pytest.raises(Refused) as unknown:
        Laurel(address, "lk_0.x").balance("1")
    assert (unknown.value.status, unknown.value.code) == (401, "authentication_failed")
