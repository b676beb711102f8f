"""What a member spent, by month and by category of goods, as figures and as the bars that show them."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from django.conf import settings

from members.models import Member
from points.models import MemberMonth

_CATEGORIES_SHOWN = 8
_CHART_WIDTH, _CHART_HEIGHT, _BAR_WIDTH = 720, 200, 36


@dataclass(frozen=True, slots=True)
class Month:
    """One month of spending, and the place of its bar in the chart."""

    month: date
    purchases: int
    amount_minor: int
    earned: int
    redeemed: int
    x: int
    y: int
    height: int
    width: int = _BAR_WIDTH

    @property
    def middle(self) -> int:
        """Where its label stands."""
        return self.x + self.width // 2


@dataclass(frozen=True, slots=True)
class Category:
    """What went to one category of goods; the last one, without a name, is all the rest."""

    name: str
    amount_minor: int
    percent: int


@dataclass(frozen=True, slots=True)
class Year:
    """A member's year in one currency."""

    currency: str
    months: list[Month]
    categories: list[Category]
    amount_minor: int
    purchases: int
    earned: int
    redeemed: int
    chart_width: int = _CHART_WIDTH
    chart_height: int = _CHART_HEIGHT


def years(member: Member) -> list[int]:
    """Return the years with any spending or points, newest first."""
    months = MemberMonth.objects.filter(member=member).dates("month", "year", order="DESC")
    return [month.year for month in months]


def year(member: Member, number: int) -> list[Year]:
    """Return a member's year, once for each currency that was spent; the one spent most comes first."""
    rows = MemberMonth.objects.filter(member=member, month__year=number).order_by("month")
    by_currency: dict[str, list[MemberMonth]] = defaultdict(list)
    for row in rows:
        by_currency[row.currency].append(row)
    points_only = by_currency.pop("", [])
    if not by_currency:
        return [_year("", points_only, number)] if points_only else []
    # Points of months without spending stand once, where the programme's own money does if any was spent.
    home = min(by_currency, key=lambda currency: (currency != settings.LAUREL_CURRENCY, currency))
    by_currency[home] += points_only
    found = [_year(currency, each, number) for currency, each in by_currency.items()]
    return sorted(found, key=lambda one: -one.amount_minor)


def _year(currency: str, rows: Sequence[MemberMonth], number: int) -> Year:
    wholes = [row for row in rows if row.category == ""]
    months = _months(wholes, number)
    return Year(
        currency=currency,
        months=months,
        categories=_categories([row for row in rows if row.category]),
        amount_minor=sum(row.amount_minor for row in wholes),
        purchases=sum(row.events for row in wholes),
        earned=sum(row.earned for row in wholes),
        redeemed=sum(row.redeemed for row in wholes),
    )


def _months(rows: Sequence[MemberMonth], number: int) -> list[Month]:
    """Lay twelve bars side by side; a month that gave more back than it took has none."""
    by_month: dict[int, list[MemberMonth]] = defaultdict(list)
    for row in rows:
        by_month[row.month.month].append(row)
    amounts = {month: sum(row.amount_minor for row in by_month[month]) for month in range(1, 13)}
    highest = max(1, *amounts.values())
    slot = _CHART_WIDTH // 12
    return [
        Month(
            month=date(number, month, 1),
            purchases=sum(row.events for row in by_month[month]),
            amount_minor=amounts[month],
            earned=sum(row.earned for row in by_month[month]),
            redeemed=sum(row.redeemed for row in by_month[month]),
            x=(month - 1) * slot + (slot - _BAR_WIDTH) // 2,
            y=_CHART_HEIGHT - (height := max(0, amounts[month]) * _CHART_HEIGHT // highest),
            height=height,
        )
        for month in range(1, 13)
    ]


def _categories(rows: Sequence[MemberMonth]) -> list[Category]:
    """Add the months of each category up, the largest first, what is left over together at the end."""
    sums: dict[str, int] = defaultdict(int)
    for row in rows:
        sums[row.category] += row.amount_minor
    ranked = sorted(sums.items(), key=lambda item: -item[1])
    shown, rest = ranked[:_CATEGORIES_SHOWN], sum(amount for _name, amount in ranked[_CATEGORIES_SHOWN:])
    if rest:
        shown.append(("", rest))
    largest = max((amount for _name, amount in shown), default=0)
    return [Category(name, amount, _percent(amount, largest)) for name, amount in shown]


def _percent(part: int, whole: int) -> int:
    return max(0, part) * 100 // whole if whole > 0 else 0
