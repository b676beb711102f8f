"""Reads of the journal and the books that chain."""

from datetime import datetime
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import F, Q

if TYPE_CHECKING:
    from members.models import Member
    from points.models import EarningRule, Entry, Event, Hold, Lot, Referral  # noqa: F401


class EventQuerySet(models.QuerySet["Event"]):
    """The business facts."""

    def of_member(self, member: "Member") -> "EventQuerySet":
        """Facts of one member, newest first."""
        return self.filter(member=member).order_by("-occurred_at", "-id")


class EntryQuerySet(models.QuerySet["Entry"]):
    """The entries of the books."""

    def history(self, member: "Member") -> "EntryQuerySet":
        """Entries of one member, newest first: by the gapless number, never by id."""
        return self.filter(member=member).order_by("-seq")

    def of_event(self, event: "Event") -> "EntryQuerySet":
        """What one event gave, found through its reference, which the entries share."""
        return self.filter(
            member_id=event.member_id, source=event.source, reference=event.reference, event_id=event.id
        ).order_by("seq")


class LotQuerySet(models.QuerySet["Lot"]):
    """The credits and what is left of them."""

    def open_of(self, member: "Member") -> "LotQuerySet":
        """Lots of one member with points left, in the order of consumption."""
        return self.filter(member=member, is_open=True).order_by(F("expires_at").asc(nulls_last=True), "id")


class EarningRuleQuerySet(models.QuerySet["EarningRule"]):
    """The versions of the rules."""

    def in_force(self, at: datetime) -> "EarningRuleQuerySet":
        """Versions that decide about an event of that moment."""
        return self.filter(
            Q(valid_until__isnull=True) | Q(valid_until__gt=at), status__in=["active", "retired"], valid_from__lte=at
        )


class HoldQuerySet(models.QuerySet["Hold"]):
    """Points set aside."""

    def stale(self, at: datetime) -> "HoldQuerySet":
        """Holds whose time is over and that nobody closed."""
        return self.filter(status="held", expires_at__lte=at)


class ReferralQuerySet(models.QuerySet["Referral"]):
    """Verdicts on invitations."""

    def in_quarantine(self) -> "ReferralQuerySet":
        """Those somebody has to look at, longest waiting first."""
        return self.filter(status="open").order_by("id")
