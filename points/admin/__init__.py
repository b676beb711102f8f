"""The back office of points; importing it registers the screens."""

from points.admin import balances, journal, ledger, member, night, programme, referrals, rules

__all__ = ["balances", "journal", "ledger", "member", "night", "programme", "referrals", "rules"]
