"""The sidebar: what each member of staff may open, grouped by what the work is about."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, slots=True)
class Link:
    """One line of the sidebar: shown to whoever holds one of its permissions."""

    title: Any
    icon: str
    url_name: str
    permissions: tuple[str, ...] = ()
    badge: str = ""

    def is_open_to(self, request: HttpRequest) -> bool:
        """Tell whether this person may follow it."""
        return not self.permissions or any(map(request.user.has_perm, self.permissions))


def _screen(app: str, model: str, title: Any, icon: str, badge: str = "") -> Link:
    """Link the list of a model."""
    return Link(
        title, icon, f"admin:{app}_{model}_changelist", (f"{app}.view_{model}", f"{app}.change_{model}"), badge
    )


_HOME = Link(_("Overview"), "dashboard", "admin:index")

GROUPS: tuple[tuple[Any, tuple[Link, ...]], ...] = (
    ("", (_HOME,)),
    (
        _("Members"),
        (
            _screen("members", "member", _("Members"), "group"),
            Link(_("Enrol a member"), "person_add", "admin:members_member_enrol", ("members.add_member",)),
            _screen("members", "tier", _("Tiers"), "military_tech"),
        ),
    ),
    (
        _("Points"),
        (
            _screen("points", "event", _("Events"), "receipt_long"),
            _screen("points", "entry", _("Entries"), "swap_vert"),
            _screen("points", "lot", _("Lots"), "inventory_2"),
            _screen("points", "balance", _("Balances"), "account_balance_wallet"),
            _screen("points", "hold", _("Holds"), "lock_clock"),
            _screen("points", "earningrule", _("Earning rules"), "rule"),
            _screen("points", "pointtype", _("Point types"), "toll"),
            _screen("points", "referral", _("Referrals"), "diversity_3", "points.admin.referrals.open_badge"),
            _screen("points", "referralprogramme", _("Referral programmes"), "campaign"),
        ),
    ),
    (
        _("Rewards"),
        (
            _screen("rewards", "reward", _("Catalogue"), "redeem"),
            _screen("rewards", "rewardcategory", _("Categories"), "shelves"),
            _screen("rewards", "stock", _("Stock"), "warehouse"),
            _screen("rewards", "coupon", _("Coupons"), "confirmation_number"),
            _screen("rewards", "couponbatch", _("Coupon batches"), "stacks"),
            Link(
                _("Take in outside codes"),
                "playlist_add",
                "admin:rewards_couponbatch_outside",
                ("rewards.add_couponbatch",),
            ),
            _screen(
                "rewards", "redemption", _("Redemptions"), "local_shipping", "rewards.admin.redemption.waiting_badge"
            ),
            Link(
                _("Write off a code"),
                "qr_code_scanner",
                "admin:rewards_redemption_write_off",
                ("rewards.change_redemption",),
            ),
        ),
    ),
    (
        _("Night"),
        (
            _screen("points", "jobrun", _("Job runs"), "bedtime"),
            _screen("points", "dailystatistic", _("Daily statistics"), "bar_chart"),
            Link(_("Trial balance"), "balance", "admin:points_balance_trial", ("points.view_balance",)),
            Link(_("Check the books"), "fact_check", "admin:points_balance_check", ("points.view_balance",)),
        ),
    ),
    (
        _("Access"),
        (
            _screen("members", "client", _("Client systems"), "key"),
            _screen("members", "webhookendpoint", _("Webhooks"), "webhook", "members.admin.webhooks.stopped_badge"),
            _screen("members", "webhookdelivery", _("Webhook messages"), "outbox"),
            _screen("members", "user", _("Users"), "badge"),
            _screen("auth", "group", _("Roles"), "admin_panel_settings"),
            _screen("members", "auditrecord", _("Audit trail"), "policy"),
            _screen("axes", "accessattempt", _("Failed sign-ins"), "gpp_bad"),
        ),
    ),
)


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the groups Unfold draws, without what this person may not open."""
    addresses = {link: address for _title, links in GROUPS for link in links if (address := _address(link))}
    # The longest address that begins the page's own is the line the page belongs to.
    current = max(filter(request.path.startswith, addresses.values()), key=len, default="")
    groups = []
    for title, links in GROUPS:
        lines = [link for link in links if link in addresses and link.is_open_to(request)]
        items = [_item(link, addresses[link], current) for link in lines]
        groups += [{"title": title, "separator": bool(title), "items": items}] if items else []
    return groups


def _address(link: Link) -> str:
    """Return where a line leads, nowhere when an app has no such screen."""
    try:
        return reverse(link.url_name)
    except NoReverseMatch:
        return ""


def _item(link: Link, address: str, current: str) -> dict[str, Any]:
    item = {"title": link.title, "icon": link.icon, "link": address, "active": address == current}
    return item | ({"badge": link.badge} if link.badge else {})
