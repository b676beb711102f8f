"""How entries, lots, balances and verdicts look to client systems: once as schema, once as code."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from members.api.base import moment
from members.api.fields import MomentField, MoneyField
from points import calendar, reports
from points.actions.awarding import EventResult
from points.explanations import RuleVerdict
from points.models import Account, EarningRule, Entry, EntryKind, Lot

EVENT_STATUSES = [(status, status) for status in ("accepted", "replayed", "rejected", "quarantined")]
_rule_codes: dict[int, str] = {}


class EntryLotAnswer(serializers.Serializer[Any]):
    """A lot an entry opened, drew from or gave back to."""

    lot = serializers.IntegerField()
    points = serializers.IntegerField()
    expires_on = serializers.DateField(allow_null=True, help_text=_("The last local day they are good; null: never."))


class EntryAnswer(serializers.Serializer[Any]):
    """One movement of points."""

    id = serializers.IntegerField()
    kind = serializers.ChoiceField(EntryKind.choices)
    type = serializers.CharField(help_text=_("The code of the point type."))
    points = serializers.IntegerField(min_value=1)
    to = serializers.ChoiceField(Account.choices)
    available_after = serializers.IntegerField()
    occurred_at = MomentField()
    recorded_at = MomentField()
    reference = serializers.CharField()
    event = serializers.CharField(allow_null=True, help_text=_("The reference of the event behind it."))
    rule = serializers.CharField(allow_null=True, help_text=_("The code of the rule behind it."))
    note = serializers.CharField(allow_blank=True)
    lots = EntryLotAnswer(many=True)

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        return {**fields, "from": serializers.ChoiceField(Account.choices)}  # a word Python keeps for itself


class AwardAnswer(serializers.Serializer[Any]):
    """Points one rule gave."""

    id = serializers.IntegerField(help_text=_("The id of the entry."))
    kind = serializers.CharField()
    type = serializers.CharField()
    points = serializers.IntegerField()
    rule = serializers.CharField()
    pending = serializers.BooleanField(help_text=_("Whether a return window keeps them back for now."))
    expires_on = serializers.DateField(allow_null=True)


class EventAnswer(serializers.Serializer[Any]):
    """What became of one event."""

    reference = serializers.CharField(allow_null=True)
    status = serializers.ChoiceField(EVENT_STATUSES)
    points = serializers.DictField(child=serializers.IntegerField(), help_text=_("Points by the code of their type."))
    entries = AwardAnswer(many=True)


class EventRowAnswer(EventAnswer):
    """What became of one event of a list; a rejected one says where, what and why."""

    row = serializers.IntegerField(required=False, help_text=_("Counted from 1."))
    field = serializers.CharField(required=False)
    code = serializers.CharField(required=False)
    detail = serializers.CharField(required=False)


class ConditionAnswer(serializers.Serializer[Any]):
    """One condition of a rule, and whether the event met it."""

    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    expected = serializers.JSONField()
    actual = serializers.JSONField()
    holds = serializers.BooleanField()


class VerdictAnswer(serializers.Serializer[Any]):
    """One rule's word on one event."""

    rule = serializers.CharField()
    name = serializers.CharField()
    type = serializers.CharField()
    matched = serializers.BooleanField()
    points = serializers.IntegerField(help_text=_("After all limits."))
    rounded = serializers.IntegerField(help_text=_("By the arithmetic alone."))
    conditions = ConditionAnswer(many=True)
    arithmetic = serializers.DictField()
    limits = serializers.DictField()
    sentence = serializers.CharField(help_text=_("In the language the request asks for."))


class PreviewAnswer(serializers.Serializer[Any]):
    """What an event would award, and why."""

    reference = serializers.CharField()
    points = serializers.DictField(child=serializers.IntegerField())
    rules = VerdictAnswer(many=True)


class ExplanationAnswer(PreviewAnswer):
    """Why a stored event gave what it gave."""

    member = serializers.CharField()
    type = serializers.CharField()
    occurred_at = MomentField()
    money = MoneyField(allow_null=True)


class ExpiringAnswer(serializers.Serializer[Any]):
    """Points that end with one local day."""

    on = serializers.DateField()
    points = serializers.IntegerField()


class BalanceAnswer(serializers.Serializer[Any]):
    """What a member has of one point type."""

    type = serializers.CharField()
    name = serializers.CharField()
    available = serializers.IntegerField()
    pending = serializers.IntegerField()
    held = serializers.IntegerField()
    owed = serializers.IntegerField()
    expiring = ExpiringAnswer(many=True)


class LotAnswer(serializers.Serializer[Any]):
    """A credit with points left."""

    lot = serializers.IntegerField()
    type = serializers.CharField()
    points = serializers.IntegerField()
    remaining = serializers.IntegerField()
    pending = serializers.BooleanField()
    available_at = MomentField()
    expires_on = serializers.DateField(allow_null=True)


def show_entries(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Render entries that carry `event_reference` (`with_event_reference`), with one query for all their lots."""
    lots = reports.entry_lots(entries)
    return [_show_entry(entry, lots.get(entry.pk, ())) for entry in entries]


def _show_entry(entry: Any, lots: Iterable[Any]) -> dict[str, Any]:
    return {
        "id": entry.pk,
        "kind": entry.kind,
        "type": entry.point_type.code,
        "points": entry.points,
        "from": entry.from_account,
        "to": entry.to_account,
        "available_after": entry.available_after,
        "occurred_at": moment(entry.occurred_at),
        "recorded_at": moment(entry.recorded_at),
        "reference": entry.reference,
        "event": entry.event_reference,
        "rule": entry.rule.code if entry.rule else None,
        "note": entry.note,
        "lots": [_show_entry_lot(lot) for lot in lots],
    }


def _show_entry_lot(lot: Any) -> dict[str, Any]:
    return {"lot": lot.lot, "points": lot.points, "expires_on": lot.expires_on}


def show_lot(lot: Lot) -> dict[str, Any]:
    """Render an open lot."""
    return {
        "lot": lot.pk,
        "type": lot.point_type.code,
        "points": lot.points,
        "remaining": lot.remaining,
        "pending": lot.is_pending,
        "available_at": moment(lot.available_at),
        "expires_on": last_day(lot.expires_at),
    }


def show_result(result: EventResult, codes: Mapping[int, str]) -> dict[str, Any]:
    """Render what became of an event."""
    answer: dict[str, Any] = {
        "reference": result.reference,
        "status": result.status,
        "points": result.points,
        "entries": [
            {
                "id": award.entry,
                "kind": "accrual",
                "type": award.type,
                "points": award.points,
                "rule": codes[award.rule],
                "pending": award.pending,
                "expires_on": _last_day_of(award.expires_at, settings.TIME_ZONE) if award.expires_at else None,
            }
            for award in result.awards
        ],
    }
    return answer


def show_verdicts(verdicts: Iterable[RuleVerdict]) -> dict[str, Any]:
    """Render what rules said about one event, and the points they gave in all."""
    points: dict[str, int] = {}
    rules = []
    for verdict in verdicts:
        if verdict.points:
            points[verdict.point_type] = points.get(verdict.point_type, 0) + verdict.points
        rules.append(_show_verdict(verdict))
    return {"points": points, "rules": rules}


def _show_verdict(verdict: RuleVerdict) -> dict[str, Any]:
    return {
        "rule": verdict.code,
        "name": verdict.name,
        "type": verdict.point_type,
        "matched": verdict.matched,
        "points": verdict.points,
        "rounded": verdict.rounded,
        "conditions": [
            {"name": one.name, "label": one.label, "expected": one.expected, "actual": one.actual, "holds": one.holds}
            for one in verdict.conditions
        ],
        "arithmetic": verdict.arithmetic,
        "limits": verdict.limits,
        "sentence": verdict.sentence,
    }


def rule_codes(results: Iterable[EventResult]) -> dict[int, str]:
    """Return the codes of the rules behind awards. A version keeps its code, so each is asked for once a process."""
    wanted = {award.rule for result in results for award in result.awards}
    if missing := wanted - _rule_codes.keys():
        _rule_codes.update(EarningRule.objects.filter(pk__in=missing).values_list("pk", "code"))
    return {rule: _rule_codes[rule] for rule in wanted}


@lru_cache(maxsize=1_000)
def _last_day_of(expires_at: str, _zone: str) -> str:
    """Return the last local day as it is written: thousands of awards of one call end on the same few days."""
    return str(last_day(datetime.fromisoformat(expires_at)))


def last_day(expires_at: datetime | None) -> date | None:
    """Return the last local day points are good, from the first moment they are gone."""
    return None if expires_at is None else calendar.local_date(expires_at - timedelta(microseconds=1))
