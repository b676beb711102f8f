"""What a body names, found."""

from members.models import Member
from points.actions.posting import UnknownMember


def find_member(number: str) -> Member:
    """Return the member a body names by card number; `UnknownMember` if there is none."""
    member = Member.objects.select_related("tier").by_number(number).first()
    if member is None:
        raise UnknownMember
    return member
