"""Each stage of an alert reaches each place once, whoever is killed, and at the right time."""

import email
import os
import random
import signal
import socketserver
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest

from tests.tracker.alerts.samples import NOW, alert
from tests.tracker.alerts.server import webhook_server
from tests.tracker.changepoints.histories import START, noisy, revision
from tests.tracker.changepoints.stores import TTFT, record, record_history
from tracker.alerts import AlertsConfig, notify
from tracker.alerts import sinks as sinks_module
from tracker.alerts.config import EmailConfig, IssueConfig
from tracker.alerts.delivery import LEASE, wanted_deliveries
from tracker.alerts.email import EmailSink
from tracker.alerts.failure import DeliveryError, TransientError
from tracker.alerts.issues import IssueSink
from tracker.alerts.message import message_of, stages_of
from tracker.alerts.post import allowed_address
from tracker.changepoints import analyze
from tracker.domain import AlertEvent
from tracker.store import Store, queries
from tracker.triage import ALL_STATES, SetState

LAST = START + timedelta(days=39, hours=1)  # when the last commit was measured
HOUR = timedelta(hours=1)


class Recording:
    """A place that keeps what it gets."""

    def __init__(self, name="webhook"):
        self.name, self.messages = name, []

    def send(self, message, reference):
        self.messages.append((message, reference))
        return f"no. {len(self.messages)}"

    @property
    def stages(self):
        return [message.stage for message, _ in self.messages]


@pytest.fixture
def store(tmp_path):
    with Store.open(f"sqlite:///{tmp_path}/store.db") as opened:
        record_history(opened, {TTFT: noisy(0.010, 20) + noisy(0.012, 20)})
        opened.record_project("engine", commit_url="https://example.org/{commit}")
        analyze(opened)
        yield opened


@pytest.fixture
def places(monkeypatch):
    """The places of every configuration, in place of the real ones."""
    found = [Recording()]
    monkeypatch.setattr("tracker.alerts.service.sinks_of", lambda config, *, stream: found)
    return found


def triage(store, move, now):
    (one,) = queries.list_alerts(store, "engine", states=("open", "acked", "resolved", "expected"))
    store.triage([one.id], SetState(move), by="me", now=now)


def test_a_message_has_size_confidence_cause_history_and_links(store, places):
    notify(store, "engine", AlertsConfig(), now=LAST)
    ((message, _),) = places[0].messages
    assert "most bench.Chat.track_ttft +2" in message.title
    for part in ("-> ", "confidence: not judged by a paired run; cause: code", "█",
                 f"https://example.org/{revision(20).commit}", "tracker alerts ack 1"):  # fmt: skip
        assert part in message.text
    assert message.chart.startswith("<svg")


def test_what_stays_open_is_repeated_and_what_closes_is_told_once(store, places):
    config = AlertsConfig(escalate_hours=24)
    for hours in (0, 1, 23, 25, 26, 49, 97, 98, 500):  # after 24, 48 and 96 hours
        notify(store, "engine", config, now=datetime.now(UTC) + hours * HOUR)
    (place,) = places
    assert place.stages == ["opened", "escalated 1", "escalated 2", "escalated 3"]
    assert place.messages[-1][1] == "no. 3"  # what the place called it before
    later = datetime.now(UTC) + 501 * HOUR
    triage(store, "resolve", later)
    for _ in range(2):
        notify(store, "engine", config, now=later)
    triage(store, "reopen", later)
    notify(store, "engine", config, now=later)
    triage(store, "expect", later)
    notify(store, "engine", config, now=later)
    assert place.stages[4:] == ["closed 1", "reopened 1", "closed 2"]
    assert "resolved" in place.messages[4][0].text


def test_what_is_opened_again_before_it_was_sent_is_sent(store, places):
    quiet = AlertsConfig(quiet=(time(0), time(23, 59)))
    night = LAST.replace(hour=3)
    for move in ("ack", "reopen", "resolve", "reopen"):
        notify(store, "engine", quiet, now=night)
        triage(store, move, night)
    notify(store, "engine", AlertsConfig(), now=LAST + 24 * HOUR)
    assert places[0].stages == ["reopened 1"]


def test_an_acked_alert_neither_opens_nor_escalates(store, places):
    quiet = AlertsConfig(quiet=(time(0), time(23, 59)), escalate_hours=1)
    night = LAST.replace(hour=3)
    notify(store, "engine", quiet, now=night)
    triage(store, "ack", night)
    notify(store, "engine", replace(quiet, quiet=None), now=datetime.now(UTC) + 9 * HOUR)
    assert places[0].messages == []
    states = {d.stage: d.state for d in queries.list_deliveries(store, "engine")}
    assert states == {"opened": "dropped"}


@pytest.mark.parametrize(("quiet", "hour", "sent"), [
    ((time(22), time(7)), 23, False), ((time(22), time(7)), 6, False), ((time(22), time(7)), 7, True),
    ((time(12), time(14)), 13, False), ((time(12), time(14)), 14, True),
])  # fmt: skip
def test_in_quiet_hours_messages_wait(store, places, quiet, hour, sent):
    config = AlertsConfig(quiet=quiet, timezone="Europe/Berlin")  # an hour before UTC in winter
    notify(store, "engine", config, now=LAST.replace(hour=hour - 1))
    assert bool(places[0].messages) is sent
    notify(store, "engine", replace(config, quiet=None), now=LAST + 24 * HOUR)
    assert places[0].stages == ["opened"]


def test_the_cool_down_keeps_messages_together(store, places):
    config = AlertsConfig(cooldown_minutes=60)
    notify(store, "engine", config, now=LAST)
    record_history(store, {TTFT: noisy(0.010, 20) + noisy(0.012, 20)}, machine="gpu-2")
    record_history(store, {TTFT: noisy(0.010, 20) + noisy(0.012, 20)}, machine="gpu-3")
    analyze(store)
    notify(store, "engine", config, now=LAST + timedelta(minutes=59))
    assert len(places[0].messages) == 1
    notify(store, "engine", config, now=LAST + timedelta(minutes=60))
    assert len(places[0].messages) == 3


def test_a_machine_that_falls_silent_is_an_alert_until_it_measures_again(store, places):
    config = AlertsConfig(silence_hours=48)
    notify(store, "engine", config, now=LAST + 47 * HOUR)
    assert places[0].stages == ["opened"]
    for hours in (48, 49, 60):
        notify(store, "engine", config, now=LAST + hours * HOUR)
    (silent,) = [m for m, _ in places[0].messages if m.alert.revision is None]
    assert silent.title == "gpu-1 has measured nothing for 48 hours"
    record(store, 42, {TTFT: 0.012})
    analyze(store)
    notify(store, "engine", config, now=LAST + 75 * HOUR)
    assert places[0].messages[-1][0].stage == "closed 1"
    assert "it measured again" in places[0].messages[-1][0].text
    notify(store, "engine", config, now=LAST + 200 * HOUR)  # silent for a second time
    assert [m.stage for m, _ in places[0].messages if m.alert.revision is None] == [
        "opened", "closed 1", "opened"
    ]  # fmt: skip


def test_a_machine_that_was_given_up_long_ago_is_no_alert(store, places):
    notify(store, "engine", AlertsConfig(silence_hours=48), now=LAST + timedelta(days=33))
    assert [m for m, _ in places[0].messages if m.alert.revision is None] == []


def test_an_alert_whose_series_came_back_is_resolved(store, places):
    notify(store, "engine", AlertsConfig(), now=LAST)
    for number, value in enumerate(noisy(0.010, 20, seed=3), start=40):
        record(store, number, {TTFT: value})
    analyze(store)
    result = notify(store, "engine", AlertsConfig(), now=LAST + 500 * HOUR)
    assert [closed.state for closed in result.closed] == ["resolved"]
    assert "back near" in places[0].messages[-1][0].text


def test_two_processes_never_send_the_same_message(store, places):
    outer = places[0].send

    def send_while_another_process_runs(message, reference):
        places[0].send = outer
        notify(store, "engine", AlertsConfig(), now=LAST)  # finds it held
        return outer(message, reference)

    places[0].send = send_while_another_process_runs
    notify(store, "engine", AlertsConfig(), now=LAST)
    assert places[0].stages == ["opened"]


CHILD = """
import sys
from datetime import datetime
from tracker.alerts import AlertsConfig, notify
from tracker.store import Store
url, hook, now = sys.argv[1:]
with Store.open(url) as store:
    notify(store, "engine", AlertsConfig(console=False, webhook=hook, allow_private=True),
           now=datetime.fromisoformat(now))
"""


@pytest.mark.parametrize("killed", ["before the answer", "after the answer"])
def test_a_killed_process_costs_no_message_and_no_receiver_counts_one_twice(
    store, tmp_path, killed
):
    url = f"sqlite:///{tmp_path}/store.db"
    child = None

    deadly = True

    def kill():
        if deadly:
            os.kill(child.pid, signal.SIGKILL)

    def run(now, hook):
        nonlocal child
        command = [sys.executable, "-c", CHILD, url, hook, now.isoformat()]
        child = subprocess.Popen(command, env={**os.environ, "no_proxy": "127.0.0.1"})
        return child.wait(timeout=60)

    # The answer is sent and then the process killed, or the other way round: either way the store
    # does not know that the message arrived.
    with webhook_server(200, on_request=kill, answer_first=killed == "after the answer") as (
        hook, received,
    ):  # fmt: skip
        assert run(LAST, hook) == -signal.SIGKILL
        deadly = False
        assert run(LAST + timedelta(minutes=1), hook) == 0  # the dead one still holds it
        assert len(received) == 1
        assert run(LAST + LEASE, hook) == 0
        assert run(LAST + 2 * LEASE, hook) == 0
    assert len(received) == 2
    assert len({headers["Idempotency-Key"] for headers, _ in received}) == 1
    (delivery,) = queries.list_deliveries(store, "engine")
    assert delivery.state == "delivered"


class Unreliable(Recording):
    """A place that is down now and then, and kills whoever sends to it now and then."""

    def __init__(self, name, chance):
        super().__init__(name)
        self.chance, self.is_calm = chance, False

    def send(self, message, reference):
        fate = 1.0 if self.is_calm else self.chance.random()
        if fate < 0.3:
            raise TransientError("down")
        if fate < 0.4:
            raise KeyboardInterrupt  # as a kill does: neither sent nor noted
        answer = super().send(message, reference)
        if fate < 0.5:
            raise KeyboardInterrupt  # sent and not noted
        return answer


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.nightly)])
def test_a_week_of_crashes_outages_and_triage_loses_nothing_and_repeats_only_by_key(
    store, places, seed
):
    chance = random.Random(seed)
    unreliable = [Unreliable("webhook", chance), Unreliable("email", chance)]
    places[:] = unreliable
    config = AlertsConfig(escalate_hours=24, silence_hours=36, cooldown_minutes=10)
    record_history(store, {TTFT: noisy(0.010, 20) + noisy(0.012, 20)}, machine="gpu-2")
    analyze(store)
    now = datetime.now(UTC)
    end = now + timedelta(days=7)
    while now < end:
        now += timedelta(minutes=chance.choice([1, 5, 60, 300, -30]))  # a clock may be set back
        with suppress(KeyboardInterrupt):
            notify(store, "engine", config, now=now)
        if chance.random() < 0.2:
            (one, *_) = queries.list_alerts(store, "engine", states=("open", "resolved"))
            move = "reopen" if one.state == "resolved" else "resolve"
            store.triage([one.id], SetState(move), by="me", now=now)
    for place in unreliable:
        place.is_calm = True
    for hours in range(1, 4):
        notify(store, "engine", config, now=now + LEASE + hours * HOUR)
    deliveries = queries.list_deliveries(store, "engine")
    assert {d.state for d in deliveries} <= {"delivered", "dropped"}
    for place in unreliable:
        got = [(m.alert.id, m.stage) for m, _ in place.messages]
        noted = [(d.alert_id, d.stage) for d in deliveries
                 if d.sink == place.name and d.state == "delivered"]  # fmt: skip
        assert len(noted) == len(set(noted))
        assert set(noted) <= set(got)
    # All that should have been said at the end was said.
    alerts = queries.list_alerts(store, "engine", states=ALL_STATES)
    wanted = wanted_deliveries(alerts, deliveries, ["webhook", "email"], config, now=now)
    assert wanted <= {(d.alert_id, d.sink, d.stage) for d in deliveries if d.state == "delivered"}
    assert len(alerts) > 1


# --- issues ------------------------------------------------------------------------------------


def fake_issues(api, name):
    """GitHub's or GitLab's issues, as far as alerts use them."""
    issues, comments = [], []
    here = "/repos/org/x/issues" if name == "github" else "/projects/org%2Fx/issues"
    text, number = ("body", "number") if name == "github" else ("description", "iid")

    def create(handler):
        body = api.requests[-1][2]
        issues.append({number: len(issues) + 1, text: body[text], "state": "open"})
        return 201, issues[-1]

    def comment(handler):
        comments.append(api.requests[-1][2])
        return 201, {}

    def change(handler):
        body = api.requests[-1][2]
        issues[0]["state"] = (
            body.get("state") or {"close": "closed", "reopen": "open"}[body["state_event"]]
        )
        return 200, issues[0]

    said = "comments" if name == "github" else "notes"
    api.answers |= {
        f"GET {here}": lambda handler: (200, issues),
        f"POST {here}": create,
        f"GET {here}/1/{said}": lambda handler: (200, comments),
        f"POST {here}/1/{said}": comment,
        f"{'PATCH' if name == 'github' else 'PUT'} {here}/1": change,
    }
    return issues, comments


@pytest.mark.parametrize("name", ["github", "gitlab"])
def test_an_issue_is_opened_once_updated_and_closed(api, name):
    issues, comments = fake_issues(api, name)
    config = IssueConfig("org/x", "TOKEN", api.url)
    sink = IssueSink(name, config, {"TOKEN": "s3cret"}, allow_private=True)
    opened = message_of(alert(), "opened", now=NOW)
    number = sink.send(opened, None)
    assert number == "1"
    # Of a process that was killed before it noted the number: found, and not opened again.
    assert sink.send(opened, None) == "1"
    assert len(issues) == 1
    escalated = message_of(alert(), "escalated 1", now=NOW + 99 * HOUR)
    for _ in range(2):
        sink.send(escalated, number)
    assert len(comments) == 1
    sink.send(message_of(alert(state="resolved"), "closed 1", now=NOW), None)
    assert (issues[0]["state"], len(comments)) == ("closed", 2)
    sink.send(message_of(alert(), "reopened 1", now=NOW), number)
    assert issues[0]["state"] == "open"
    assert all("Bearer s3cret" in headers.values() for headers in api.headers)


def test_an_issue_mentions_nobody_and_an_error_shows_no_token(api):
    issues, _ = fake_issues(api, "github")
    config = IssueConfig("org/x", "TOKEN", api.url)
    sink = IssueSink("github", config, {"TOKEN": "s3cret"}, allow_private=True)
    sink.send(message_of(alert(detail="@everyone ``` <!-- x"), "opened", now=NOW), None)
    assert issues[0]["body"].startswith("````text\n@everyone")
    api.answers["GET /repos/org/x/issues"] = (403, {"message": "Resource not accessible"})
    with pytest.raises(DeliveryError, match="403 Resource not accessible") as caught:
        sink.send(message_of(alert(), "opened", now=NOW), None)
    assert not isinstance(caught.value, TransientError)
    assert "s3cret" not in str(caught.value)
    unset = IssueSink("github", config, {}, allow_private=True)
    with pytest.raises(DeliveryError, match="environment variable TOKEN is not set"):
        unset.send(message_of(alert(), "opened", now=NOW), None)


# --- mail --------------------------------------------------------------------------------------


@contextmanager
def mail_server(*, refuse=None):
    """An SMTP server that keeps what it gets, or answers every recipient with `refuse`."""
    received = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            self.wfile.write(b"220 here\r\n")
            for line in self.rfile:
                word = line.split()[0].upper() if line.split() else b""
                if word == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    lines = []
                    for text in self.rfile:
                        if text == b".\r\n":
                            break
                        lines.append(text.decode())
                    received.append("".join(lines))
                elif word == b"RCPT" and refuse:
                    self.wfile.write(refuse)
                    continue
                elif word == b"QUIT":
                    self.wfile.write(b"221 bye\r\n")
                    return
                self.wfile.write(b"250 ok\r\n")

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1], received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def mail(port, **changed):
    fields = {"host": "127.0.0.1", "port": port, "security": "none", "sender": "a@example.org",
              "to": ("b@example.org", "c@example.org")}  # fmt: skip
    return EmailConfig(**{**fields, **changed})


def test_a_mail_has_text_chart_and_a_thread():
    with mail_server() as (port, received):
        sink = EmailSink(mail(port), {})
        opened = message_of(alert(), "opened", now=NOW, chart="<svg/>")
        sink.send(opened, None)
        sink.send(opened, None)
        sink.send(message_of(alert(), "escalated 1", now=NOW + 80 * HOUR), None)
    first, again, later = (email.message_from_string(text) for text in received)
    assert first["Subject"].replace("\n", "").startswith("[engine] 000000000003 is worse on gpu-1")
    assert first["To"] == "b@example.org, c@example.org"
    assert first["Message-ID"] == again["Message-ID"]
    assert later["Message-ID"] != first["Message-ID"]
    assert [part.get_content_type() for part in first.walk()][1:] == ["text/plain", "image/svg+xml"]


@pytest.mark.parametrize(
    ("refuse", "kind", "message"),
    [(b"550 no\r\n", DeliveryError, "every recipient is refused (550)"),
     (b"451 later\r\n", DeliveryError, "every recipient is refused (451)")],
)  # fmt: skip
def test_what_a_mail_server_refuses_is_said(refuse, kind, message):
    with mail_server(refuse=refuse) as (port, _), pytest.raises(kind) as caught:
        EmailSink(mail(port), {}).send(message_of(alert(), "opened", now=NOW), None)
    assert str(caught.value) == message


def test_a_mail_server_that_is_not_there_or_says_nothing_is_given_up():
    with socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as mute:
        sink = EmailSink(mail(mute.server_address[1]), {}, deadline=0.3)
        with pytest.raises(TransientError, match=r"no answer within 0\.3 s|no connection"):
            sink.send(message_of(alert(), "opened", now=NOW), None)
    with pytest.raises(DeliveryError, match="environment variable PW is not set"):
        login = mail(1, user="u", password_variable="PW")
        EmailSink(login, {}).send(message_of(alert(), "opened", now=NOW), None)


# --- addresses ---------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "192.168.0.1", "::1",
                                  "fe80::1", "::ffff:10.0.0.1", "0.0.0.0", "100.64.0.1", "224.0.0.1"])  # fmt: skip
def test_a_private_address_gets_no_request_unless_allowed(host):
    with pytest.raises(DeliveryError, match="allow_private"):
        allowed_address(host, 80, allow_private=False)
    assert allowed_address(host, 80, allow_private=True) == host


def test_a_public_address_is_allowed_and_a_name_that_also_leads_inside_is_not(monkeypatch):
    assert allowed_address("93.184.216.34", 443, allow_private=False) == "93.184.216.34"
    both = [(2, 1, 6, "", (address, 443)) for address in ("93.184.216.34", "10.0.0.1")]
    monkeypatch.setattr("socket.getaddrinfo", lambda *a, **k: both)
    with pytest.raises(DeliveryError):
        allowed_address("both.example", 443, allow_private=False)


def test_a_webhook_on_this_machine_is_refused_by_default():
    with webhook_server(200) as (url, received):
        sink = sinks_module.WebhookSink(url)
        with pytest.raises(DeliveryError, match="private address"):
            sink.send(message_of(alert(), "opened", now=NOW), None)
    assert received == []


# --- stages ------------------------------------------------------------------------------------


def test_an_acceptance_that_expired_opens_the_alert_again():
    events = (
        AlertEvent(NOW, "delivered", "delivered to webhook"),
        AlertEvent(NOW, "expect", "expected until 2026-03-02", "me"),
        AlertEvent(NOW, "comment", "resolved: I think", "me"),
        AlertEvent(NOW, "expired", "open: accepted until 2026-03-02"),
    )
    config = AlertsConfig()
    assert stages_of(alert(history=events), config, now=NOW) == ["reopened 1"]
    assert stages_of(alert(), config, now=NOW) == ["opened"]
    assert stages_of(alert(state="acked"), config, now=NOW) == []
    assert stages_of(alert(state="resolved"), replace(config, recovery=False), now=NOW) == []
