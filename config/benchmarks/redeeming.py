"""Orders of one gift that everybody wants, beside orders of gifts that nobody else wants."""

from datetime import datetime

from django.utils import timezone

from config.benchmarks import web
from config.benchmarks.web import CLIENTS
from members.models import Member
from points.actions import awarding
from points.actions.awarding import IncomingEvent
from points.benchmarks import programme
from points.benchmarks.harness import ROUNDS, Bench, Figure, NotMeasured, Side, alternate, compare
from rewards.actions import stocking
from rewards.models import Redemption, Reward, RewardKind, Stock

NAME = "redemption"
PRICE = 10


def run(bench: Bench) -> list[Figure]:
    """Let all clients order over HTTP until the stock is gone: one stock for all, then one for each."""
    calls = bench.size(100, 2)
    at = timezone.now()
    programme.set_up(bench, members=bench.size(2_000, CLIENTS * 2))
    members = list(Member.objects.order_by("id").values_list("number", flat=True))
    _give_points(members, at)
    hot = _gift("hot")
    cold = [_gift(f"cold-{client}") for client in range(CLIENTS)]
    requests: list[list[bytes]] = []

    with web.serve() as server:

        def prepare(prefix: str, gifts: list[Reward]) -> None:
            """Put exactly as many pieces there as are wanted, and write the orders; no two clients share a member."""
            for gift in gifts:
                stocking.set_count(reward=gift, count=calls * CLIENTS // len(gifts), actor=programme.ACTOR, at=at)
            requests[:] = [
                [
                    server.write(
                        "POST", "api/v1/redemptions/", _order(f"{prefix}-{client}-{n}", own[n % len(own)], gift)
                    )
                    for n in range(calls)
                ]
                for client, gift, own in (
                    (client, gifts[client % len(gifts)], members[client::CLIENTS]) for client in range(CLIENTS)
                )
            ]

        def order(prefix: str) -> int:
            placed = server.send(requests, status=201)
            kept = Redemption.objects.filter(reference__startswith=f"{prefix}-").count()
            if not placed == kept == calls * CLIENTS:
                raise NotMeasured(f"{NAME}: {placed} orders were answered and {kept} are kept of {calls * CLIENTS}")
            return kept

        ours, other = alternate(
            bench,
            NAME,
            [
                Side("hot", lambda number: order(f"h{number}"), lambda number: prepare(f"h{number}", [hot])),
                Side("cold", lambda number: order(f"c{number}"), lambda number: prepare(f"c{number}", cold)),
            ],
        )
        _refuse_oversold(server, members[0], hot, calls)
    bench.check_books(NAME)
    return [
        compare(
            ours,
            other,
            workload=NAME,
            name="one stock for all ÷ a stock for each",
            unit="orders",
            aim=0.6,
            note=f"POST redemptions/ by {CLIENTS} clients to the last piece; one more order was refused",
        )
    ]


def _give_points(members: list[str], at: datetime) -> None:
    """Let each member buy enough for every order."""
    purchases = [
        IncomingEvent(
            reference=f"s-{number}",
            type="purchase",
            occurred_at=at,
            member=number,
            amount_minor=100_000_000,
            currency="CNY",
        )
        for number in members
    ]
    results = awarding.award_many(events=purchases, source="bench", actor=programme.ACTOR, at=at, told=False)
    if any(result.status != "accepted" for result in results):
        raise NotMeasured(f"{NAME}: the members have no points")


def _gift(code: str) -> Reward:
    return Reward.objects.create(code=code, kind=RewardKind.GIFT, name_en=code, points=PRICE)


def _order(reference: str, member: str, gift: Reward) -> dict[str, str]:
    return {"reference": reference, "member": member, "reward": gift.code}


def _refuse_oversold(server: web.Web, member: str, hot: Reward, calls: int) -> None:
    """Refuse the figure when a piece too many or too few was sold, or one more can be had."""
    more = server.write("POST", "api/v1/redemptions/", _order("one-more", member, hot))
    sold, wanted = Redemption.objects.filter(reward=hot).count(), calls * CLIENTS * (ROUNDS + 1)
    left = list(Stock.objects.values_list("count", flat=True).distinct())
    if server.send([[more]], status=422) != 1 or sold != wanted or left != [0]:
        raise NotMeasured(f"{NAME}: {sold} of {wanted} pieces were sold and {left} are left")
