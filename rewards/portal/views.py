"""Pages that only show: home and card, history and its explanations, spending, invitations."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_vary_headers

from members.models import Member
from rewards.portal import inviting, lines, spending
from rewards.portal.access import MemberRequest, member_page
from rewards.portal.standing import standing

_EXPIRIES_ON_HOME = 3
_LINES_ON_HOME = 5


@member_page
def show_home(request: MemberRequest) -> HttpResponse:
    """Show what a member in a queue needs: the card with its code, the balance, what ends when."""
    found = standing(member=request.member, at=timezone.now())
    wallet = found.wallet
    context = {
        "member": request.member,
        "standing": found,
        "expiring": wallet.expiring[:_EXPIRIES_ON_HOME] if wallet else [],
        "lines": lines.latest(member=request.member, point_type=wallet.code, count=_LINES_ON_HOME) if wallet else [],
    }
    return render(request, "portal/home.html", context)


@member_page
def show_card(request: MemberRequest) -> HttpResponse:
    """Show the card as large as the screen allows, for a scanner that is far away."""
    found = standing(member=request.member, at=timezone.now())
    return render(request, "portal/card.html", {"member": request.member, "wallet": found.wallet})


@member_page
def show_history(request: MemberRequest) -> HttpResponse:
    """Show the entries of one point type, newest first; htmx asks for the next lines alone."""
    types = lines.point_types()
    wanted = request.GET.get("type", "")
    chosen = next((one for one in types if one.code == wanted), types[0] if types else None)
    group = request.GET.get("kind", "")
    group = group if group in lines.GROUPS else ""
    before = request.GET.get("before", "")
    page = lines.history(
        member=request.member,
        point_type=chosen,
        group=group,
        before=int(before) if before.isdecimal() and len(before) < 19 else None,
    )
    context = {
        "page": page,
        "types": types,
        "chosen": chosen,
        "groups": lines.GROUP_LABELS,
        "group": group,
        "is_first_page": not before,
    }
    response = render(request, "portal/history.html#lines" if request.htmx else "portal/history.html", context)
    patch_vary_headers(response, ["HX-Request"])
    return response


@member_page
def explain_entry(request: MemberRequest, seq: int) -> HttpResponse:
    """Say why one entry is what it is; htmx gets the words alone, a plain link the whole page."""
    explanation = lines.explain(member=request.member, seq=seq)
    if explanation is None:
        raise Http404
    template = "portal/explanation.html" if request.htmx else "portal/entry.html"
    response = render(request, template, {"explanation": explanation, "line": explanation.line})
    patch_vary_headers(response, ["HX-Request"])
    return response


@member_page
def show_lots(request: MemberRequest) -> HttpResponse:
    """Show on which day how many points end, in the order they will be spent, and which credits they are of."""
    endings = lines.endings(member=request.member)
    return render(request, "portal/lots.html", {"endings": endings, "now": timezone.now()})


@member_page
def show_spending(request: MemberRequest) -> HttpResponse:
    """Show one year of spending by month and category."""
    years = spending.years(request.member)
    wanted = request.GET.get("year", "")
    chosen = next((one for one in years if str(one) == wanted), years[0] if years else None)
    found = spending.year(request.member, chosen) if chosen else []
    return render(request, "portal/spending.html", {"years": years, "chosen": chosen, "found": found})


@member_page
def show_invite(request: MemberRequest) -> HttpResponse:
    """Show the referral code, the link to send, how many friends came by it and where their rewards stand."""
    code = request.member.referral_code
    found = inviting.invitations(member=request.member, at=timezone.now())
    context = {
        "code": code,
        "link": request.build_absolute_uri(reverse("invitation", args=[code])),
        "terms": inviting.terms(found.terms),
        "friends": found.joined,
        "rewarded": found.rewarded,
        "invitations": inviting.lines(found),
    }
    return render(request, "portal/invite.html", context)


def show_invitation(request: HttpRequest, code: str) -> HttpResponse:
    """Greet somebody who was invited: the code to name when joining. Nothing tells who sent it."""
    get_object_or_404(Member.objects.by_referral_code(code).active())
    return render(request, "portal/invitation.html", {"code": code.upper()})
