"""The back office of members; importing it registers the screens."""

from members.admin import access, member, tier, webhooks

__all__ = ["access", "member", "tier", "webhooks"]
