"""Who: members with their tiers and keys, sign-ins, client systems with their webhooks, and the audit trail."""

from members.models.access import RESERVED_SOURCES, Client, ClientKey, KeyState, Scope, User
from members.models.audit import AuditRecord
from members.models.people import Member, MemberKey, MemberKeyKind, MemberOwned, MemberStatus, Tier, TierChange
from members.models.webhooks import (
    OFFERED_TYPES,
    DeliveryState,
    EndpointStatus,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookType,
    scope_of,
)

__all__ = [
    "OFFERED_TYPES",
    "RESERVED_SOURCES",
    "AuditRecord",
    "Client",
    "ClientKey",
    "DeliveryState",
    "EndpointStatus",
    "KeyState",
    "Member",
    "MemberKey",
    "MemberKeyKind",
    "MemberOwned",
    "MemberStatus",
    "Scope",
    "Tier",
    "TierChange",
    "User",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookType",
    "scope_of",
]
