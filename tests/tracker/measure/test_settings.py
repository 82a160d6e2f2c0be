"""`[measure]` of pacekeeper.toml: each wrong entry is named with its mend."""

from __future__ import annotations

import re

import pytest

from tracker.errors import PolicyError
from tracker.measure.settings import measure_settings
from tracker.toml_table import Table

CHAT = {"requests": 2, "prompt": 4, "output": 4}
SERVER = {"runner": "server", "command": "serve {port}", "scenarios": {"chat": CHAT}}


def test_what_is_not_stated_has_its_default():
    settings = measure_settings(Table(SERVER, "[measure]"))
    assert (settings.ready, settings.ready_timeout, settings.api) == (
        "/health",
        300.0,
        "completions",
    )
    assert measure_settings(Table({}, "[measure]")).runner == "asv"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"comand": "x"}, "unknown key 'comand'; did you mean 'command'?"),
        ({"runner": "pytest"}, "runner must be one of asv, command, server"),
        ({"command": "x {out}"}, 'command is for the runner "command" and "server", not for "asv"'),
        ({"runner": "command"}, 'needs command = "CMD", which writes its results to {out}'),
        ({"runner": "command", "command": "bench"}, "command must hold {out}"),
        ({"runner": "command", "command": 7}, "command must be a text, not 7"),
        (
            {"runner": "command", "command": "x {out}", "format": "hyperfin"},
            "format: no format 'hyperfin'; did you mean 'hyperfine'?",
        ),
        ({"runner": "command", "command": "x {out}", "keep_up": True}, 'for the runner "server"'),
        ({"runner": "server", "scenarios": {"chat": CHAT}}, 'needs command = "CMD"'),
        ({**SERVER, "command": "serve"}, "command must hold {port}"),
        ({**SERVER, "deploy": "x"}, "deploy belongs to url"),
        ({**SERVER, "ready": "health"}, "ready must be a path such as /health"),
        ({**SERVER, "ready_timeout": 0}, "ready_timeout must be a number above 0"),
        ({**SERVER, "keep_up": "yes"}, "keep_up must be true or false"),
        ({**SERVER, "api": "embeddings"}, "api must be one of completions, chat"),
        ({"device_hour": -1.0}, "device_hour"),
        ({"keep_env": ["HF TOKEN"]}, "keep_env: 'HF TOKEN' names no environment variable"),
        ({**SERVER, "scenarios": {}}, "needs a scenario: a table [measure.scenarios.NAME]"),
        ({**SERVER, "scenarios": {"chat": {**CHAT, "promt": 1}}}, "did you mean 'prompt'?"),
        ({**SERVER, "scenarios": {"chat": 3}}, "scenarios chat must be a table"),
        (
            {"runner": "server", "url": "http://h:1", "scenarios": {"chat": CHAT}},
            'url needs deploy = "CMD"',
        ),
        (
            {"runner": "server", "url": "h:1", "deploy": "x", "scenarios": {"chat": CHAT}},
            "url must be http://HOST:PORT",
        ),
    ],
)
def test_a_wrong_entry_is_named(table, message):
    with pytest.raises(PolicyError, match=re.escape(message)):
        measure_settings(Table(table, "pacekeeper.toml: [measure]"))
