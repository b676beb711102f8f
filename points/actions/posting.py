"""The door to points_post: what an action wants moved goes in, what happened comes out or is raised."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.utils.translation import gettext_lazy as _

from config.lib.errors import DomainError


class PostingRefused(DomainError):
    """The books refused a movement for a reason no action expected."""

    code = "posting_refused"
    message = _("The books refuse this: %(code)s.")


class InsufficientPoints(DomainError):
    """There are fewer points than asked for."""

    code = "insufficient_points"
    message = _("%(needed)s points are needed and %(available)s are available.")


class ReferenceConflict(DomainError):
    """The reference was used before, for something else."""

    code = "reference_conflict"
    status = 409
    message = _("reference: %(reference)s was used before with other content. Send a new reference.")


class MemberNotActive(DomainError):
    """The membership is suspended, closed or merged."""

    code = "member_not_active"
    message = _("The membership is not active.")


class PointsNotRedeemable(DomainError):
    """Points of this type measure a tier and are never spent."""

    code = "points_not_redeemable"
    message = _("Points of this type cannot be spent.")


class PointsOutOfRange(DomainError):
    """The number of points is not one that can be moved."""

    code = "points_out_of_range"
    message = _("points: must be a whole number from 1 to 1,000,000,000,000.")


class NothingToReturn(DomainError):
    """More points were to be given back than the entry took and still can return."""

    code = "nothing_to_return"
    message = _("Of that entry %(available)s points can still be given back.")


class UnknownMember(DomainError):
    """There is no such member, or no such point type."""

    code = "unknown_member"
    status = 404
    message = _("There is no such member.")


_REFUSALS: dict[str, type[DomainError]] = {
    error.code: error for error in (MemberNotActive, PointsNotRedeemable, PointsOutOfRange, UnknownMember)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """One wanted movement: the columns of the SQL type points_posting, in its order."""

    member_id: int
    point_type_id: int
    kind: str
    from_account: str | None
    to_account: str
    points: int | None
    source: str
    reference: str
    line: int = 0
    event_id: int | None = None
    rule_id: int | None = None
    corrects: int | None = None
    actor: str
    reason: str = ""
    note: str = ""
    occurred_at: datetime
    recorded_at: datetime
    available_at: datetime | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Posted:
    """What a movement did: the (first) entry, how many points moved, and what is available after it."""

    entry_id: int
    points: int
    available: int
    replayed: bool


_ROW = "ROW(" + ",".join(["%s"] * 19) + ")::points_posting"


def post_all(postings: Sequence[Posting]) -> list[tuple[str, str | None, int | None, int | None, int | None]]:
    """Post up to 10,000 movements; (status, code, entry id, points, available) of each, in order."""
    values: list[Any] = [value for posting in postings for value in astuple(posting)]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT ord, status, code, entry_id, points, available FROM points_post(ARRAY["
            + ",".join([_ROW] * len(postings))
            + "])",
            values,
        )
        return [row[1:] for row in sorted(cursor.fetchall())]


def post(posting: Posting) -> Posted:
    """Post one movement, or raise the refusal by name."""
    ((status, code, entry_id, points, available),) = post_all([posting])
    if status == "refused":
        raise refusal(code or "", posting=posting, points=points, available=available)
    return Posted(entry_id or 0, points or 0, available or 0, status == "replayed")


def refusal(code: str, *, posting: Posting, points: int | None, available: int | None) -> DomainError:
    """The exception for a reason code of points_post."""
    if code == "insufficient_points":
        return InsufficientPoints(needed=posting.points, available=points or 0)
    if code == "nothing_to_return":
        return NothingToReturn(available=points or 0)
    if code == "reference_conflict":
        return ReferenceConflict(reference=posting.reference)
    if code in _REFUSALS:
        return _REFUSALS[code]()
    return PostingRefused(code=code)
