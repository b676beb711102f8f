"""The life of an earning rule: drafted, tried in the shadow, put into force, retired, followed by the next version.

What has been in force keeps its terms for ever, because years later it must still explain what it gave.
"""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Max, Q
from django.utils.translation import gettext_lazy as _

from config.lib.actor import Actor
from config.lib.errors import DomainError
from members.actions import auditing
from points.models import EarningRule, RuleStatus

#: What a new version does not take over from the one before.
_OWN = frozenset({"id", "version", "status", "created_at", "valid_from", "valid_until"})


class RuleNotDraft(DomainError):
    """Only what was never in force can be put into force."""

    code = "rule_not_draft"
    message = _("status: the rule is %(status)s; make a new version of it.")


class RuleNotActive(DomainError):
    """Only a rule in force can be retired."""

    code = "rule_not_active"
    message = _("status: the rule is %(status)s and cannot be retired.")


class RuleEndPassed(DomainError):
    """What a rule gave is given: its end is neither set nor moved in the past."""

    code = "rule_end_passed"
    message = _("valid_until: the end must lie ahead.")


class RuleVersionsMeet(DomainError):
    """One version at a time is in force."""

    code = "rule_versions_meet"
    message = _("valid_from: version %(version)s begins at the same moment.")


@transaction.atomic
def activate(*, rule: EarningRule, actor: Actor, at: datetime) -> EarningRule:
    """Put a draft into force, from its own beginning but not from the past.

    The version before it ends there, and it ends itself where a later version begins: one version at a time.
    """
    current = _lock(rule)
    if current.status not in (RuleStatus.DRAFT, RuleStatus.SHADOW):
        raise RuleNotDraft(status=current.get_status_display())
    # Events of the past were decided without this rule, and their explanations must go on saying so.
    current.valid_from = max(current.valid_from, at)
    if current.valid_until is not None and current.valid_until <= current.valid_from:
        raise RuleEndPassed
    others = EarningRule.objects.filter(code=current.code, status__in=[RuleStatus.ACTIVE, RuleStatus.RETIRED])
    following = others.filter(valid_from__gte=current.valid_from).order_by("valid_from").first()
    if following is not None:
        if following.valid_from == current.valid_from:
            raise RuleVersionsMeet(version=following.version)
        current.valid_until = min(current.valid_until or following.valid_from, following.valid_from)
    others.filter(Q(valid_until__isnull=True) | Q(valid_until__gt=current.valid_from)).filter(
        valid_from__lt=current.valid_from
    ).update(status=RuleStatus.RETIRED, valid_until=current.valid_from)
    current.status = RuleStatus.ACTIVE
    current.save(update_fields=["status", "valid_from", "valid_until"])
    _record("rule.activated", current, actor, at)
    return current


@transaction.atomic
def shadow(*, rule: EarningRule, actor: Actor, at: datetime) -> EarningRule:
    """Let a draft run along without awarding anything."""
    current = _lock(rule)
    if current.status != RuleStatus.DRAFT:
        raise RuleNotDraft(status=current.get_status_display())
    current.status = RuleStatus.SHADOW
    current.save(update_fields=["status"])
    _record("rule.shadowed", current, actor, at)
    return current


@transaction.atomic
def retire(
    *, rule: EarningRule, actor: Actor, at: datetime, until: datetime | None = None, reason: str = ""
) -> EarningRule:
    """End a rule now or at a moment ahead; late events from before its end still ask it."""
    current = _lock(rule)
    if current.status != RuleStatus.ACTIVE:
        raise RuleNotActive(status=current.get_status_display())
    end = until or at
    if end < at:
        raise RuleEndPassed
    if current.valid_from >= end:
        end = current.valid_from + timedelta(microseconds=1)
    current.valid_until = min(end, current.valid_until or end)
    current.status = RuleStatus.RETIRED
    current.save(update_fields=["status", "valid_until"])
    _record("rule.retired", current, actor, at, reason=reason)
    return current


@transaction.atomic
def new_version(*, rule: EarningRule, actor: Actor, at: datetime) -> EarningRule:
    """Copy a version into a draft that can be changed; the old one stays in force until the draft is activated."""
    # The versions of one rule are numbered one after the other: whoever copies waits for whoever else does.
    versions = EarningRule.objects.filter(code=rule.code)
    list(versions.select_for_update().order_by("pk").values_list("pk", flat=True))
    last = versions.aggregate(last=Max("version"))["last"]
    copied = {field.attname: getattr(rule, field.attname) for field in EarningRule._meta.concrete_fields}
    terms = {name: value for name, value in copied.items() if name not in _OWN}
    draft = EarningRule.objects.create(**terms, version=last + 1, status=RuleStatus.DRAFT, valid_from=at)
    _record("rule.versioned", draft, actor, at)
    return draft


def _lock(rule: EarningRule) -> EarningRule:
    return EarningRule.objects.select_for_update().get(pk=rule.pk)


def _record(action: str, rule: EarningRule, actor: Actor, at: datetime, reason: str = "") -> None:
    details = {"rule": rule.code, "version": rule.version}
    auditing.record(actor=actor, action=action, reason=reason, details=details, at=at)
