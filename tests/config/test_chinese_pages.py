"""Every page in Chinese: nobody meets an English word on any page of the portal or the back office.

What stays as it is: names and codes (`ALLOWED`, `CODES`), and whatever looks like one.
"""

import re
from collections.abc import Iterator
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib import admin
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import NoReverseMatch, reverse
from django.utils import timezone, translation

from members.actions.staffing import StaffRole
from members.models import ClientKey
from points.actions import adjusting, catalogue, holding, refunding
from points.closing import close
from points.models import DailyStatistic, Entry, Event, RuleUsage
from rewards.actions import redeeming, stocking
from rewards.actions.booking import Booking
from rewards.models import Coupon, Redemption, Reward, StockMovement
from rewards.urls import urlpatterns
from tests.members.factories import TESTER, StaffFactory, client_key
from tests.rewards.factories import CouponBatchFactory, codes_of, order
from tests.rewards.portal_scene import Scene, set_scene

pytestmark = pytest.mark.django_db

#: The same in both languages: abbreviations, keys of the keyboard, file formats, the languages' own names.
ALLOWED = set(
    re.findall(
        r"\w+",
        "API App CNY CSV Command Control Cookie EN English HTTP ID IP JPEG JSON LDAP Laurel MB Mac PNG SQL UTC WebP "
        "csv en esc xlsx",
    )
)
#: How axes and the job runs write themselves down, which has no translation.
ALLOWED |= {"Axes", "Attempted", "Access", "close", "Close"}
#: Codes of the programme, the scene's systems and the house's roles, where they stand alone.
CODES = {"points", "growth", "member", "silver", "gold", "platinum", "grocery", "pos"}
CODES |= {"vouchers", "home", "leisure"}
CODES |= {"admin", "portal", "shop", "till", "tests", "edit", *StaffRole.values}

_SILENT = {"script", "style", "svg", "template", "textarea", "code"}  # what is in a text area is somebody's own
_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
_SPOKEN = {"title", "placeholder", "aria-label", "alt", "data-done"}
_CODE = re.compile(
    r"\b[A-Z]{6,}\b|https?://\S+|\w+\*+|\*+-\w+|\S+@\S+|\S*[\d_/:{}\[\]$&<>\"]\S*|\w+(?:[.-]\w+)+"
    r"|\w+ = [\d.]+|\w+ v\d+"
)
_WORD = re.compile(r"[A-Za-z][A-Za-z’']+")


class Reader(HTMLParser):
    """Reads a page as a person does: its texts, and the attributes that are shown or spoken."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._silent: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if not self._silent:
            self.texts += [value for name, value in attrs if name in _SPOKEN and value]
            if tag == "input" and given.get("type") in {"submit", "button"}:
                self.texts.append(given.get("value") or "")
        is_icon = "material-symbols-outlined" in (given.get("class") or "")
        if tag not in _VOID and (self._silent or is_icon or tag in _SILENT or given.get("lang") == "en"):
            self._silent.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._silent and self._silent[-1] == tag:
            self._silent.pop()

    def handle_data(self, data: str) -> None:
        if not self._silent and data.strip():
            self.texts.append(" ".join(data.split()))


def english_of(html: str) -> set[str]:
    """Return the texts of a page that hold an English word."""
    reader = Reader()
    reader.feed(html)
    return {text for text in reader.texts if _has_english(text)}


def _has_english(text: str) -> bool:
    parts = [part for part in re.split(r"[|“”：·,+]", text) if part.strip().lower() not in CODES]
    return bool(set(_WORD.findall(_CODE.sub(" ", " ".join(parts)))) - ALLOWED)


def lines_of(found: dict[str, set[str]]) -> list[str]:
    """Return a line for each text, with where it stands."""
    return [f"{place}  {text}" for place, texts in found.items() for text in sorted(texts)]


def test_the_reader_finds_english_wherever_it_is_read() -> None:
    page = '<p title="A title">会员 <b>Member 3</b><svg>hidden</svg><br><input alt="Type here"> gold = 1.5 REF-1</p>'

    assert english_of(page) == {"A title", "Member 3", "Type here"}


@pytest.fixture
def scene() -> Scene:
    """A member with one of everything that pages can show, and the rest of the programme around."""
    catalogue.forget()
    found = set_scene(points=30_000, name="李明", language="zh-hans")
    member, now = found.member, found.now
    mug = Reward.objects.get(code="gift-mug")
    told: dict[str, Any] = {"source": "till", "actor": TESTER, "at": now}
    found.buys(
        "128.50",
        store="南京路店",
        channel="in-store",
        items=[{"sku": "6901", "category": "grocery", "quantity": 2, "amount_minor": 12_850}],
    )
    found.buys("80.00", at=now - timedelta(days=1))
    bought = Event.objects.get(member=member, amount_minor=8_000)
    refunding.refund(event=bought, reference="return-1", occurred_at=now, amount_minor=3_000, **told)
    holding.hold(member=member, points=50, reference="hold-1", **told)
    adjusting.adjust(member=member, points=20, credit=True, reason="补发", reference="补-1", actor=TESTER, at=now)
    stocking.set_count(reward=mug, variant=None, count=5, actor=TESTER, at=now, reason="盘点")
    with translation.override("zh-hans"):  # the books say what for in the language of whoever ordered
        for code in ("coupon-1", "gift-mug", "gift-teapot", "service-lounge"):
            order(member, Reward.objects.get(code=code), at=now)
        booking = Booking(at=now + timedelta(days=1), place="浦东机场二号航站楼")
        order(member, Reward.objects.get(code="service-lounge"), at=now, booking=booking)
        second = order(member, mug, at=now)
        redeeming.cancel(redemption=second, reference="c-1", source="portal", actor=TESTER, at=now)
    close(business_date=timezone.localdate(now) - timedelta(days=1), at=now)
    codes_of(CouponBatchFactory.create(name="春季", quantity=2))
    client_key("pos")
    AccessAttempt.objects.create(
        username="zhang.wei", ip_address="192.0.2.1", attempt_time=now, failures_since_start=5
    )
    return found


def chinese(browser: Client) -> Client:
    """Let a browser ask for Chinese."""
    browser.cookies["django_language"] = "zh-hans"
    return browser


def test_no_page_of_the_portal_shows_english(scene: Scene) -> None:
    browser = chinese(scene.signed_in())
    parts = {
        "<int:seq>": "1",
        "<uuid:key>": str(Redemption.objects.filter(member=scene.member).latest("pk").key),
        "<int:pk>": str(Coupon.objects.filter(member=scene.member).latest("pk").pk),
        "invited/<slug:code>": f"invited/{scene.member.referral_code}",
        "<slug:code>": "gift-mug",
    }
    found = {}
    for pattern in urlpatterns:
        address = f"/{pattern.pattern}"
        for part, value in parts.items():
            address = address.replace(part, value)
        found[address] = english_of(browser.get(address).text)
        if pattern.name not in {"sign_out", "sign_in"}:
            found[f"form of {address}"] = english_of(browser.post(address, {}).text)

    assert lines_of(found) == []


def test_no_line_of_the_history_is_explained_in_english(scene: Scene) -> None:
    browser = chinese(scene.signed_in())

    found = {
        entry.kind: english_of(browser.get(f"/history/{entry.seq}/").text)
        for entry in Entry.objects.filter(member=scene.member, point_type__code="points")
    }

    assert lines_of(found) == []
    assert len(found) >= 6


@pytest.mark.parametrize("address", ["/sign-in/", "/no/such/page/", "/admin/login/"])
def test_a_stranger_is_met_in_chinese(address: str) -> None:
    browser = chinese(Client())

    assert english_of(browser.get(address).text) == set()
    assert english_of(browser.post(address, {}).text) == set()
    assert english_of(browser.post(address, {"username": "nobody", "password": "wrong"}).text) == set()


def test_no_page_of_the_back_office_shows_english(scene: Scene) -> None:
    browser = Client()
    browser.force_login(StaffFactory.create(username="zhang.wei"))
    chinese(browser)

    found = {}
    for address in ["/admin/", *_addresses()]:
        response = browser.get(address)
        if response.status_code == 200:
            found[address] = english_of(response.text)

    assert lines_of(found) == []
    assert len(found) > 100


def test_no_form_of_the_back_office_complains_in_english(scene: Scene) -> None:
    browser = Client()
    browser.force_login(StaffFactory.create(username="zhang.wei"))
    chinese(browser)

    nothing = {"variants-TOTAL_FORMS": 0, "variants-INITIAL_FORMS": 0}

    found = {}
    for address in _addresses():
        if not address.endswith(("/delete/", "/history/", "/change/")):  # a change emptied shows the other language
            response = browser.post(address, nothing, follow=True)
            is_page = response.status_code == 200 and not response.streaming  # a file is not read by people
            found[address] = english_of(response.text) if is_page else set()

    assert lines_of(found) == []


def _addresses() -> Iterator[str]:
    """Every page of every screen, for its newest row; pages nothing leads to are left out."""
    not_linked = {DailyStatistic, RuleUsage, StockMovement}
    for model, screen in admin.site._registry.items():
        row = model._default_manager.order_by("pk").last()
        for pattern in screen.get_urls():
            name = getattr(pattern, "name", None)
            if not name or (model is Group and name.endswith("_delete")):
                continue  # deleting a role lists rows of Django's own that have no name
            try:
                yield reverse(f"admin:{name}")
            except NoReverseMatch:
                if row is None or model in not_linked or "adjust" in name:
                    continue
                key = [ClientKey.objects.get(client=row.pk).pk] if name == "members_client_withdraw" else []
                yield reverse(f"admin:{name}", args=[row.pk, *key])
