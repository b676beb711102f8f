"""The point types by code, remembered for a few seconds: they change once a year and are asked for on every call."""

import time

from django.utils.translation import gettext_lazy as _

from config.lib.errors import DomainError
from points.models import PointType

_LIFETIME_SECONDS = 10.0
_known: dict[str, tuple[float, int]] = {}


class UnknownPointType(DomainError):
    """There is no point type of that code."""

    code = "unknown_point_type"
    message = _("type: there is no point type %(type)s.")


def type_id(code: str) -> int:
    """The id of a point type; `UnknownPointType` if there is none."""
    moment, known = _known.get(code, (0.0, 0))
    if time.monotonic() - moment < _LIFETIME_SECONDS and known:
        return known
    found = PointType.objects.filter(code=code).values_list("id", flat=True).first()
    if found is None:
        raise UnknownPointType(type=code)
    _known[code] = (time.monotonic(), found)
    return found


def forget() -> None:
    """Ask the database again; for tests, whose point types come and go."""
    _known.clear()
