"""Chainable ways to find members; exact look-ups go through the key table, which alone is unique across members."""

from typing import TYPE_CHECKING

from django.db import models

if TYPE_CHECKING:
    from members.models import Member  # noqa: F401


class MemberQuerySet(models.QuerySet["Member"]):
    """Members, found by what a person or a system can say about them."""
