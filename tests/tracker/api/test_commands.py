"""`tracker token` and the errors of `tracker serve`, as a user calls them."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tracker.api.tokens import RefusedTokenError, check, new_token, prefix_of
from tracker.cli import cli
from tracker.store import Store, queries

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store.db"


def call(url: str, *words: str) -> Result:
    return CliRunner().invoke(cli, ["--db", url, *words])


def test_a_token_is_shown_once_listed_by_its_prefix_and_revoked(url: str) -> None:
    made = call(url, "token", "create", "the pool", "--project", "engine", "--days", "2")
    token = made.stdout.strip()
    with Store.open(url) as store:
        stored = queries.find_token(store, token.split("_")[1])
        assert stored is not None
        assert check(token, stored, now=datetime.now(UTC)).scopes == ("ingest",)
    listed = call(url, "token", "list")
    prefix = prefix_of(token)
    assert listed.stdout.startswith(f"{prefix}  active ")
    assert "ingest  engine  the pool" in listed.stdout
    assert token not in listed.stdout
    assert call(url, "token", "revoke", str(prefix)).exit_code == 0
    (document,) = json.loads(call(url, "token", "list", "--json").stdout)
    assert (document["state"], document["project"]) == ("revoked", "engine")
    first = document["revoked_at"]
    call(url, "token", "revoke", str(prefix))  # a second time changes nothing
    (document,) = json.loads(call(url, "token", "list", "--json").stdout)
    assert document["revoked_at"] == first
    assert not {"digest", "token"} & document.keys()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("token", "create", "x"), "give --project NAME, or --all-projects"),
        (("token", "create", "x", "--project", "p", "--all-projects"), "--all-projects"),
        (("token", "create", "x", "--all-projects", "--scope", "write"), "'write' is not one of"),
        (("token", "create", "x", "--all-projects", "--days", "0"), "is not in the range"),
        (("token", "revoke", "00000000"), "no token '00000000'"),
        (("serve", "--host", "no such host"), "--host"),
        (("serve", "--port", "70000"), "is not in the range"),
    ],
)
def test_what_cannot_be_is_named(url: str, words: tuple[str, ...], message: str) -> None:
    Store.open(url).close()
    done = call(url, *words)
    said = done.output if done.exit_code == 2 else f"{done.exception}"
    assert message in said
    assert getattr(done.exception, "exit_code", done.exit_code) == 2


def test_a_port_in_use_is_named(url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = call(url, "serve", "--port", str(taken.getsockname()[1]))
    assert "choose another port with --port" in str(done.exception)


def test_an_expired_token_is_refused_at_its_last_moment_and_tokens_differ() -> None:
    made = new_token("x", ("read",), None, now=NOW, lifetime=timedelta(days=1))
    stored = (made.info, made.digest)
    assert check(made.text, stored, now=made.info.expires_at - timedelta(microseconds=1))
    with pytest.raises(RefusedTokenError, match="expired"):
        check(made.text, stored, now=made.info.expires_at)
    with pytest.raises(RefusedTokenError, match="unknown"):
        check(made.text, None, now=NOW)
    other = new_token("x", ("read",), None, now=NOW, lifetime=timedelta(days=1))
    with pytest.raises(RefusedTokenError, match="unknown"):
        check(other.text, stored, now=NOW)
