"""Corrections by staff: a credit or a debit with a reason."""

from datetime import datetime

from django.db import connection, transaction
from django.utils.translation import gettext_lazy as _

from config.lib.actor import Actor
from config.lib.errors import DomainError
from members.models import Member
from points.actions import catalogue, claiming
from points.actions.posting import Posted, Posting, ReferenceConflict, post
from points.models import Operation


class ReasonMissing(DomainError):
    """Nobody changes points without saying why."""

    code = "reason_missing"
    message = _("reason: say why the points are adjusted.")


def adjust(
    *,
    member: Member,
    points: int,
    credit: bool,
    reason: str,
    reference: str,
    actor: Actor,
    at: datetime,
    source: str = "admin",
    point_type: str = "points",
    note: str = "",
) -> Posted:
    """Credit or debit a member's points; a credit opens a lot that expires as the point type says.

    Raises ReasonMissing, InsufficientPoints, ReferenceConflict. The same (source, reference) gives the first answer.
    """
    if not reason.strip():
        raise ReasonMissing
    type_id = catalogue.type_id(point_type)
    digest = claiming.digest_of(
        member=member.pk, type=point_type, points=points, credit=credit, reason=reason, note=note
    )
    with transaction.atomic():
        holder = claiming.claim(
            source=source,
            operation=Operation.ADJUSTMENT,
            reference=reference,
            member_id=member.pk,
            digest=digest,
            target=member.pk,
        )
        if holder is None:
            raise ReferenceConflict(reference=reference)
        return post(
            Posting(
                member_id=member.pk,
                point_type_id=type_id,
                kind="adjustment",
                from_account="issued" if credit else "available",
                to_account="available" if credit else "issued",
                points=points,
                source=source,
                reference=reference,
                actor=actor,
                reason=reason,
                note=note,
                occurred_at=at,
                recorded_at=at,
                expires_at=_expires_at(type_id, at) if credit else None,
            )
        )


def _expires_at(type_id: int, at: datetime) -> datetime | None:
    """When points of this type earned at that moment end, by the same SQL that awards use."""
    from django.conf import settings

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT points_expires_at(expiry_policy, expiry_value, expiry_on, %s, %s)"
            " FROM points_pointtype WHERE id = %s",
            [at, settings.TIME_ZONE, type_id],
        )
        (moment,) = cursor.fetchone()
    return moment  # type: ignore[no-any-return]
