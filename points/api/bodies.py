"""What a body names, found."""

from django.utils.translation import gettext_lazy as _

from config.lib.errors import DomainError
from members.models import Member
from points.actions.posting import UnknownMember
from points.models import Operation, Reference


class EventNotFound(DomainError):
    """A body names an event that this client has not sent about this member."""

    code = "unknown_event"
    status = 404
    message = _("event: this system has sent no such event of this member.")


def find_member(number: str) -> Member:
    """Return the member a body names by card number; `UnknownMember` if there is none."""
    member = Member.objects.select_related("tier").by_number(number).first()
    if member is None:
        raise UnknownMember
    return member


def find_event_id(source: str, reference: str, member_id: int) -> int:
    """Return the event a body names by reference: of this client and member; `EventNotFound` if there is none."""
    known = Reference.objects.filter(source=source, operation=Operation.EVENT, reference=reference).first()
    if known is None or known.member_id != member_id:
        raise EventNotFound
    return known.target
