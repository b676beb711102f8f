"""Who: members with their tiers and keys, sign-ins, client systems and the audit trail."""

from members.models.access import RESERVED_SOURCES, Client, Scope, User
from members.models.audit import AuditRecord
from members.models.people import Member, MemberKey, MemberKeyKind, MemberOwned, MemberStatus, Tier

__all__ = [
    "RESERVED_SOURCES",
    "AuditRecord",
    "Client",
    "Member",
    "MemberKey",
    "MemberKeyKind",
    "MemberOwned",
    "MemberStatus",
    "Scope",
    "Tier",
    "User",
]
