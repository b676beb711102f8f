"""Every field of every write, with everything that cannot be in it: named in a problem document, and nothing done."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, transaction

from members.models import Client, ClientKey, Member
from tests.api.conftest import NOON, Caller, purchase
from tests.api.test_problems import VALUES
from tests.rewards.factories import CouponRewardFactory, RewardFactory, RewardVariantFactory, printed_coupon, stock

YUAN = {"amount": "10.00", "currency": "CNY"}
WRITES = [
    "members/",
    "members/{member}/",
    "events/",
    "events/preview/",
    "events/first/refunds/",
    "holds/",
    "holds/{hold}/capture/",
    "holds/{hold}/void/",
    "redemptions/",
    "redemptions/{order}/cancel/",
    "coupons/{coupon}/validate/",
    "coupons/{coupon}/redeem/",
    "coupons/{used}/rollback/",
]


class Scene:
    """One thing of each kind to write to, and a whole body for each write."""

    def __init__(self, till: Caller, member: Member) -> None:
        self.till, self.member = till, member
        mug = RewardFactory.create(code="mug", points=10)
        variant = RewardVariantFactory.create(reward=mug, code="red")
        stock(mug, 100, variant)
        CouponRewardFactory.create(code="voucher", points=10)
        used = printed_coupon()
        till.post(f"coupons/{used.code}/redeem/", {"reference": "used", "money": YUAN})
        held = till.post("holds/", {"reference": "held", "member": member.number, "points": 5})
        placed = till.post("redemptions/", {"reference": "placed", "member": member.number, "reward": "voucher"})
        self.places = {
            "member": member.number,
            "hold": held.body["id"],
            "order": placed.body["id"],
            "coupon": printed_coupon().code,
            "used": used.code,
        }

    def body(self, path: str) -> dict[str, Any]:
        """Return what could be sent to a path, every field of it."""
        number = self.member.number
        item = {"sku": "tea", "category": "drinks", "quantity": 1, "money": YUAN}
        bodies: dict[str, dict[str, Any]] = {
            "members/": {
                "name": "Bob",
                "phone": "13900139000",
                "email": "bob@example.com",
                "birthday": "1990-05-04",
                "language": "en",
                "tier": "base",
                "referral_code": self.member.referral_code,
                "attributes": {"branch": "west"},
            },
            "members/{member}/": {
                "name": "Bob",
                "phone": "13900139000",
                "email": "bob@example.com",
                "birthday": "1990-05-04",
                "language": "en",
                "attributes": {},
            },
            "events/": {
                **purchase(self.member, "x", "10.00", gross=YUAN, channel="app", store="west"),
                "attributes": {"a": 1},
                "items": [item],
            },
            "events/first/refunds/": {"occurred_at": NOON, "money": YUAN, "items": [item]},
            "holds/": {"member": number, "type": "points", "points": 5, "expires_in": 60},
            "holds/{hold}/capture/": {"points": 5, "event": "first"},
            "holds/{hold}/void/": {},
            "redemptions/": {
                "member": number,
                "reward": "mug",
                "variant": "red",
                "quantity": 1,
                "address": "上海市世纪大道 100 号",
            },
            "redemptions/{order}/cancel/": {"reason": "changed my mind"},
            "coupons/{coupon}/validate/": {"member": number, "money": YUAN},
            "coupons/{coupon}/redeem/": {"member": number, "money": YUAN},
            "coupons/{used}/rollback/": {"member": number, "money": YUAN},
        }
        body = bodies[path.replace("preview/", "")]
        if not path.endswith("validate/"):
            body["reference"] = "x"
        return body

    def send(self, path: str, body: Any) -> Any:
        return self.till.call("PATCH" if path == "members/{member}/" else "POST", path.format(**self.places), body)


@pytest.fixture
def scene(till: Caller, rich: Member) -> Scene:
    return Scene(till, rich)


def rows() -> list[tuple[str, int]]:
    """Count everything the programme keeps."""
    tables = [
        model._meta.db_table
        for app in ("members", "points", "rewards")
        for model in apps.get_app_config(app).get_models()
        if model not in (Client, ClientKey)
    ]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(f"SELECT '{table}', count(*) FROM {table}" for table in tables))
        return list(cursor.fetchall())


@contextmanager
def undone() -> Iterator[None]:
    """Take back whatever is done meanwhile."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.mark.parametrize("path", WRITES)
def test_a_field_that_cannot_be_is_named_and_nothing_is_done(scene: Scene, path: str) -> None:
    before = rows()
    for field, value in product((*scene.body(path), "surprise"), VALUES):
        with undone():
            answer = scene.send(path, {**scene.body(path), field: value})
            after = rows()

        told = f"{field}={str(value)[:60]}: {answer.status} {answer.text[:300]}"
        if answer.status < 300:
            assert field != "surprise", told
            continue
        assert answer.is_problem, told
        assert answer.status in (400, 404, 422), told
        assert len(answer.text) < 3_000, told
        assert after == before, told
        if answer.status == 400:
            named = {name.partition(".")[0] for name in answer.body["errors"]}
            assert field in named or named <= {"items", "money", "gross"}, told  # they are judged together


@pytest.mark.parametrize("path", WRITES)
def test_a_field_that_is_missing_is_named(scene: Scene, path: str) -> None:
    for field in ("reference", "member", "name", "reward", "points", "money", "occurred_at", "type"):
        body = scene.body(path)
        if field not in body:
            continue
        del body[field]
        if path.endswith("refunds/"):
            del body["items"]

        with undone():
            before, answer, after = rows(), scene.send(path, body), rows()

        if answer.status == 400:
            assert list(answer.body["errors"]) == [field], answer.text
            assert after == before
        else:
            assert answer.status < 300 or answer.is_problem


@pytest.mark.parametrize(
    "path",
    [path for path in WRITES if "{hold}" in path or "{order}" in path or "first" in path],
)
def test_what_another_system_wrote_is_not_there(scene: Scene, shop: Caller, path: str) -> None:
    before = rows()

    answer = shop.post(path.format(**scene.places), scene.body(path))

    assert answer.is_problem
    assert answer.status == 404
    assert rows() == before


@pytest.mark.parametrize("query", ["category=%00", "kind=gift%07", "member=1%0A", "category=a&category=%1F"])
def test_a_query_with_control_characters_is_refused(till: Caller, query: str) -> None:
    answer = till.get(f"rewards/?{query}")

    assert (answer.status, answer.is_problem) == (400, True)
    assert "Control characters are not allowed." in answer.text


@pytest.mark.parametrize("query", ["phnoe=13800138000", "Phone=1", "limit=5", "type=points", "%00=1"])
def test_a_misspelt_filter_is_not_a_list_of_everybody(till: Caller, rich: Member, query: str) -> None:
    answer = till.get(f"members/?{query}")

    assert answer.is_problem
    assert answer.status == 400
    assert len(answer.body["errors"]) == 1
