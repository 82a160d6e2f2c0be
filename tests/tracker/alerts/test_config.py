"""The [alerts] table."""

import pytest

from tracker.alerts import AlertsConfig, alerts_config
from tracker.errors import PolicyError
from tracker.gate.policy_file import load_policy
from tracker.toml_table import Table


def test_no_file_is_the_defaults(tmp_path):
    assert load_policy(start=tmp_path).alerts == AlertsConfig()


def test_a_file_with_other_tables_and_an_alerts_table(tmp_path):
    file = tmp_path / "pacekeeper.toml"
    file.write_text('[gate]\nalpha = 0.01\n[alerts]\nconsole = false\nwebhook = "$HOOK"\n')
    config = load_policy(file).alerts
    assert (config.console, config.webhook_variable) == (False, "HOOK")


def test_a_stored_policy_holds_no_webhook(tmp_path):
    file = tmp_path / "pacekeeper.toml"
    file.write_text('[alerts]\nwebhook = "https://chat.example/s3cret"\n')
    assert "s3cret" not in str(load_policy(file).as_dict())


def test_a_misspelt_key_is_an_error_of_the_file(tmp_path):
    file = tmp_path / "pacekeeper.toml"
    file.write_text("[alerts]\nwebhok = 1\n")
    with pytest.raises(PolicyError, match=r"pacekeeper\.toml: \[alerts\].*did you mean 'webhook'"):
        load_policy(file)


@pytest.mark.parametrize(
    ("webhook", "variable"),
    [("$HOOK", "HOOK"), ("${HOOK}", "HOOK"), ("https://chat.example/x", None)],
)
def test_a_webhook_is_a_url_or_a_variable(webhook, variable):
    assert alerts_config(Table({"webhook": webhook}, "[alerts]")).webhook_variable == variable


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"consol": True}, "unknown key 'consol'; did you mean 'console'?"),
        ({"zzz": True}, "unknown key 'zzz'; there are: console, webhook"),
        ({"console": 1}, "console must be true or false"),
        ({"min_effect": -0.1}, "min_effect must be a number of at least 0"),
        ({"min_effect": float("nan")}, "min_effect must be a number"),
        ({"max_age_days": True}, "max_age_days must be a number"),
        ({"webhook": 5}, "webhook must be an http(s) URL"),
        ({"webhook": "ftp://chat.example/x"}, "webhook must be an http(s) URL"),
        ({"webhook": "$A/$B"}, "webhook must be an http(s) URL"),
        ({"webhook": "https://"}, "webhook must be an http(s) URL"),
    ],
)
def test_what_cannot_be_is_an_error_that_names_the_key(table, message):
    with pytest.raises(PolicyError) as caught:
        alerts_config(Table(table, "[alerts]"))
    assert message in str(caught.value)


def test_a_wrong_webhook_is_not_repeated():
    with pytest.raises(PolicyError) as caught:
        alerts_config(Table({"webhook": "hooks.example/s3cret"}, "[alerts]"))
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("text", ["[alerts", "alerts = 5"])
def test_a_broken_file_is_named(tmp_path, text):
    file = tmp_path / "pacekeeper.toml"
    file.write_text(text)
    with pytest.raises(PolicyError, match=r"pacekeeper\.toml"):
        load_policy(file)
