"""Taking a caller's reference for a step of an order, so that the step sent again is not taken again."""

from typing import Any

from points.actions import claiming
from points.actions.posting import ReferenceConflict
from rewards.models import Redemption, RedemptionChange


def is_first(
    *, redemption: Redemption, operation: str, step: dict[str, Any], source: str, reference: str, **content: Any
) -> bool:
    """Take the reference; False when this order took the same step under it before. Raises ReferenceConflict.

    `step` says how the history of the order shows it, `content` what was asked for besides the order itself.
    """
    holder = claiming.claim(
        source=source,
        operation=operation,
        reference=reference,
        member_id=redemption.member_id,
        digest=claiming.digest_of(redemption=redemption.key, **content),
        target=redemption.pk,
    )
    if holder is None:
        raise ReferenceConflict(reference=reference)
    taken = RedemptionChange.objects.filter(
        member=redemption.member_id, redemption_id=redemption.pk, source=source, reference=reference, **step
    )
    return not taken.exists()
