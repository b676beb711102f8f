"""How a member's invitations stand, in words that say nothing about the friends."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from config.lib import money
from members.models import Member
from points import reports
from points.models import ReferralCondition, ReferralProgramme, ReferralStatus

NEWEST = 50

#: What a member reads of an invitation: a word, what it means, and the colour of the word.
_REWARDED = (_("Rewarded"), _("The points are in your history."), "badge-good")
_STANDINGS: dict[str, tuple[Any, Any, str]] = {
    "": (_("Open"), _("The reward comes by itself as soon as the condition is met."), ""),
    ReferralStatus.REWARDED: _REWARDED,
    ReferralStatus.RELEASED: _REWARDED,
    ReferralStatus.OPEN: (
        _("Being checked"),
        _("We look at some invitations more closely. You need not do anything."),
        "badge-warn",
    ),
    ReferralStatus.UNPAID: (_("No points"), _("The rules of the programme give no points for this invitation."), ""),
    ReferralStatus.CAPPED: (
        _("Over the limit"),
        _("You had the most rewards there are for invitations in that period."),
        "",
    ),
    ReferralStatus.REJECTED: (
        _("Not rewarded"),
        _("This invitation does not meet the terms of the programme."),
        "badge-bad",
    ),
    reports.MISSED: (
        _("Not rewarded"),
        _("Invitations were not rewarded when this friend joined, or the days for it are over."),
        "",
    ),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One invitation: when the friend joined, and where the reward stands."""

    joined_at: datetime
    word: Any
    meaning: Any
    colour: str


def lines(found: reports.Invitations) -> list[Line]:
    """Return the newest invitations as the member reads them."""
    return [Line(one.joined_at, *_STANDINGS[one.status]) for one in found.newest]


def invitations(*, member: Member, at: datetime) -> reports.Invitations:
    """Return how a member's invitations stand."""
    return reports.invitations(member=member, newest=NEWEST, at=at)


def terms(programme: ReferralProgramme | None) -> str:
    """Say in a sentence what a friend who joins now has to do."""
    if programme is None:
        return now_("Invitations are not rewarded at the moment.")
    return " ".join(filter(None, [_condition(programme), _deadline(programme), _waiting(programme)]))


def _condition(programme: ReferralProgramme) -> str:
    if programme.converts_on == ReferralCondition.ENROLMENT:
        return now_("You are rewarded when a friend joins with your code.")
    if programme.converts_on == ReferralCondition.ATTENDANCE:
        return now_("You are rewarded when a friend who joined with your code takes part in an event.")
    if programme.amount_from_minor > 1 and programme.currency:
        amount = money.to_decimal_string(programme.amount_from_minor, programme.currency)
        return now_(
            "You are rewarded when a friend who joined with your code buys for %(amount)s or more at once."
        ) % {"amount": f"{amount} {programme.currency}"}
    return now_("You are rewarded when a friend who joined with your code makes a first purchase.")


def _deadline(programme: ReferralProgramme) -> str:
    days = programme.within_days
    if days is None or programme.converts_on == ReferralCondition.ENROLMENT:
        return ""
    return ngettext(
        "There is %(days)s day for it from joining.", "There are %(days)s days for it from joining.", days
    ) % {"days": days}


def _waiting(programme: ReferralProgramme) -> str:
    days = programme.wait_days
    if not days:
        return ""
    return ngettext("The reward comes %(days)s day later.", "The reward comes %(days)s days later.", days) % {
        "days": days
    }
