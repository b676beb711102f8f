"""The audit trail in words: what each action is called, and the reasons the programme itself gives."""

from typing import Any

from django.apps import apps
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from members.admin.forms import RevealForm
from members.models import AuditRecord, MemberStatus

#: What actions are called; other apps add theirs.
LABELS: dict[str, Any] = {
    "member.enrolled": _("Member enrolled"),
    "members.enrolled": _("Members enrolled from a file"),
    "member.updated": _("Profile changed"),
    "member.standing": _("Membership changed"),
    "member.tier": _("Tier changed"),
    "member.revealed": _("Personal data shown"),
    "member.read": _("Member read by a system"),
    "members.read": _("Members read by a system"),
    "member.password_set": _("Password of a member set"),
    "member.password_given": _("Password given to a member"),
    "client.created": _("Client system created"),
    "client.key_renewed": _("Key of a client system renewed"),
    "client.key_withdrawn": _("Key of a client system withdrawn"),
    "webhook.created": _("Webhook created"),
    "webhook.changed": _("Webhook changed"),
    "webhook.secret_rotated": _("Secret of a webhook renewed"),
    "webhook.activated": _("Webhook started again"),
    "webhook.tested": _("Webhook tested"),
    "webhook.stopped": _("Webhook disabled"),
    "webhook.resent": _("Webhook messages sent again"),
    "pii_keys.rotated": _("Keys of personal data renewed"),
}
#: What was done on a screen to a row of it.
_VERBS: dict[str, Any] = {
    "added": _("%(thing)s: added"),
    "changed": _("%(thing)s: changed"),
    "deleted": _("%(thing)s: deleted"),
    "exported": _("%(thing)s: exported"),
}
#: Reasons that are kept as a word of the program's; whatever a person wrote stays as it was written.
_REASONS: dict[str, Any] = dict(RevealForm.PURPOSES) | {
    "edit": _("To change the profile"),
    "fulfilment": _("To deliver an order"),
}


def action_of(record: AuditRecord) -> str:
    """Return what was done, in the reader's language; the code of it where nobody gave it a name."""
    if record.action == "member.standing" and (status := record.details.get("to")) in MemberStatus.values:
        return str(_("Membership: %(status)s") % {"status": MemberStatus(status).label})
    if label := LABELS.get(record.action):
        return str(label)
    model, _dot, verb = record.action.partition(".")
    names = {one._meta.model_name: one._meta.verbose_name for one in apps.get_models()}
    if verb in _VERBS and model in names:
        return str(_VERBS[verb] % {"thing": capfirst(str(names[model]))})
    return record.action


def reason_of(record: AuditRecord) -> str:
    """Return why it was done."""
    code, colon, details = record.reason.partition(": ")
    if record.action != "member.revealed" or code not in _REASONS:
        return record.reason
    return f"{_REASONS[code]}{colon}{details}"
