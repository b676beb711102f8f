"""Pictures of rewards: judged by what is in the file, never by what it is called."""

import uuid
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

MOST_BYTES = 2 * 1024 * 1024
_HEAD = 16


def picture_name(instance: Any, filename: str) -> str:
    """Return where a picture is kept: a name of our own, with the ending that fits its content."""
    return f"rewards/{uuid.uuid4().hex}.{_ending(_head_of(instance.picture)) or 'bin'}"


def refuse_false_picture(file: Any) -> None:
    """Refuse what is too large, or begins like none of the kinds of picture every browser shows.

    A page or an SVG that calls itself a picture would run its scripts in the browser of whoever opens it. A file that
    is kept already was judged when it came.
    """
    if getattr(file, "_committed", False):
        return
    if file.size > MOST_BYTES:
        raise ValidationError(_("The picture is larger than 2 MB. Save it smaller."), code="picture_too_large")
    if not _ending(_head_of(file)):
        raise ValidationError(_("This file is not a JPEG, PNG or WebP picture."), code="picture_unreadable")


def _head_of(file: Any) -> bytes:
    """Return the first bytes, leaving the file as it was found."""
    file.seek(0)
    head: bytes = file.read(_HEAD)
    file.seek(0)
    return head


def _ending(head: bytes) -> str:
    """Return the ending of the kind of picture that begins like this."""
    if head.startswith(b"\xff\xd8\xff"):
        return "jpg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    return "webp" if head.startswith(b"RIFF") and head[8:12] == b"WEBP" else ""
