"""A client of API v1 in one file, with nothing but the standard library: take it and change it.

    laurel = Laurel("https://points.example.com", key)
    laurel.buy("bill-1", member="804412345678", amount="196.00")

Every write carries a reference of yours. So a call that got no answer, or was asked to wait, is simply sent again: it
either happens now or tells what happened the first time.
"""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.client import HTTPException
from typing import Any, Literal, NotRequired, TypedDict, cast
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen


class Money(TypedDict):
    amount: str
    currency: str


class Item(TypedDict):
    sku: str
    category: NotRequired[str]
    quantity: NotRequired[float]
    money: NotRequired[Money]


class Member(TypedDict):
    number: str
    status: Literal["active", "suspended", "closed", "merged"]
    tier: str
    name: str
    phone: str
    email: str
    referral_code: str


class Expiring(TypedDict):
    on: str
    points: int


class Balance(TypedDict):
    type: str
    available: int
    pending: int
    held: int
    owed: int
    expiring: list[Expiring]


class EventResult(TypedDict):
    reference: str
    status: Literal["accepted", "replayed", "rejected", "quarantined"]
    points: dict[str, int]
    code: NotRequired[str]
    detail: NotRequired[str]


class Verdict(TypedDict):
    rule: str
    points: int
    sentence: str


class Explanation(TypedDict):
    points: dict[str, int]
    rules: list[Verdict]


class Entry(TypedDict):
    kind: str
    type: str
    points: int
    available_after: int
    reference: str


class Refund(TypedDict):
    event: str
    entries: list[Entry]


class Hold(TypedDict):
    id: str
    status: str
    points: int
    captured: int
    expires_at: str


class Offer(TypedDict):
    code: str
    kind: Literal["coupon", "gift", "service"]
    name: str
    points: int
    available: bool
    unavailable_reasons: list[str]


class Coupon(TypedDict):
    code: str
    expires_on: str | None


class Redemption(TypedDict):
    id: str
    status: str
    points: int
    coupon: NotRequired[Coupon]
    pickup_code: NotRequired[str]


class CouponCheck(TypedDict):
    valid: bool
    discount: Money | None
    reasons: list[str]


class Day(TypedDict):
    day: str
    type: str
    kind: str
    points: int


class Refused(Exception):
    """Laurel said no. Decide by `code`; `facts` holds what a refusal tells, such as needed and available."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(problem["detail"])
        self.status, self.code, self.facts = status, cast(str, problem["code"]), problem


class Laurel:
    """One client system with its key."""

    tries = 4

    def __init__(
        self,
        address: str,
        key: str,
        *,
        language: str = "en",
        currency: str = "CNY",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.base = f"{address.rstrip('/')}/api/v1/"
        self.headers = {"Authorization": f"Bearer {key}", "Accept-Language": language}
        self.currency, self._sleep = currency, sleep

    # The counter.

    def enrol(self, reference: str, name: str, **profile: str) -> Member:
        """Take a person in: phone, email, birthday, language, referral_code."""
        return cast(Member, self.post("members/", reference=reference, name=name, **profile))

    def find(self, *, phone: str) -> Member | None:
        """Find a member by exact phone number."""
        return cast(Member | None, next(self.pages("members/", phone=phone), None))

    def balance(self, member: str, *, at: datetime | None = None) -> dict[str, Balance]:
        """Tell what a member has, or had at a moment, by point type."""
        query = {"at": at.isoformat()} if at else {}
        balances: list[Balance] = self.get(f"members/{member}/balance/", **query)
        return {one["type"]: one for one in balances}

    def entries(self, member: str) -> Iterator[Entry]:
        """Walk through a member's history, the newest first, page by page."""
        return cast(Iterator[Entry], self.pages(f"members/{member}/entries/"))

    # Purchases.

    def buy(self, reference: str, *, member: str, amount: str, at: datetime | None = None, **more: Any) -> EventResult:
        """Send a purchase: channel, store, attributes and items may be told with it.

        Without `at` it is now. Keep the moment beside the reference if you may send it again after a restart: the same
        reference with another time is another content, and refused.
        """
        return cast(EventResult, self.post("events/", **self._purchase(reference, member, amount, at), **more))

    def preview(self, *, member: str, amount: str, **more: Any) -> Explanation:
        """Ask what a purchase would give; nothing is kept."""
        return cast(Explanation, self.post("events/preview/", **self._purchase("preview", member, amount), **more))

    def explain(self, event: str) -> Explanation:
        """Ask why a purchase gave what it gave."""
        return cast(Explanation, self.get(f"events/{quote(event)}/explanation/"))

    def refund(
        self,
        reference: str,
        *,
        event: str,
        amount: str | None = None,
        items: list[Item] | None = None,
        at: datetime | None = None,
    ) -> Refund:
        """Refund an amount, or some lines of the bill, or with neither all that is left."""
        told: dict[str, Any] = {"money": self.money(amount)} if amount else {"items": items} if items else {}
        return cast(
            Refund, self.post(f"events/{quote(event)}/refunds/", reference=reference, occurred_at=_moment(at), **told)
        )

    # Points at the till: set aside while the customer pays, then spent or given back.

    def hold(self, reference: str, *, member: str, points: int, seconds: int = 600) -> Hold:
        """Set points aside."""
        return cast(Hold, self.post("holds/", reference=reference, member=member, points=points, expires_in=seconds))

    def capture(self, reference: str, hold: Hold, *, points: int, event: str) -> Hold:
        """Spend held points on a purchase that was sent; what is not captured goes back."""
        path = f"holds/{hold['id']}/capture/"
        return cast(Hold, self.post(path, reference=reference, points=points, event=event))

    def void(self, reference: str, hold: Hold) -> Hold:
        """Give held points back."""
        return cast(Hold, self.post(f"holds/{hold['id']}/void/", reference=reference))

    # Rewards.

    def offers(self, member: str, **query: str) -> Iterator[Offer]:
        """Walk through the catalogue as this member sees it."""
        return cast(Iterator[Offer], self.pages("rewards/", member=member, **query))

    def redeem(self, reference: str, *, member: str, reward: str, **choice: Any) -> Redemption:
        """Spend points on a reward: variant, quantity and address may be chosen."""
        return cast(Redemption, self.post("redemptions/", reference=reference, member=member, reward=reward, **choice))

    def order(self, order: str) -> Redemption:
        """Read an order as it stands."""
        return cast(Redemption, self.get(f"redemptions/{order}/"))

    def cancel(self, reference: str, order: Redemption) -> Redemption:
        """Take an order back before it is delivered."""
        return cast(Redemption, self.post(f"redemptions/{order['id']}/cancel/", reference=reference))

    def check_coupon(self, code: str, *, member: str, amount: str) -> CouponCheck:
        """Ask whether a code is good for a purchase; nothing changes."""
        path = f"coupons/{quote(code, safe='')}/validate/"
        return cast(CouponCheck, self.post(path, member=member, money=self.money(amount)))

    def use_coupon(self, reference: str, code: str, *, member: str, amount: str) -> Money:
        """Use a code: of all who try at once exactly one wins. Returns what it takes off."""
        path = f"coupons/{quote(code, safe='')}/redeem/"
        return cast(Money, self.post(path, reference=reference, member=member, money=self.money(amount))["discount"])

    # Figures.

    def days(self, **query: str) -> Iterator[Day]:
        """Walk through what the nights rolled up: from, to, type, kind."""
        return cast(Iterator[Day], self.pages("statistics/daily/", **query))

    # How all of it travels.

    def money(self, amount: str) -> Money:
        return {"amount": amount, "currency": self.currency}

    def get(self, path: str, **query: str) -> Any:
        return self._call("GET", self.base + path + (f"?{urlencode(query)}" if query else ""))

    def post(self, path: str, **body: Any) -> Any:
        return self._call("POST", self.base + path, body)

    def pages(self, path: str, **query: str) -> Iterator[Any]:
        page = self.get(path, **query)
        yield from page["results"]
        while page["next"]:
            page = self._call("GET", page["next"])
            yield from page["results"]

    def _purchase(self, reference: str, member: str, amount: str, at: datetime | None = None) -> dict[str, Any]:
        told = {"reference": reference, "member": member, "type": "purchase", "occurred_at": _moment(at)}
        return {**told, "money": self.money(amount)}

    def _call(self, method: str, address: str, body: Any = None) -> Any:
        """Send a request; after 429, 502 to 504 or a broken line wait and send the very same one again."""
        data = None if body is None else json.dumps(body).encode()
        request = Request(address, data, {**self.headers, "Content-Type": "application/json"}, method=method)
        for left in reversed(range(self.tries)):
            try:
                with urlopen(request, timeout=30) as answer:
                    return json.load(answer)
            except HTTPError as error:
                if error.code not in (429, 502, 503, 504) or not left:
                    raise Refused(error.code, _problem(error)) from error
                error.close()
                wait = error.headers.get("Retry-After", "")
                self._sleep(float(wait) if wait.isdigit() else 1)
            except (OSError, HTTPException):
                if not left:
                    raise
                self._sleep(1)
        raise AssertionError("unreachable")


def _problem(error: HTTPError) -> dict[str, Any]:
    """Read what Laurel says; a proxy before it says something else, or breaks off."""
    try:
        with error:
            return cast(dict[str, Any], json.load(error))
    except (ValueError, OSError, HTTPException):
        return {"code": "no_problem_document", "detail": str(error)}


def _moment(at: datetime | None) -> str:
    return (at or datetime.now(UTC)).isoformat()
