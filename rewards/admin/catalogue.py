"""The catalogue and its stock."""

import uuid
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib import admin
from django.db.models import Count, Prefetch, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter, RelatedDropdownFilter

from members.admin.base import ActionPage, ReadOnlyAdmin, TranslatedAdmin, display, moment, shown_moment
from members.admin.screen import Cell, Panel
from points.admin.reading import number, sum_of_money
from rewards.actions import stocking
from rewards.admin.forms import RewardForm, StockForm
from rewards.models import Reward, RewardCategory, RewardVariant, Stock, StockMovement

if TYPE_CHECKING:
    from django.contrib.admin import TabularInline

    class _Inline(TabularInline[RewardVariant, Reward]):
        pass
else:
    from modeltranslation.admin import TranslationTabularInline
    from unfold.admin import TabularInline

    class _Inline(TabularInline, TranslationTabularInline):
        pass


KIND_LABELS = {"coupon": "info", "gift": "primary", "service": "warning"}


class StockPage(ActionPage):
    """Pieces in, pieces out, or counted: every change is a movement with a name and a reason."""

    title = _("Change the stock")
    form_class = StockForm
    permission = "rewards.change_stock"

    def get_form_kwargs(self) -> dict[str, Any]:
        return super().get_form_kwargs() | {"reward": self.subject}

    def get_initial(self) -> dict[str, Any]:
        return {"reference": f"stock-{uuid.uuid4().hex}"}

    def act(self, form: StockForm) -> Any:
        said = form.cleaned_data
        who: dict[str, Any] = {
            "reward": self.subject,
            "variant": said.get("variant"),
            "reason": said["reason"],
            "actor": self.actor,
            "at": timezone.now(),
        }
        if said["change"] in ("add", "remove"):
            pieces_in = said["pieces"] if said["change"] == "add" else -said["pieces"]
            stock = stocking.add(pieces=pieces_in, reference=said["reference"], **who)
        else:
            stock = stocking.set_count(count=said["pieces"] if said["change"] == "count" else None, **who)
        return _("Pieces left now: %(left)s.") % {"left": pieces(stock.count)}


def pieces(left: int | None) -> str:
    """Return how many pieces are left in words."""
    return now_("without end") if left is None else number(left)


class VariantInline(_Inline):
    """Sizes and colours."""

    model = RewardVariant
    extra = 0
    fields = ("code", "name_en", "name_zh_hans", "is_active")
    show_change_link = False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(RewardCategory)
class RewardCategoryAdmin(TranslatedAdmin):
    """The shelves of the catalogue, in the order members see them."""

    list_display = ("name", "code", "position", "shown_rewards")
    search_fields = ("code", "name_en", "name_zh_hans")
    ordering = ("position", "code")
    sortable_by = ()
    actions = None
    fieldsets = ((None, {"fields": (("name_en", "name_zh_hans"), ("code", "position"))}),)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        categories: QuerySet[Any] = super().get_queryset(request).annotate(of_rewards=Count("rewards"))
        return categories

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("code",) if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """An empty shelf can go; rewards on it keep it, and a button that cannot work is not offered."""
        return super().has_delete_permission(request, obj) and obj is not None and not obj.rewards.exists()

    @display(description=_("rewards"))
    def shown_rewards(self, category: Any) -> str:
        return number(category.of_rewards)


@admin.register(Reward)
class RewardAdmin(TranslatedAdmin):
    """What points buy. The count of a stock is never edited here: it is moved."""

    form = RewardForm
    inlines = (VariantInline,)
    list_display = (
        "name",
        "code",
        "shown_kind",
        "category",
        "shown_price",
        "shown_stock",
        "is_active",
        "shown_period",
    )
    list_filter = (
        ("kind", ChoicesDropdownFilter),
        ("category", RelatedDropdownFilter),
        ("is_active", BooleanRadioFilter),
    )
    search_fields = ("code", "name_en", "name_zh_hans")
    ordering = ("points", "code")
    sortable_by = ()
    actions = None
    change_form_template = "admin/rewards/reward.html"
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("name_en", "name_zh_hans"),
                    ("description_en", "description_zh_hans"),
                    ("code", "kind"),
                    ("category", "picture"),
                    ("points", "money_minor"),
                    ("points_by_tier", "is_active"),
                )
            },
        ),
        (
            _("Who can have it"),
            {
                "classes": ("tab",),
                "fields": (
                    ("valid_from", "valid_until"),
                    ("tiers", "segments"),
                    ("limit_day", "limit_week"),
                    ("limit_month", "per_member_limit"),
                ),
            },
        ),
        (_("Where it is booked"), {"classes": ("tab",), "fields": ("booking_places",)}),
        (
            _("Terms of the coupon"),
            {
                "classes": ("tab",),
                "fields": (
                    ("coupon_value_minor", "coupon_percent"),
                    ("coupon_minimum_minor", "coupon_currency"),
                    ("coupon_valid_days", "coupon_batch"),
                ),
            },
        ),
    )
    custom_urls = (("<path:object_id>/stock/", "rewards_reward_stock", StockPage.as_view()),)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("code", "kind") if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        stock = Prefetch("stock", Stock.objects.select_related("variant").order_by("variant_id"), "counts")
        return super().get_queryset(request).prefetch_related(stock)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        reward: Reward | None = context.get("original")
        context["tables"] = [_counts(reward), movements(reward=reward)] if reward else []
        context["can_move_stock"] = reward is not None and request.user.has_perm(StockPage.permission)
        return super().render_change_form(request, context, *args, **kwargs)

    @display(description=_("kind"), label=KIND_LABELS)
    def shown_kind(self, reward: Reward) -> tuple[str, str]:
        return reward.kind, reward.get_kind_display()

    @display(description=_("price in points"))
    def shown_price(self, reward: Reward) -> str:
        if reward.money_minor is None:
            return number(reward.points)
        return f"{number(reward.points)} + {sum_of_money(reward.money_minor, settings.LAUREL_CURRENCY)}"

    @display(description=_("stock"))
    def shown_stock(self, reward: Any) -> str:
        counts = reward.counts
        if not counts:
            return pieces(None)
        return ", ".join(f"{one.variant}: {pieces(one.count)}" if one.variant else pieces(one.count) for one in counts)

    @display(description=_("period"))
    def shown_period(self, reward: Reward) -> str:
        if not reward.valid_from and not reward.valid_until:
            return now_("always")
        return f"{shown_moment(reward.valid_from)} – {shown_moment(reward.valid_until)}"


def _counts(reward: Any) -> Panel:
    """Show what is left of a reward."""
    rows = [
        (str(one.variant or _("The reward as a whole")), Cell(pieces(one.count), is_number=True))
        for one in reward.counts
    ]
    return Panel(_("Stock"), (_("variant"), _("pieces left")), rows, _("Not counted: without end."))


def movements(*, reward: Reward | None = None, stock: Stock | None = None) -> Panel:
    """Show the last movements of a stock, or of all stocks of a reward."""
    found = StockMovement.objects.select_related("stock__variant").order_by("-id")
    found = found.filter(stock=stock) if stock else found.filter(stock__reward=reward)
    rows = [
        (
            shown_moment(one.at),
            str(one.stock.variant or "–"),
            Cell(f"{one.pieces:+,}", is_number=True),
            Cell(pieces(one.left_after), is_number=True),
            now_(one.reason) if one.reason else "",
            one.actor,
        )
        for one in found[:20]
    ]
    headers = (_("time"), _("variant"), _("pieces"), _("left after"), _("reason"), _("actor"))
    return Panel(_("Movements of the stock"), headers, rows, _("No movement yet."))


@admin.register(Stock)
class StockAdmin(ReadOnlyAdmin):
    """How many pieces are left of everything that is counted."""

    list_display = ("reward", "variant", "shown_count")
    search_fields = ("reward__code", "reward__name_en", "reward__name_zh_hans")
    ordering = ("id",)
    fields = (("reward", "variant"), "shown_count")
    change_form_template = "admin/rewards/stock.html"

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        stock: Stock = context["original"]
        context["tables"] = [movements(stock=stock)]
        context["stock_page"] = reverse("admin:rewards_reward_stock", args=[stock.reward_id])
        context["can_move_stock"] = request.user.has_perm(StockPage.permission)
        return super().render_change_form(request, context, *args, **kwargs)

    @display(description=_("pieces left"))
    def shown_count(self, stock: Stock) -> str:
        return pieces(stock.count)


@admin.register(StockMovement)
class StockMovementAdmin(ReadOnlyAdmin):
    """Every change of every stock, newest first."""

    list_display = ("moved", "reward", "variant", "shown_pieces", "shown_left", "shown_reason", "actor")
    list_display_links = None
    ordering = ("-id",)
    fields = (("moved", "stock"), ("shown_pieces", "shown_left"), ("shown_reason", "actor"), "reference")
    list_select_related = ("stock__reward", "stock__variant")
    moved = moment("at", _("time"))

    @display(description=_("reward"))
    def reward(self, movement: StockMovement) -> str:
        return str(movement.stock.reward)

    @display(description=_("variant"))
    def variant(self, movement: StockMovement) -> str:
        return str(movement.stock.variant or "–")

    @display(description=_("pieces"))
    def shown_pieces(self, movement: StockMovement) -> str:
        return f"{movement.pieces:+,}"

    @display(description=_("left after"))
    def shown_left(self, movement: StockMovement) -> str:
        return pieces(movement.left_after)

    @display(description=_("reason"))
    def shown_reason(self, movement: StockMovement) -> str:
        return now_(movement.reason) if movement.reason else ""  # those of the programme itself have a translation
