"""What happens in the demo beside the retail data, so that every screen has something true to show.

One household of the data is the demo member: it redeems rewards, returns a purchase, invites a friend and buys in the
app. Who these people are, is made up; every point is moved by the actions everybody uses, on the day it happened.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date, datetime, timedelta

from config.journey import loading
from config.journey.loading import Happening
from config.lib import actor
from config.lib.errors import DomainError
from config.seed import APP
from members.actions import enrolling, updating
from members.models import Member
from points.actions import adjusting, awarding, holding, refunding
from points.actions.awarding import IncomingEvent
from points.models import Event, EventType
from rewards import batches
from rewards.actions import coupons, fulfilling, redeeming
from rewards.models import Coupon, CouponBatch, CouponGiving, Redemption, RewardKind, RewardVariant

SOURCE = "demo"
#: A family of five that spent 16,581.51 dollars in 245 baskets: enough for a coupon, a gift and a service.
HERO = 1609
EMAIL = "member@laurel.example"
ADDRESS = "上海市黄浦区人民大道 200 号"
_ORDERS = 6
CLERK = actor.Actor("staff:clerk")
SHOP = actor.Actor("client:demo shop")


def story() -> dict[date, Happening]:
    """Return what happens on which day of the data."""
    return {
        date(2017, 1, 1): _of_hero(_introduce),
        date(2017, 3, 15): _of_hero(lambda hero, at: _order(hero, "gift-mug", at)),
        date(2017, 3, 17): _of_hero(lambda hero, at: _send(hero, "gift-mug", at)),
        date(2017, 3, 21): _of_hero(lambda hero, at: _receive(hero, "gift-mug", at)),
        date(2017, 4, 28): _of_hero(lambda hero, at: _order(hero, "coupon-20", at)),
        date(2017, 5, 6): _of_hero(_use_coupon),
        date(2017, 6, 10): _of_hero(_return_something),
        date(2017, 8, 1): _of_hero(_invite_friend),
        date(2017, 8, 20): _of_hero(_invite_himself),
        date(2017, 9, 9): _of_hero(lambda hero, at: _order(hero, "gift-tote", at, variant="green")),
        date(2017, 9, 10): _of_hero(lambda hero, at: _cancel(hero, "gift-tote", at)),
        date(2017, 10, 1): _of_hero(_apologise),
        date(2017, 11, 1): _hand_out_leaflets,
        date(2017, 11, 11): _of_hero(_buy_in_app),
        date(2017, 12, 5): _of_hero(lambda hero, at: _order(hero, "coupon-1", at)),
        date(2017, 12, 27): _order_by_many,
        date(2017, 12, 29): _send_some,
        date(2017, 12, 30): _of_hero(lambda hero, at: _order(hero, "gift-teapot", at)),  # waits for its payment
        date(2017, 12, 31): _of_hero(_attend),  # spends nothing later: these points are the next to expire
    }


def today(at: datetime) -> None:
    """What happens at the moment the demo is made: the friend stands at a till, and points are held."""
    with suppress(DomainError, Member.DoesNotExist):
        holding.hold(
            member=Member.objects.get(source=SOURCE, reference="friend-1"),
            points=50,
            source=SOURCE,
            reference="hold-1",
            actor=SHOP,
            at=at,
            expires_in=timedelta(days=1),
        )


def _of_hero(happening: Callable[[Member, datetime], object]) -> Happening:
    """Return a happening that is the demo member's; one that cannot be, or has been, is passed over."""

    def happen(at: datetime, members: Mapping[int, Member]) -> None:
        with suppress(DomainError):
            happening(members[HERO], at)

    return happen


def _introduce(hero: Member, at: datetime) -> None:
    updating.update_profile(
        member=hero,
        changes={
            "name": "李娜",
            "email": EMAIL,
            "phone": "+8613800138000",
            "birthday": date(1972, 6, 18),
            "address": ADDRESS,
            "language": "zh-hans",
        },
        actor=loading.ACTOR,
        at=at,
    )


def _order(member: Member, code: str, at: datetime, *, variant: str = "") -> Redemption:
    """Redeem a reward, once in the whole story for each member and reward."""
    reward = redeeming.get_reward(code)
    ordered = redeeming.redeem(
        member=member,
        reward=reward,
        variant=RewardVariant.objects.get(reward=reward, code=variant) if variant else None,
        source=SOURCE,
        reference=f"{code}-{member.number}",
        address=ADDRESS if reward.kind == RewardKind.GIFT else "",
        actor=actor.member(member.number),
        at=at,
    )
    return ordered.redemption


def _ordered(member: Member, code: str) -> Redemption:
    return Redemption.objects.select_related("reward", "member").get(
        member=member, source=SOURCE, reference=f"{code}-{member.number}"
    )


def _send(member: Member, code: str, at: datetime) -> None:
    order = _ordered(member, code)
    fulfilling.approve(redemption=order, actor=CLERK, at=at)
    fulfilling.ship(redemption=order, carrier="SF Express", tracking=f"SF{order.pk:012d}", actor=CLERK, at=at)


def _receive(member: Member, code: str, at: datetime) -> None:
    fulfilling.complete(redemption=_ordered(member, code), actor=CLERK, at=at)


def _cancel(member: Member, code: str, at: datetime) -> None:
    redeeming.cancel(
        redemption=_ordered(member, code),
        source=SOURCE,
        reference=f"cancel-{code}-{member.number}",
        reason="ordered by mistake",
        actor=actor.member(member.number),
        at=at,
    )


def _use_coupon(hero: Member, at: datetime) -> None:
    coupon = hero.coupons.filter(reward__code="coupon-20").get()
    coupons.redeem(
        code=coupon.code,
        amount_minor=12_800,
        currency="CNY",
        source=SOURCE,
        reference="coupon-use-1",
        member=hero,
        actor=SHOP,
        at=at,
    )


def _return_something(hero: Member, at: datetime) -> None:
    """Return a quarter of the last purchase."""
    event = Event.objects.filter(member=hero, type=EventType.PURCHASE, occurred_at__lt=at).latest("occurred_at")
    refunding.refund(
        event=event,
        source=SOURCE,
        reference="return-1",
        amount_minor=(event.amount_minor or 0) // 4,
        occurred_at=at,
        actor=SHOP,
        at=at,
    )


def _invite_friend(hero: Member, at: datetime) -> None:
    """Let a friend join by the member's code and buy something; the night makes it a referral."""
    friend = enrolling.enrol(
        reference="friend-1",
        source=SOURCE,
        name="王芳",
        language="zh-hans",
        referral_code=hero.referral_code,
        joined_at=at,
        actor=actor.system("demo"),
        at=at,
    )
    _buy(friend.member, "friend-purchase-1", 12_800, at)


def _invite_himself(hero: Member, at: datetime) -> None:
    """Let somebody with the same mailbox join by the member's code: the night holds this referral back."""
    friend = enrolling.enrol(
        reference="friend-2",
        source=SOURCE,
        name="李娜",
        email=EMAIL.replace("@", "+2@"),
        language="zh-hans",
        referral_code=hero.referral_code,
        joined_at=at,
        actor=actor.system("demo"),
        at=at,
    )
    _buy(friend.member, "friend-purchase-2", 6_800, at)


def _buy_in_app(hero: Member, at: datetime) -> None:
    for number, amount in enumerate((29_900, 8_850), start=1):
        _buy(hero, f"app-{number}", amount, at - timedelta(hours=number))


def _attend(hero: Member, at: datetime) -> None:
    event = IncomingEvent(
        reference="attendance-1", member_id=hero.pk, type=EventType.EVENT_ATTENDANCE, occurred_at=at, store="406"
    )
    awarding.award(event=event, source=SOURCE, actor=CLERK, at=at)


def _buy(member: Member, reference: str, amount_minor: int, at: datetime) -> None:
    event = IncomingEvent(
        reference=reference,
        member_id=member.pk,
        type=EventType.PURCHASE,
        occurred_at=at,
        amount_minor=amount_minor,
        currency="CNY",
        channel=APP,
    )
    awarding.award(event=event, source=SOURCE, actor=SHOP, at=at)


def _apologise(hero: Member, at: datetime) -> None:
    adjusting.adjust(
        member=hero,
        points=200,
        credit=True,
        reason="A gift arrived two weeks late",
        note="With our apologies for the late parcel",
        reference="apology-1",
        actor=CLERK,
        at=at,
    )


def _hand_out_leaflets(at: datetime, members: Mapping[int, Member]) -> None:
    """Make codes for leaflets, and give one to each member of the demo member's tier; three come to the till."""
    if CouponBatch.objects.exists():
        return
    batch = CouponBatch.objects.create(
        name="November leaflets",
        percent=10,
        most_minor=2_000,
        minimum_minor=5_000,
        currency="CNY",
        valid_days=90,
        uses_per_member=1,
        quantity=500,
        created_by=CLERK,
        created_at=at,
    )
    batches.issue_codes(batch=batch, actor=CLERK, at=at)
    tier = Member.objects.select_related("tier").get(pk=members[HERO].pk).tier
    giving = CouponGiving.objects.create(
        batch=batch,
        tier=tier,
        wanted=Member.objects.active().filter(tier=tier).count(),
        reason="Thanks to our best customers",
        created_by=CLERK,
        created_at=at,
    )
    batches.give(giving=giving, actor=CLERK, at=at)
    for number, coupon in enumerate(Coupon.objects.filter(batch=batch, member__isnull=False).order_by("-id")[:3]):
        with suppress(DomainError):
            coupons.redeem(
                code=coupon.code,
                amount_minor=8_800 + 4_000 * number,
                currency="CNY",
                source=SOURCE,
                reference=f"leaflet-{number}",
                member=coupon.member,
                actor=SHOP,
                at=at,
            )


def _order_by_many(at: datetime, members: Mapping[int, Member]) -> None:
    """Let six households who have the points for it order a mug: the queue of the back office."""
    ordered = 0
    for household, member in sorted(members.items()):
        if ordered < _ORDERS and household != HERO:
            with suppress(DomainError):
                _order(member, "gift-mug", at)
                ordered += 1


def _send_some(at: datetime, members: Mapping[int, Member]) -> None:
    """Send the first of the orders that wait and approve the second; the others go on waiting."""
    waiting = Redemption.objects.filter(source=SOURCE, state="placed", reward__code="gift-mug").order_by("id")[:2]
    for place, order in enumerate(waiting):
        with suppress(DomainError):
            fulfilling.approve(redemption=order, actor=CLERK, at=at)
            if place == 0:
                fulfilling.ship(redemption=order, carrier="SF Express", tracking="SF000000000042", actor=CLERK, at=at)
