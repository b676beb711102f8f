"""The back office of members; importing it registers the screens."""

from members.admin import access, member, tier

__all__ = ["access", "member", "tier"]
