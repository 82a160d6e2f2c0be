"""docs/alerts.md says what the code does."""

import json
import re
import tomllib
from dataclasses import replace
from pathlib import Path

from tests.tracker.alerts.samples import NOW, alert, change, findings
from tracker.alerts import AlertsConfig, alerts_config
from tracker.alerts.message import message_of
from tracker.alerts.payload import webhook_payload
from tracker.alerts.sinks import WebhookSink
from tracker.errors import UsageError
from tracker.findings import Analysis
from tracker.report.findings import findings_document
from tracker.toml_table import Table
from tracker.triage import ALL_STATES, next_state

PAGE = (Path(__file__).parents[3] / "docs" / "alerts.md").read_text()


def block(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)[0]


def shape(value):
    return {key: shape(inner) for key, inner in value.items()} if isinstance(value, dict) else None


def test_the_payload_has_the_fields_it_shows():
    assert shape(json.loads(block("json"))) == shape(
        webhook_payload(message_of(alert(), "opened", now=NOW))
    )


def test_the_configuration_is_the_default_beside_the_webhook():
    config = alerts_config(Table(tomllib.loads(block("toml"))["alerts"], "[alerts]"))
    assert config.webhook_variable == "PACEKEEPER_WEBHOOK"
    assert replace(config, webhook=None) == AlertsConfig()


def test_the_further_places_are_read():
    text = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[1]
    config = alerts_config(Table(tomllib.loads(text)["alerts"], "[alerts]"))
    assert config.email.password_variable == "PACEKEEPER_SMTP_PASSWORD"
    assert (config.github.place, config.gitlab.place) == ("org/engine", "group/engine")


def test_the_table_of_states_is_the_state_machine():
    rows = re.findall(r"^\| (\w+) \| (\S+) \| (\S+) \| (\S+) \| (\S+) \|$", PAGE, re.MULTILINE)
    told = {state: moves for state, *moves in rows if state in ALL_STATES}
    assert set(told) == set(ALL_STATES)

    def move(state, action):
        try:
            return next_state(state, action)
        except UsageError:
            return "–"

    for state, moves in told.items():
        assert moves == [move(state, action) for action in ("ack", "expect", "resolve", "reopen")]


def test_the_json_has_the_fields_it_lists():
    document = findings_document(Analysis(findings(change(3, 0.1)), 1, 0, 9, 0, 1, 1))
    named = set(re.findall(r"\w+", " ".join(re.findall(r"`[^`\n]+`", PAGE))))
    for part in (document, document["findings"][0], document["findings"][0]["changes"][0]):
        assert set(part) <= named


def test_the_waits_it_states():
    sink = WebhookSink("https://chat.example/x")
    assert (sink.timeout, sink.tries, sink.backoff) == (5.0, 3, 0.5)
