"""The audit trail: one row for what was done or looked at."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from config.lib.actor import Actor
from members.models import AuditRecord, Member


def record(
    *,
    actor: Actor,
    action: str,
    subject: Member | None = None,
    reason: str = "",
    details: Mapping[str, Any] | None = None,
    at: datetime,
) -> AuditRecord:
    """Write down who did or read what, of whom and why. `details` never holds personal data."""
    return AuditRecord.objects.create(
        actor=actor, action=action, subject=subject, reason=reason, details=dict(details or {}), at=at
    )
