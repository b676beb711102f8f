"""The ledger of one member and one point type, told again in plain Python: lots, first in first out, and accounts.

It shares no code with the SQL. Where both agree after every step of a random history, both are probably right.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction
from itertools import count


class Refused(Exception):
    """The books do not allow it; the code is the one the programme answers with."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(eq=False)
class Lot:
    """One credit: what is left of it, whether it waits, when it ends, and how much of it the nights have taken."""

    size: int
    remaining: int
    pending: bool
    available_at: datetime
    ends: datetime | None
    place: int
    spared: int = 0

    def order(self) -> tuple[bool, float, int]:
        """Soonest end first, then oldest, the endless last."""
        return (self.ends is None, self.ends.timestamp() if self.ends else 0.0, self.place)


@dataclass(eq=False)
class Taking:
    """What a spend or a hold drew from which lots, and what of it went back."""

    draws: list[tuple[Lot, int]]
    returned: dict[Lot, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def returnable(self) -> int:
        return sum(points - self.returned[lot] for lot, points in self.draws)


@dataclass(eq=False)
class Hold:
    points: int
    taking: Taking
    deadline: datetime
    open: bool = True


@dataclass(eq=False)
class Award:
    """What one rule gave: a lot, for the whole amount or for some goods, and what refunds took of it."""

    lot: Lot
    goods: str | None = None
    clawed: int = 0


@dataclass(eq=False)
class Spent:
    """Points that were spent on a purchase, and how many of them its refunds gave back."""

    points: int
    taking: Taking
    restored: int = 0


@dataclass(eq=False)
class Purchase:
    """An event of some money for some goods, what it earned, what was spent on it, and the refunds there were."""

    amount: int
    awards: list[Award]
    goods: dict[str, int] = field(default_factory=dict)
    spent: list[Spent] = field(default_factory=list)
    refunds: list[tuple[int, dict[str, int] | None]] = field(default_factory=list)

    @property
    def refunded(self) -> int:
        return sum(amount for amount, _goods in self.refunds)

    def part(self, goods: str | None) -> Fraction:
        """How much of the purchase, or of these goods, was refunded: from nothing to all."""
        if self.refunded == self.amount:
            return Fraction(1)
        if goods is None:
            return Fraction(self.refunded, self.amount)
        sold, gone = self.goods.get(goods, 0), Fraction(0)
        for amount, of in self.refunds:
            gone += Fraction(sold * amount, self.amount) if of is None else of.get(goods, 0)
        return min(Fraction(1), gone / sold) if sold else Fraction(0)


class Book:
    """All a member has of one point type."""

    def __init__(self, *, clamps: bool = False) -> None:
        self.clamps = clamps
        self.lots: list[Lot] = []
        self.holds: list[Hold] = []
        self.held = self.owed = self.redeemed = self.expired = self.issued = 0
        self.swept: set[tuple[str, date]] = set()
        self._places = count()

    @property
    def available(self) -> int:
        return sum(lot.remaining for lot in self.lots if not lot.pending)

    @property
    def pending(self) -> int:
        return sum(lot.remaining for lot in self.lots if lot.pending)

    def accounts(self) -> dict[str, int]:
        names = ("available", "pending", "held", "owed", "issued", "redeemed", "expired")
        return {name: getattr(self, name) for name in names if getattr(self, name)}

    # ---- credits and debits ----

    def credit(self, points: int, at: datetime, *, ends: datetime | None, available_at: datetime | None = None) -> Lot:
        waits = available_at is not None and available_at > at
        lot = Lot(points, points, waits, available_at or at, ends, next(self._places))
        self.lots.append(lot)
        self.issued += points
        if not waits:
            self._settle(at)
        return lot

    def buy(
        self,
        amount: int,
        awards: list[tuple[int, datetime | None, datetime | None]],
        at: datetime,
        goods: dict[str, int] | None = None,
    ) -> Purchase:
        """Earn the given points, each with its end and when it becomes available; the last for the first goods."""
        given = [
            Award(self.credit(points, at, ends=ends, available_at=ready)) for points, ends, ready in awards if points
        ]
        if goods and len(given) == len(awards):
            given[-1].goods = next(iter(goods))
        return Purchase(amount, given, goods or {})

    def debit(self, points: int, at: datetime) -> None:
        self._take(points, at)
        self.issued -= points

    def spend(self, points: int, at: datetime, purchase: Purchase | None = None) -> Taking:
        taking = self._take(points, at)
        self.redeemed += points
        if purchase:
            purchase.spent.append(Spent(points, taking))
        return taking

    def restore(self, taking: Taking, points: int, at: datetime, least_end: datetime) -> None:
        moving = self._give_back(taking, points, least_end)
        if moving:
            self.lots.append(Lot(moving, moving, False, at, least_end, next(self._places)))
        self.redeemed -= points
        self._settle(at)

    # ---- holds ----

    def hold(self, points: int, at: datetime, deadline: datetime) -> Hold:
        taking = self._take(points, at)
        self.held += points
        self.holds.append(Hold(points, taking, deadline))
        return self.holds[-1]

    def capture(self, hold: Hold, points: int, at: datetime, purchase: Purchase | None = None) -> None:
        if points > hold.points:
            raise Refused("hold_exceeded")
        if hold.deadline <= at:
            raise Refused("hold_closed")
        self._close(hold)
        self.held -= points
        self.redeemed += points
        if purchase:
            purchase.spent.append(Spent(points, hold.taking))
        if points < hold.points:
            self._release(hold, hold.points - points, at)

    def void(self, hold: Hold, at: datetime) -> None:
        self._close(hold)
        self._release(hold, hold.points, at)

    def _close(self, hold: Hold) -> None:
        if not hold.open:
            raise Refused("hold_closed")
        hold.open = False

    def _release(self, hold: Hold, points: int, at: datetime) -> None:
        self._give_back(hold.taking, points, None)
        self.held -= points
        self._settle(at, gained=points)

    # ---- refunds ----

    def refund(
        self,
        purchase: Purchase,
        amount: int,
        at: datetime,
        least_end: datetime,
        goods: dict[str, int] | None = None,
    ) -> None:
        if purchase.refunded >= purchase.amount:
            raise Refused("already_refunded")
        if purchase.refunded + amount > purchase.amount:
            raise Refused("refund_exceeds_event")
        purchase.refunds.append((amount, goods))
        for spent in purchase.spent:
            due = min(int(spent.points * purchase.part(None)) - spent.restored, spent.taking.returnable)
            if due > 0:
                spent.restored += due
                self.restore(spent.taking, due, at, least_end)
        for award in purchase.awards:
            kept = int(award.lot.size * (1 - purchase.part(award.goods)))
            due = min(award.lot.size - kept, award.lot.size - award.lot.spared) - award.clawed
            if due > 0:
                award.clawed += self._claw_back(award.lot, due, at)

    def _claw_back(self, lot: Lot, points: int, at: datetime) -> int:
        """Take points back; how many of them it were."""
        left = points
        for source in (lot, *self._spendable(at)):
            part = min(left, source.remaining)
            source.remaining -= part
            left -= part
        owing = left if not self.clamps else min(left, max(0, self.held - self.owed))
        self.owed += owing
        taken = points - left + owing
        self.issued -= taken
        return taken

    # ---- the night ----

    def mature(self, day: date, cutoff: datetime, at: datetime) -> None:
        due = [lot for lot in self.lots if lot.pending and lot.remaining and lot.available_at <= cutoff]
        if due and ("maturity", day) not in self.swept:
            self.swept.add(("maturity", day))
            for lot in due:
                lot.pending = False
            self._settle(at, gained=sum(lot.remaining for lot in due))

    def expire(self, day: date, cutoff: datetime) -> None:
        due = [lot for lot in self.lots if not lot.pending and lot.remaining and lot.ends and lot.ends <= cutoff]
        if due and ("expiry", day) not in self.swept:
            self.swept.add(("expiry", day))
            for lot in due:
                self.expired += lot.remaining
                lot.spared += lot.remaining
                lot.remaining = 0

    # ---- lots ----

    def _spendable(self, at: datetime) -> list[Lot]:
        open_lots = [lot for lot in self.lots if lot.remaining and not lot.pending and (not lot.ends or lot.ends > at)]
        return sorted(open_lots, key=Lot.order)

    def _ended(self, at: datetime) -> list[Lot]:
        return [lot for lot in self.lots if lot.remaining and not lot.pending and lot.ends and lot.ends <= at]

    def _take(self, points: int, at: datetime, *, at_most: bool = False) -> Taking:
        lots = self._spendable(at)
        if not at_most and sum(lot.remaining for lot in lots) < points:
            raise Refused("insufficient_points")
        draws = []
        for lot in lots:
            part = min(points, lot.remaining)
            if part:
                lot.remaining -= part
                points -= part
                draws.append((lot, part))
        return Taking(draws)

    def _give_back(self, taking: Taking, points: int, least_end: datetime | None) -> int:
        """Return points to their lots, latest-ending first; how many of them must live longer than their lot.

        An empty lot lives on for the points that return to it; one that has others, left or held, does not prolong
        those.
        """
        if points > taking.returnable:
            raise Refused("nothing_to_return")
        moving = 0
        held = {lot for hold in self.holds if hold.open for lot, _points in hold.taking.draws}
        for lot, drawn in sorted(taking.draws, key=lambda draw: draw[0].order(), reverse=True):
            part = min(points, drawn - taking.returned[lot])
            if part:
                taking.returned[lot] += part
                points -= part
                if lot.ends and least_end and (lot.remaining or lot in held) and lot.ends < least_end:
                    moving += part
                else:
                    lot.remaining += part
                    lot.ends = max(lot.ends, least_end) if lot.ends and least_end else lot.ends
        return moving

    def _settle(self, at: datetime, *, gained: int = 0) -> None:
        """Pay what is owed; what was just gained back pays also where it has ended."""
        paid = sum(points for _lot, points in self._take(self.owed, at, at_most=True).draws)
        for lot in sorted(self._ended(at), key=Lot.order, reverse=True):
            part = max(0, min(lot.remaining, self.owed - paid, gained - paid))
            lot.remaining -= part
            paid += part
        self.owed -= paid
