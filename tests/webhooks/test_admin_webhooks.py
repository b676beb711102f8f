"""Webhooks in the back office: made with a secret shown once, looked after, and their messages sent again."""

import re
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from members.admin.webhooks import stopped_badge
from members.models import AuditRecord, Client, WebhookDelivery, WebhookEndpoint
from tests.config.admin_scene import staff
from tests.members.factories import client_key
from tests.points.factories import new_member

from .factories import listener, listener_with_secret, send_all
from .receiver import Receiver

pytestmark = pytest.mark.django_db

SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]{40,}")


@pytest.fixture
def operator(client: Browser) -> Browser:
    client.force_login(staff("operator", username="olga"))
    return client


@pytest.fixture
def system() -> Client:
    return client_key("crm", "points:read", "members:read")[0]


def page(name: str, *arguments: Any) -> str:
    return reverse(f"admin:members_{name}", args=arguments)


def asked(system: Client, **given: Any) -> dict[str, Any]:
    return {
        "client": system.pk,
        "name": "CRM",
        "url": "https://hooks.example.com/laurel",
        "types": ["points.accrued", "member.enrolled"],
    } | given


def test_an_operator_makes_an_endpoint_and_sees_its_secret_once(operator: Browser, system: Client) -> None:
    answer = operator.post(page("webhookendpoint_new"), asked(system))

    endpoint = WebhookEndpoint.objects.get()
    (secret,) = set(SECRET.findall(answer.content.decode().replace("&#x2B;", "+")))
    assert (endpoint.client, endpoint.url) == (system, "https://hooks.example.com/laurel")
    assert endpoint.types == ["points.accrued", "member.enrolled"]
    assert secret.encode() not in bytes(endpoint.secret)
    for address in (page("webhookendpoint_change", endpoint.pk), page("webhookendpoint_changelist")):
        assert not SECRET.search(operator.get(address).content.decode())
    record = AuditRecord.objects.get(action="webhook.created")
    assert record.actor == "staff:olga"
    assert "whsec_" not in str(record.details)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"url": "http://hooks.example.com/"}, "url"),
        ({"url": "https://10.0.0.1/"}, "url"),
        ({"url": "HTTPS://hooks.example.com/"}, "url"),
        ({"url": "https://user:pw@hooks.example.com/"}, "url"),
        ({"types": []}, "types"),
        ({"types": ["redemption.placed"]}, "types"),
        ({"types": ["points.stolen"]}, "types"),
        ({"name": ""}, "name"),
    ],
)
def test_what_cannot_be_is_said_beside_its_field_and_nothing_is_made(
    operator: Browser, system: Client, wrong: dict[str, Any], field: str
) -> None:
    answer = operator.post(page("webhookendpoint_new"), asked(system, **wrong))

    assert list(answer.context["form"].errors) == [field]
    assert not WebhookEndpoint.objects.exists()
    assert not AuditRecord.objects.filter(action="webhook.created").exists()


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1",
        "http://127.0.0.1?x=1",
        "http://127.0.0.1:8000",
        "https://Hooks.example.com?x=1",
        "https://8.8.8.8",
    ],
)
def test_the_database_takes_every_address_the_form_takes(operator: Browser, system: Client, url: str) -> None:
    operator.post(page("webhookendpoint_new"), asked(system, url=url))

    assert WebhookEndpoint.objects.get().url == url


def test_a_new_secret_is_shown_once_and_the_old_one_ends_when_said(operator: Browser) -> None:
    made = listener_with_secret("https://hooks.example.com/")

    answer = operator.post(page("webhookendpoint_rotate_page", made.endpoint.pk), {"grace_hours": "168"})

    (secret,) = set(SECRET.findall(answer.content.decode().replace("&#x2B;", "+")))
    assert secret != made.secret
    endpoint = WebhookEndpoint.objects.get()
    assert endpoint.previous_until is not None
    assert 6 <= (endpoint.previous_until - timezone.now()).days <= 7


def test_an_endpoint_is_changed_stopped_and_started(operator: Browser) -> None:
    endpoint = listener("https://hooks.example.com/", "points.accrued")

    operator.post(
        page("webhookendpoint_change_page", endpoint.pk),
        {"name": "New", "url": "https://new.example.com/", "types": ["points.expired"]},
    )
    endpoint.refresh_from_db()
    assert (endpoint.name, endpoint.url, endpoint.types) == ("New", "https://new.example.com/", ["points.expired"])

    operator.post(page("webhookendpoint_stop_page", endpoint.pk), {"reason": "they move"})
    endpoint.refresh_from_db()
    assert endpoint.status == "disabled"
    assert AuditRecord.objects.get(action="webhook.stopped").reason == "they move"
    refused = operator.post(page("webhookendpoint_test_page", endpoint.pk))
    assert refused.context["form"].non_field_errors() == ["The endpoint is not active. Make it active first."]
    assert not WebhookDelivery.objects.exists()

    operator.post(page("webhookendpoint_start_page", endpoint.pk))
    endpoint.refresh_from_db()
    assert endpoint.status == "active"


def test_a_test_is_sent_and_what_came_back_is_shown(operator: Browser, receiver: Receiver) -> None:
    endpoint = listener(receiver.url)
    receiver.answer = lambda message: (418, "I am a teapot")

    answer = operator.post(page("webhookendpoint_test_page", endpoint.pk))
    send_all(endpoint)

    delivery = WebhookDelivery.objects.get()
    assert answer.headers["Location"] == page("webhookdelivery_change", delivery.pk)
    shown = operator.get(answer.headers["Location"]).content.decode()
    assert "418 I am a teapot" in shown
    assert "webhook.test" in shown
    assert receiver.types == ["webhook.test"]


def test_one_that_failing_stopped_is_told_beside_its_name(operator: Browser) -> None:
    endpoint = listener()
    request = operator.get(page("webhookendpoint_changelist")).wsgi_request
    assert stopped_badge(request) == ""
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(status="failed", failures=40, failing_since=timezone.now())

    shown = operator.get(page("webhookendpoint_changelist"))

    assert stopped_badge(shown.wsgi_request) == "1"
    assert "Stopped after failing for days" in shown.content.decode()


def test_messages_are_found_by_member_and_id_and_filtered_by_state(operator: Browser) -> None:
    listener("https://hooks.example.com/", "member.enrolled")
    one, other = new_member(), new_member()
    address = page("webhookdelivery_changelist")
    first = WebhookDelivery.objects.get(member=one)
    WebhookDelivery.objects.filter(member=other).update(state="failed", finished_at=timezone.now())

    def found(**query: str) -> list[Any]:
        return [row.member_id for row in operator.get(address, query).context["cl"].result_list]

    assert found(q=one.grouped_number) == [one.pk]
    assert found(q=first.message_id) == [one.pk]
    assert found(q="nothing") == []
    assert found(state__exact="failed") == [other.pk]
    assert found() == [other.pk, one.pk]


def test_one_message_or_many_are_sent_again(operator: Browser, receiver: Receiver) -> None:
    endpoint = listener(receiver.url, "member.enrolled")
    for _ in range(3):
        new_member()
    send_all(endpoint)
    assert len(receiver.messages) == 3
    ids = list(WebhookDelivery.objects.values_list("pk", flat=True))

    operator.post(page("webhookdelivery_resend", ids[0]))
    assert WebhookDelivery.objects.waiting().count() == 1
    operator.post(
        page("webhookdelivery_changelist"), {"action": "resend_selected", "_selected_action": [str(pk) for pk in ids]}
    )
    send_all(endpoint)

    assert len(receiver.messages) >= 5
    assert len({message.id for message in receiver.messages}) == 3
    assert not WebhookDelivery.objects.waiting().exists()


def test_an_auditor_looks_and_touches_nothing(client: Browser) -> None:
    endpoint = listener()
    new_member()
    delivery = WebhookDelivery.objects.get()
    client.force_login(staff("auditor"))

    assert client.get(page("webhookendpoint_change", endpoint.pk)).status_code == 200
    assert client.get(page("webhookdelivery_change", delivery.pk)).status_code == 200
    assert client.post(page("webhookdelivery_resend", delivery.pk)).status_code == 403
    for name in ("change", "test", "rotate", "stop", "start"):
        assert client.post(page(f"webhookendpoint_{name}_page", endpoint.pk)).status_code == 403
    assert client.post(page("webhookendpoint_new")).status_code == 403


@pytest.mark.parametrize("role", ["clerk", "programme manager", "checker"])
def test_other_roles_do_not_see_them(client: Browser, role: str) -> None:
    listener()
    client.force_login(staff(role))

    assert client.get(page("webhookendpoint_changelist")).status_code == 403
    assert client.get(page("webhookdelivery_changelist")).status_code == 403


def test_no_role_makes_rows_of_messages_by_hand(operator: Browser) -> None:
    listener()
    new_member()
    delivery = WebhookDelivery.objects.get()

    assert operator.get(page("webhookdelivery_add")).status_code == 403
    assert operator.post(page("webhookdelivery_delete", delivery.pk), {"post": "yes"}).status_code == 403
    assert operator.post(page("webhookdelivery_change", delivery.pk), {"state": "delivered"}).status_code == 403
    assert operator.post(page("webhookendpoint_delete", delivery.endpoint_id), {"post": "yes"}).status_code == 403
