"""Messages reach a real server: signed, in each member's order, until they are answered, and never two at once."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as configured
from django.core.cache import cache
from django.db import connection
from django.utils import timezone

import members
from config.lib import crypto, signatures
from config.lib.actor import Actor
from members import batches, delivering, tasks
from members.actions import webhooks
from members.actions.webhooks import LEASE
from members.delivering import BACKOFF, DISABLE_AFTER, Report
from members.models import AuditRecord, Client, WebhookDelivery, WebhookEndpoint
from points.actions import spending
from rewards import tasks as rewards_tasks
from tests.concurrency.racing import at_once
from tests.members.factories import TESTER, client_key
from tests.points.factories import give, new_member

from .factories import collect, listener, listener_with_secret, send_all
from .receiver import Message, Receiver

pytestmark = pytest.mark.django_db
committing = pytest.mark.django_db(transaction=True)

README = Path(members.__file__).parent / "README.md"


def verify_of_the_readme() -> Callable[..., Any]:
    """The example that receivers copy, as it stands in the README."""
    (example,) = re.findall(r"```python\n(.*?def verify\(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    namespace: dict[str, Any] = {}
    exec(example, namespace)
    verify: Callable[..., Any] = namespace["verify"]
    return verify


def failing(endpoint: WebhookEndpoint) -> WebhookDelivery:
    """The one message of an endpoint, as it stands now."""
    return WebhookDelivery.objects.get(endpoint=endpoint)


def test_a_message_is_what_the_specification_says(receiver: Receiver) -> None:
    made = listener_with_secret(receiver.url, "points.accrued")
    member = new_member()
    give(member, 217)
    collect()
    moment = timezone.now() + timedelta(seconds=1)

    report = send_all(made.endpoint, at=moment)

    assert (report.delivered, report.failed) == (1, 0)
    (message,) = receiver.messages
    assert message.path == "/hooks"
    assert message.headers["content-type"] == "application/json"
    assert message.headers["webhook-timestamp"] == str(int(moment.timestamp()))
    assert message.headers["webhook-signature"] == signatures.sign(
        signatures.read_secret(made.secret),
        message_id=message.id,
        timestamp=int(moment.timestamp()),
        body=message.body,
    )
    assert list(message.content) == ["type", "timestamp", "data"]
    assert (message.type, message.data["points"], message.data["member"]) == ("points.accrued", 217, member.number)
    kept = failing(made.endpoint)
    assert message.id == kept.message_id
    assert (kept.state, kept.attempts, kept.answer_status, kept.answer) == ("delivered", 1, 200, "thanks")
    assert kept.finished_at == moment


def test_the_example_of_the_readme_knows_a_right_message_from_a_wrong_one(receiver: Receiver) -> None:
    verify = verify_of_the_readme()
    made = listener_with_secret(receiver.url, "points.accrued")
    give(new_member(), 1)
    collect()
    send_all(made.endpoint)
    (message,) = receiver.messages

    assert verify(made.secret, message.headers, message.body) == message.content

    other = signatures.write_secret(signatures.new_secret())
    late = message.headers | {"webhook-timestamp": str(int(time.time()) - 3600)}
    forged = message.headers | {"webhook-id": "msg_other"}
    for secret, headers, body in (
        (other, message.headers, message.body),
        (made.secret, late, message.body),
        (made.secret, forged, message.body),
        (made.secret, message.headers, message.body + b" "),
    ):
        with pytest.raises(ValueError, match="webhook"):
            verify(secret, headers, body)


def test_after_a_rotation_both_secrets_are_good_until_the_grace_is_over(receiver: Receiver) -> None:
    verify = verify_of_the_readme()
    made = listener_with_secret(receiver.url, "points.accrued")
    now = timezone.now()
    fresh = webhooks.rotate_secret(endpoint=made.endpoint, grace=timedelta(hours=1), actor=TESTER, at=now)
    give(new_member(), 1)
    collect()

    (delivery,) = delivering.claim(endpoint_id=made.endpoint.pk, at=now + timedelta(seconds=1))
    during = delivering.headers_of(delivery, delivering.body_of(delivery), now + timedelta(minutes=59))
    after = delivering.headers_of(delivery, delivering.body_of(delivery), now + timedelta(minutes=60))

    assert len(during["webhook-signature"].split(" ")) == 2
    for secret in (made.secret, fresh.secret):
        assert verify(secret, during, delivering.body_of(delivery), tolerance_seconds=7200)
    assert verify(fresh.secret, after, delivering.body_of(delivery), tolerance_seconds=7200)
    with pytest.raises(ValueError, match="webhook"):
        verify(made.secret, after, delivering.body_of(delivery), tolerance_seconds=7200)


def test_secrets_outlive_the_master_key_they_were_sealed_under(settings: Any) -> None:
    made = listener_with_secret("https://hooks.example.com/", "points.accrued")
    fresh = webhooks.rotate_secret(endpoint=made.endpoint, actor=TESTER, at=timezone.now())
    old, new = settings.LAUREL_PII_KEYS, "next:" + crypto.encode_key(crypto.new_key())
    give(new_member(), 1)
    collect()

    settings.LAUREL_PII_KEYS = f"{new},{old}"
    assert batches.rewrap_webhook_secrets() == 1
    settings.LAUREL_PII_KEYS = new
    (delivery,) = delivering.claim(endpoint_id=made.endpoint.pk, at=timezone.now() + timedelta(seconds=1))
    body = delivering.body_of(delivery)
    headers = delivering.headers_of(delivery, body, timezone.now())

    for secret in (made.secret, fresh.secret):
        assert verify_of_the_readme()(secret, headers, body)


def test_a_secret_that_leaked_ends_at_once() -> None:
    made = listener_with_secret("https://hooks.example.com/")
    fresh = webhooks.rotate_secret(endpoint=made.endpoint, grace=timedelta(0), actor=TESTER, at=timezone.now())

    assert fresh.secret != made.secret
    endpoint = WebhookEndpoint.objects.get()
    assert (endpoint.previous_secret, endpoint.previous_until) == (None, None)


def test_members_are_told_of_in_their_order_and_a_refused_message_holds_up_its_own_member_alone(
    receiver: Receiver,
) -> None:
    endpoint = listener(receiver.url, "points.accrued", "points.redeemed")
    stuck, well = new_member(), new_member()
    for member in (stuck, well):
        give(member, 10)
        spending.spend(member=member, points=1, source="s", reference="1", actor=TESTER, at=timezone.now())
        give(member, 20)
    collect()
    receiver.answer = lambda message: 422 if message.data["member"] == stuck.number else 200
    now = timezone.now() + timedelta(seconds=1)

    send_all(endpoint, at=now)
    told_of_the_other = [
        message.data["number"] for message in receiver.messages if message.data["member"] == well.number
    ]
    tried = [message.data["number"] for message in receiver.messages if message.data["member"] == stuck.number]
    receiver.answer = lambda message: 200
    send_all(endpoint, at=now + timedelta(seconds=10))

    assert told_of_the_other == [1, 2, 3]
    assert tried == [1]
    numbers = [message.data["number"] for message in receiver.messages if message.data["member"] == stuck.number]
    assert numbers == [1, 1, 2, 3]


def test_a_message_is_tried_again_under_the_same_id_over_three_days_and_then_given_up(receiver: Receiver) -> None:
    endpoint = listener(receiver.url, "points.accrued")
    give(new_member(), 1)
    collect()
    receiver.answer = lambda message: (422, "no")
    moment = timezone.now() + timedelta(seconds=1)
    waits: list[timedelta] = []

    for _ in range(len(BACKOFF)):
        send_all(endpoint, at=moment)
        waits.append(failing(endpoint).next_attempt_at - moment)
        assert send_all(endpoint, at=failing(endpoint).next_attempt_at - timedelta(milliseconds=1)).failed == 0
        moment = failing(endpoint).next_attempt_at
    assert failing(endpoint).state == "waiting"
    send_all(endpoint, at=moment)

    for wait, least in zip(waits, BACKOFF, strict=True):
        assert least <= wait <= least * (1 + delivering.JITTER)
    assert len({message.id for message in receiver.messages}) == 1
    assert len({message.body for message in receiver.messages}) == 1
    assert len({message.headers["webhook-timestamp"] for message in receiver.messages}) == len(BACKOFF) + 1
    given_up = failing(endpoint)
    assert (given_up.state, given_up.attempts, given_up.answer_status, given_up.answer) == ("failed", 10, 422, "no")
    assert sum(BACKOFF, timedelta()) > timedelta(days=3)


def test_what_was_given_up_holds_nobody_up_any_more(receiver: Receiver) -> None:
    endpoint = listener(receiver.url, "points.accrued")
    member = new_member()
    give(member, 1)
    give(member, 2)
    collect()
    receiver.answer = lambda message: 422 if message.data["points"] == 1 else 200
    WebhookDelivery.objects.filter(data__points=1).update(attempts=len(BACKOFF))

    send_all(endpoint)

    assert list(WebhookDelivery.objects.order_by("place").values_list("state", flat=True)) == ["failed", "delivered"]


def test_a_server_that_is_down_is_left_alone_for_a_while_and_hears_everything_afterwards(receiver: Receiver) -> None:
    endpoint = listener(receiver.url, "points.accrued")
    for _ in range(20):
        give(new_member(), 1)
    collect()
    receiver.answer = lambda message: 503
    now = timezone.now() + timedelta(seconds=1)

    send_all(endpoint, at=now)

    endpoint.refresh_from_db()
    assert len(receiver.messages) == delivering.LANES
    assert (endpoint.failures, endpoint.failing_since) == (delivering.LANES, now)
    assert endpoint.rests_until == now + delivering.FIRST_REST
    assert send_all(endpoint, at=now + timedelta(seconds=20)).failed == 0

    receiver.answer = lambda message: 200
    send_all(endpoint, at=now + timedelta(seconds=31))

    well = WebhookEndpoint.objects.get()
    assert (well.failures, well.failing_since, well.rests_until) == (0, None, None)
    assert not WebhookDelivery.objects.waiting().exists()


def test_an_endpoint_that_fails_for_days_is_stopped_and_staff_are_told(receiver: Receiver) -> None:
    endpoint = listener(receiver.url, "points.accrued")
    give(new_member(), 1)
    give(new_member(), 2)
    collect()
    receiver.answer = lambda message: 500
    now = timezone.now() + timedelta(seconds=1)

    send_all(endpoint, at=now)
    send_all(endpoint, at=now + DISABLE_AFTER - timedelta(minutes=1))
    endpoint.refresh_from_db()
    assert endpoint.status == "active"
    send_all(endpoint, at=now + DISABLE_AFTER + timedelta(hours=2))

    endpoint.refresh_from_db()
    assert endpoint.status == "failed"
    assert AuditRecord.objects.filter(action="webhook.stopped", actor="system:webhooks").count() == 1
    tried = len(receiver.messages)
    assert send_all(endpoint, at=now + timedelta(days=9)).failed == 0
    assert len(receiver.messages) == tried

    receiver.answer = lambda message: 200
    webhooks.activate(endpoint=endpoint, actor=TESTER, at=now + timedelta(days=9))
    send_all(endpoint, at=now + timedelta(days=12))
    assert WebhookDelivery.objects.filter(state="delivered").count() == 2


def test_a_quiet_endpoint_is_not_stopped_by_one_hiccup_long_after_a_message_was_given_up(receiver: Receiver) -> None:
    endpoint = listener(receiver.url, "points.accrued")
    give(new_member(), 1)
    collect()
    receiver.answer = lambda message: 422
    now = timezone.now() + timedelta(seconds=1)
    WebhookDelivery.objects.update(attempts=len(BACKOFF))
    send_all(endpoint, at=now)
    assert failing(endpoint).state == "failed"
    give(new_member(), 2)
    collect()
    receiver.answer = lambda message: 503

    weeks_later = now + timedelta(days=20)
    send_all(endpoint, at=weeks_later)
    receiver.answer = lambda message: 200
    send_all(endpoint, at=weeks_later + timedelta(minutes=1))

    endpoint.refresh_from_db()
    assert (endpoint.status, endpoint.failures) == ("active", 0)


def test_a_receiver_that_says_it_is_gone_is_asked_no_more(receiver: Receiver) -> None:
    endpoint = listener(receiver.url, "points.accrued")
    member = new_member()
    give(member, 1)
    give(member, 2)
    collect()
    receiver.answer = lambda message: 410

    send_all(endpoint)
    send_all(endpoint, at=timezone.now() + timedelta(days=1))

    endpoint.refresh_from_db()
    assert endpoint.status == "gone"
    assert len(receiver.messages) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 404, 500])
def test_nothing_but_a_2xx_is_a_delivery(receiver: Receiver, status: int) -> None:
    endpoint = listener(receiver.url, "points.accrued")
    give(new_member(), 1)
    collect()
    receiver.answer = lambda message: status

    report = send_all(endpoint)

    assert (report.delivered, report.failed) == (0, 1)
    assert (failing(endpoint).state, failing(endpoint).answer_status) == ("waiting", status)


def test_a_name_that_came_to_stand_for_an_inner_address_is_a_failed_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = listener("https://hooks.example.com/", "points.accrued")
    give(new_member(), 1)
    collect()
    monkeypatch.setattr("socket.getaddrinfo", lambda *a, **o: [(2, 1, 6, "", ("169.254.169.254", 443))])

    assert send_all(endpoint).failed == 1
    assert failing(endpoint).answer == "url: the host is not a public address."


def test_a_url_of_this_machine_is_refused_again_when_the_setting_is_gone(receiver: Receiver, settings: Any) -> None:
    endpoint = listener(receiver.url, "points.accrued")
    give(new_member(), 1)
    collect()
    settings.LAUREL_WEBHOOKS_LOCAL = False

    assert send_all(endpoint).failed == 1
    assert receiver.messages == []


def test_a_message_that_is_no_longer_wanted_or_allowed_is_given_up_unsent(receiver: Receiver) -> None:
    endpoint = listener(receiver.url)
    member = new_member()
    give(member, 1)
    collect()
    Client.objects.filter(pk=endpoint.client_id).update(scopes=["members:read"])

    send_all(endpoint)

    assert receiver.types == ["member.enrolled"]
    assert list(WebhookDelivery.objects.order_by("place").values_list("state", flat=True)) == ["delivered", "failed"]
    endpoint.refresh_from_db()
    assert endpoint.failures == 0


@committing
def test_two_senders_at_once_send_each_message_once_and_in_order(receiver: Receiver) -> None:
    endpoint = listener(receiver.url, "points.accrued")
    people = [new_member() for _ in range(6)]
    for points in range(1, 6):
        for member in people:
            give(member, points)
    collect()
    receiver.delay = 0.01
    now = timezone.now() + timedelta(seconds=1)

    def send_until_all_is_sent() -> int:
        report = Report()
        while WebhookDelivery.objects.waiting().exists():
            delivering.send_some(endpoint_id=endpoint.pk, clock=lambda: now, report=report)
        return report.delivered

    results = at_once([send_until_all_is_sent] * 4)

    assert sum(result for result in results if isinstance(result, int)) == 30
    assert len(receiver.messages) == 30
    assert len({message.id for message in receiver.messages}) == 30
    for member in people:
        numbers = [each.data["number"] for each in receiver.messages if each.data["member"] == member.number]
        assert numbers == [1, 2, 3, 4, 5]


def test_only_one_process_works_for_an_endpoint_and_one_that_died_is_followed(receiver: Receiver) -> None:
    endpoint = listener(receiver.url, "points.accrued")
    give(new_member(), 1)
    collect()
    now = timezone.now() + timedelta(seconds=1)
    WebhookEndpoint.objects.update(sending_until=now + timedelta(seconds=5))

    assert delivering.send(endpoint_id=endpoint.pk, clock=lambda: now).delivered == 0
    later = now + timedelta(seconds=6)
    assert delivering.send(endpoint_id=endpoint.pk, clock=lambda: later).delivered == 1
    endpoint.refresh_from_db()
    assert endpoint.sending_until is None


def test_a_sender_that_dies_in_the_middle_loses_nothing_and_the_message_keeps_its_id(receiver: Receiver) -> None:
    endpoint = listener(receiver.url, "points.accrued")
    give(new_member(), 1)
    collect()
    now = timezone.now() + timedelta(seconds=1)
    (claimed,) = delivering.claim(endpoint_id=endpoint.pk, at=now)

    assert send_all(endpoint, at=now + LEASE - timedelta(seconds=1)).delivered == 0
    assert send_all(endpoint, at=now + LEASE).delivered == 1

    assert [message.id for message in receiver.messages] == [claimed.message_id]


def test_an_answer_that_comes_after_the_claim_was_lost_changes_nothing(receiver: Receiver) -> None:
    endpoint = listener(receiver.url, "points.accrued")
    give(new_member(), 1)
    collect()
    now = timezone.now() + timedelta(seconds=1)
    (late,) = delivering.claim(endpoint_id=endpoint.pk, at=now)
    send_all(endpoint, at=now + LEASE)

    delivering.record(delivery=late, outcome=delivering.Outcome(500, "late"), at=now + LEASE, report=Report())

    assert (failing(endpoint).state, failing(endpoint).answer_status) == ("delivered", 200)


def test_a_late_answer_of_before_a_message_was_sent_again_is_not_taken_for_the_answer_to_the_second(
    receiver: Receiver,
) -> None:
    endpoint = listener(receiver.url, "points.accrued")
    give(new_member(), 1)
    collect()
    now = timezone.now() + timedelta(seconds=1)
    (late,) = delivering.claim(endpoint_id=endpoint.pk, at=now)
    webhooks.resend(deliveries=[late.pk], actor=TESTER, at=now + 2 * LEASE)
    (second,) = delivering.claim(endpoint_id=endpoint.pk, at=now + 2 * LEASE)
    assert (late.attempts, second.attempts) == (1, 1)

    delivering.record(delivery=late, outcome=delivering.Outcome(200, "late"), at=now + 2 * LEASE, report=Report())
    assert failing(endpoint).state == "waiting"

    delivering.record(delivery=second, outcome=delivering.Outcome(200, "ok"), at=now + 2 * LEASE, report=Report())
    assert (failing(endpoint).state, failing(endpoint).answer) == ("delivered", "ok")


WRITE_AND_DIE = """
import os, sys
import django
django.setup()
from datetime import datetime, UTC
from members.models import Member
from points.actions import adjusting
member = Member.objects.get(number=sys.argv[1])
adjusting.adjust(member=member, points=7, credit=True, reason="r", reference="w", actor="system:tests",
                 at=datetime.now(UTC), point_type="points")
os.kill(os.getpid(), 9)
"""


@committing
def test_a_process_that_is_killed_after_its_commit_is_told_of_by_the_next_sweep(receiver: Receiver) -> None:
    listener(receiver.url, "points.accrued")
    member = new_member()
    database = connection.settings_dict
    environment = {
        **os.environ,
        "DATABASE_URL": "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**database),
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "LAUREL_VAR": str(configured.DATA_FOLDER),
        "PYTHONPATH": str(configured.BASE_DIR),
    }

    died = subprocess.run([sys.executable, "-c", WRITE_AND_DIE, member.number], env=environment, timeout=60)
    assert died.returncode == -9
    assert receiver.messages == []
    rewards_tasks.collect_webhooks()

    assert [message.data["points"] for message in receiver.messages] == [7]


@committing
def test_a_dead_broker_loses_nothing(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = listener(receiver.url, "points.accrued")

    def refuse(*args: Any, **arguments: Any) -> None:
        raise OSError("no broker")

    with monkeypatch.context() as patch:
        patch.setattr("config.lib.queue.send_in", refuse)
        give(new_member(), 7)
        webhooks.wake()
    assert receiver.messages == []

    rewards_tasks.collect_webhooks()
    assert receiver.types == ["points.accrued"]
    assert not WebhookDelivery.objects.filter(endpoint=endpoint).waiting().exists()


@committing
def test_a_write_wakes_the_webhooks_once_a_second_and_only_if_somebody_listens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[tuple[float, str]] = []
    monkeypatch.setattr("config.lib.queue.send_in", lambda seconds, task, **arguments: sent.append((seconds, task)))

    webhooks.wake()
    assert sent == []
    cache.clear()
    listener()
    webhooks.wake()
    webhooks.wake()

    assert sent == [(webhooks.GATHER_SECONDS, "rewards.collect_webhooks")]


@committing
def test_a_broker_that_is_away_is_left_alone_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    listener()
    asked: list[bool] = []

    def fail_slowly(*args: Any, **arguments: Any) -> None:
        webhooks.wake()  # a write of another thread meanwhile
        asked.append(True)
        raise OSError("no broker")

    monkeypatch.setattr("config.lib.queue.send_in", fail_slowly)
    monkeypatch.setattr(webhooks, "GATHER_SECONDS", 0)

    webhooks.wake()
    webhooks.wake()
    assert len(asked) == 1

    cache.delete(webhooks._QUIET)  # as the seconds would
    webhooks.wake()
    assert len(asked) == 2


def test_the_task_comes_back_for_the_rest_and_for_what_is_tried_again_soon(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = listener(receiver.url, "points.accrued")
    give(new_member(), 1)
    collect()
    now: list[Any] = []
    later: list[Any] = []
    monkeypatch.setattr("config.lib.queue.send", lambda task, **arguments: now.append((task, arguments)))
    monkeypatch.setattr("config.lib.queue.send_in", lambda seconds, task, **arguments: later.append((seconds, task)))
    receiver.answer = lambda message: 500

    assert tasks.send_webhooks(endpoint.pk) == {"delivered": 0, "failed": 1}
    assert now == []
    ((seconds, task),) = later
    assert task == "members.send_webhooks"
    assert 5 <= seconds <= 6

    monkeypatch.setattr("members.delivering.send", lambda **given: Report(delivered=8, has_more=True))
    tasks.send_webhooks(endpoint.pk)
    assert now == [("members.send_webhooks", {"endpoint_id": endpoint.pk})]


@committing
def test_messages_are_sent_again_under_their_id_and_one_that_is_on_its_way_is_left(receiver: Receiver) -> None:
    endpoint = listener(receiver.url, "points.accrued")
    give(new_member(), 1)
    give(new_member(), 2)
    collect()
    now = timezone.now() + timedelta(seconds=1)
    send_all(endpoint, at=now)
    ids = list(WebhookDelivery.objects.values_list("pk", flat=True))
    before = sorted(message.id for message in receiver.messages)
    receiver.messages.clear()

    again = webhooks.resend(deliveries=ids, actor=Actor("staff:olga"), at=timezone.now())

    assert again == 2
    assert sorted(message.id for message in receiver.messages) == before  # the task runs at once here
    assert AuditRecord.objects.get(action="webhook.resent").actor == "staff:olga"

    WebhookDelivery.objects.filter(pk=ids[0]).update(
        state="waiting", finished_at=None, attempted_at=now, next_attempt_at=now + LEASE
    )
    assert webhooks.resend(deliveries=ids[:1], actor=TESTER, at=now + timedelta(seconds=30)) == 0
    assert webhooks.resend(deliveries=ids[:1], actor=TESTER, at=now + 2 * LEASE) == 1


def test_old_messages_are_forgotten_in_chunks_and_those_that_wait_are_kept(receiver: Receiver) -> None:
    endpoint = listener(receiver.url, "points.accrued")
    for points in range(1, 6):
        give(new_member(), points)
    collect()
    send_all(endpoint)
    give(new_member(), 6)
    collect()
    later = timezone.now() + timedelta(days=31)

    assert batches.purge_webhooks(at=timezone.now() + timedelta(days=29)) == 0
    assert batches.purge_webhooks(at=later, limit=2) == 5
    assert WebhookDelivery.objects.get().data["points"] == 6

    webhooks.stop(endpoint=endpoint, reason="r", actor=TESTER, at=timezone.now())
    assert batches.purge_webhooks(at=later, limit=2) == 1


@pytest.mark.parametrize(
    "silence",
    [
        lambda system: Client.objects.filter(pk=system.pk).update(is_active=False),
        lambda system: system.keys.update(expires_at=timezone.now()),
    ],
)
def test_messages_that_wait_for_a_system_that_stays_away_are_forgotten_too(silence: Callable[[Client], Any]) -> None:
    endpoint, other = listener(), listener(client=client_key("shop")[0])
    new_member()
    silence(endpoint.client)

    assert batches.purge_webhooks(at=timezone.now() + timedelta(days=29)) == 0
    assert batches.purge_webhooks(at=timezone.now() + timedelta(days=31)) == 1
    assert WebhookDelivery.objects.get().endpoint == other


@committing
def test_a_test_message_goes_the_way_of_every_other(receiver: Receiver) -> None:
    endpoint = listener(receiver.url, "points.accrued")

    webhooks.send_test(endpoint=endpoint, actor=Actor("staff:olga"), at=timezone.now())

    (message,) = receiver.messages  # the task runs at once here
    assert (message.type, message.data) == ("webhook.test", {"endpoint": "CRM", "sent_by": "staff:olga"})


def test_a_long_answer_is_kept_as_its_beginning(receiver: Receiver) -> None:
    endpoint = listener(receiver.url, "points.accrued")
    give(new_member(), 1)
    collect()

    def complain(message: Message) -> tuple[int, str]:
        return 500, "x" * 50_000

    receiver.answer = complain
    send_all(endpoint)

    assert len(failing(endpoint).answer) == 1_000
