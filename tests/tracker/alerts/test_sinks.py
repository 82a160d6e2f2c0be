"""Delivery against a real HTTP server: refusing, slow, dripping, failing and recovering."""

import io
import json
import time

import pytest

from tests.tracker.alerts.samples import NOW, alert
from tests.tracker.alerts.server import closed_port_url, webhook_server
from tracker.alerts import AlertsConfig
from tracker.alerts.failure import DeliveryError
from tracker.alerts.message import message_of
from tracker.alerts.payload import webhook_payload
from tracker.alerts.sinks import ConsoleSink, WebhookSink, sinks_of


def sink(url, **changed):
    usual = {"timeout": 5.0, "backoff": 0.01, "allow_private": True}
    return WebhookSink(url, **{**usual, **changed})


def message(**changed):
    return message_of(alert(**changed), "opened", now=NOW)


def test_a_webhook_receives_text_and_fields():
    with webhook_server(200) as (url, received):
        sink(url).send(message(), None)
    ((headers, body),) = received
    assert headers["Content-Type"] == "application/json"
    assert headers["Idempotency-Key"] == body["pacekeeper"]["delivery"]
    assert body["text"].startswith("*engine* 000000000003 is worse on gpu-1")
    assert "Be eager" in body["text"]
    fields = body["pacekeeper"]
    assert (fields["format"], fields["event"]) == (1, "alert")
    assert fields["alert"]["id"] == 7
    assert fields["alert"]["commit"] == alert().revision.commit
    assert fields["alert"]["worst_effect"] == 0.12
    assert fields["alert"]["created_at"] == "2026-03-01T12:00:00+00:00"


def test_a_500_is_tried_again():
    waits = []
    with webhook_server(500, 503, 200) as (url, received):
        sink(url, sleep=waits.append).send(message(), None)
    assert len(received) == 3
    assert waits == [0.01, 0.02]


def test_three_tries_and_no_more():
    with webhook_server(500) as (url, received), pytest.raises(DeliveryError) as caught:
        sink(url).send(message(), None)
    assert len(received) == 3
    assert str(caught.value) == "HTTP status 500, 3 tries"


@pytest.mark.parametrize("status", [400, 403, 404, 410])
def test_what_cannot_get_better_is_tried_once(status):
    with webhook_server(status) as (url, received), pytest.raises(DeliveryError) as caught:
        sink(url).send(message(), None)
    assert len(received) == 1
    assert str(caught.value) == f"HTTP status {status}"


def test_a_busy_server_is_tried_again():
    with webhook_server(429, 200) as (url, received):
        sink(url).send(message(), None)
    assert len(received) == 2


def test_a_server_that_refuses():
    with pytest.raises(DeliveryError) as caught:
        sink(closed_port_url()).send(message(), None)
    assert "no connection: Connection refused, 3 tries" in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("manner", ["slow", "drip"])
def test_a_try_has_a_deadline_whatever_the_server_does(manner):
    began = time.monotonic()
    with webhook_server(manner) as (url, received):
        with pytest.raises(DeliveryError) as caught:
            sink(url, timeout=0.3, tries=2).send(message(), None)
        took = time.monotonic() - began
    assert len(received) == 2
    assert "no answer within 0.3 s" in str(caught.value)
    assert took < 1.4


def test_a_slow_server_that_gets_faster():
    with webhook_server("slow", 200) as (url, received):
        sink(url, timeout=0.3).send(message(), None)
    assert len(received) == 2


def test_a_server_that_hangs_up():
    with webhook_server("hang up") as (url, received), pytest.raises(DeliveryError) as caught:
        sink(url).send(message(), None)
    assert len(received) == 3
    assert "s3cret" not in str(caught.value)


def test_a_redirect_is_not_followed_with_the_alert():
    with webhook_server(302) as (url, received), pytest.raises(DeliveryError, match="302"):
        sink(url).send(message(), None)
    assert len(received) == 1


def test_a_missing_variable_is_named():
    (hook,) = sinks_of(
        AlertsConfig(console=False, webhook="$HOOK"), stream=io.StringIO(), environ={}
    )
    with pytest.raises(DeliveryError, match="environment variable HOOK is not set"):
        hook.send(message(), None)


def test_a_variable_without_a_url_is_named_and_not_shown():
    config = AlertsConfig(console=False, webhook="$HOOK")
    (hook,) = sinks_of(config, stream=io.StringIO(), environ={"HOOK": "file:///s3cret"})
    with pytest.raises(DeliveryError) as caught:
        hook.send(message(), None)
    assert str(caught.value) == "environment variable HOOK holds no http(s) URL"


@pytest.mark.parametrize("url", ["http://127.0.0.1:x/s3cret", "http://a b/s3cret"])
def test_a_url_that_cannot_be_used_is_not_shown(url):
    with pytest.raises(DeliveryError) as caught:
        sink(url, tries=1).send(message(), None)
    assert "s3cret" not in str(caught.value)


def test_the_console_gets_the_title_and_the_detail():
    stream = io.StringIO()
    ConsoleSink(stream).send(message(), None)
    assert stream.getvalue().startswith("alert 7 [engine] 000000000003 is worse on gpu-1")
    assert "\n  bench.track_ttft: +12.00%" in stream.getvalue()


def test_a_closed_console_is_a_failed_delivery():
    stream = io.StringIO()
    stream.close()
    with pytest.raises(DeliveryError):
        ConsoleSink(stream).send(message(), None)


def test_the_configuration_chooses_the_sinks():
    def names(**config):
        return [s.name for s in sinks_of(AlertsConfig(**config), stream=io.StringIO(), environ={})]

    assert names() == ["console"]
    assert names(console=False) == []
    assert names(webhook="https://chat.example/x") == ["console", "webhook"]


def test_a_commit_subject_cannot_call_the_whole_channel():
    payload = webhook_payload(message(detail="3f <!channel> & co"))
    assert "3f &lt;!channel&gt; &amp; co" in payload["text"]
    assert payload["pacekeeper"]["alert"]["detail"] == "3f <!channel> & co"


def test_an_alert_without_a_revision_is_a_valid_payload():
    payload = webhook_payload(message(revision=None, worst_effect=None))
    assert json.loads(json.dumps(payload, allow_nan=False))["pacekeeper"]["alert"]["commit"] is None
