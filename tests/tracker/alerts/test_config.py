"""The [alerts] table."""

import pytest

from tracker.alerts import AlertsConfig, alerts_config
from tracker.errors import PolicyError
from tracker.gate.policy_file import load_policy
from tracker.toml_table import Table

MAIL = {"host": "h", "from": "a@b", "to": ["c@d"]}


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
        ({"webhook": "https://hooks.slack.com/services/T/B/x"}, "webhook is a secret"),
        ({"webhook": "https://me:pw@chat.example/"}, "webhook is a secret"),
        ({"quiet": "22-7"}, 'quiet must be two times of day such as "22:00-07:00"'),
        ({"quiet": "25:00-07:00"}, "quiet must be two times of day"),
        ({"quiet": "07:00-07:00"}, "begins when it ends"),
        ({"timezone": "Berlin"}, "timezone 'Berlin' is unknown"),
        ({"cooldown_minutes": -1}, "cooldown_minutes must be a number of at least 0"),
        ({"email": 1}, "email must be a table"),
        ({"email": {"host": "h", "from": "a@b"}}, "[alerts.email] needs to"),
        (
            {"email": MAIL | {"hots": "x"}},
            "[alerts.email] unknown key 'hots'; did you mean 'host'?",
        ),
        ({"email": MAIL | {"to": "somebody"}}, "'somebody' is no e-mail address"),
        ({"email": MAIL | {"to": "a@b\nBcc: c@d"}}, "is no e-mail address"),
        ({"email": MAIL | {"security": "ssl"}}, "security must be one of starttls, tls, none"),
        ({"email": MAIL | {"port": 70000}}, "port must be at most 65535"),
        ({"email": MAIL | {"user": "u"}}, "user and password belong together"),
        ({"email": MAIL | {"user": "u", "password": "s3cret"}}, "password must be $NAME"),
        ({"email": MAIL | {"user": "u", "password": "$P", "security": "none"}}, "in the clear"),
        ({"github": {"repository": "org/x"}}, "[alerts.github] needs token"),
        ({"github": {"repository": "x", "token": "$T"}}, "repository must be OWNER/NAME"),
        ({"gitlab": {"project": "g/x", "token": "s3cret"}}, "token must be $NAME"),
        ({"gitlab": {"project": "g/x", "token": "$T", "url": "http://x"}}, "https address"),
    ],
)
def test_what_cannot_be_is_an_error_that_names_the_key(table, message):
    with pytest.raises(PolicyError) as caught:
        alerts_config(Table(table, "[alerts]"))
    assert message in str(caught.value)
    assert "s3cret" not in str(caught.value)


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
