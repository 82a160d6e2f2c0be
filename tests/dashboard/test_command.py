"""`tracker dashboard`: what it refuses, and that it starts and ends."""

import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from tests.dashboard.serving import serve
from tracker.cli.dashboard import absolute_url, script, streamlit_arguments


def run(*arguments, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "tracker", *arguments, "--no-browser"],
        capture_output=True, text=True, timeout=60, cwd=cwd,
    )  # fmt: skip


def test_without_a_store_it_exits_5_and_names_the_mend(tmp_path):
    done = run("--db", "sqlite:///none.db", "dashboard", cwd=tmp_path)
    assert done.returncode == 5
    assert f"{tmp_path / 'none.db'}" in done.stderr
    assert "tracker ingest" in done.stderr


def test_a_file_that_is_no_store_exits_5(tmp_path):
    (tmp_path / "odd.db").write_bytes(b"no database" * 100)
    done = run("--db", f"sqlite:///{tmp_path / 'odd.db'}", "dashboard")
    assert done.returncode == 5
    assert "not a SQLite database" in done.stderr


def test_a_store_in_memory_is_a_usage_error():
    done = run("--db", "sqlite://", "dashboard")
    assert done.returncode == 2
    assert "memory" in done.stderr


def test_an_unknown_project_is_a_usage_error_that_lists_the_known(filled):
    done = run("--db", filled.url, "dashboard", "--project", "nosuch")
    assert done.returncode == 2
    assert "'nosuch'" in done.stderr
    assert "sim" in done.stderr


def test_a_port_in_use_is_a_usage_error(empty_url):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = run("--db", empty_url, "dashboard", "--port", port)
    assert done.returncode == 2
    assert port in done.stderr
    assert "--port" in done.stderr


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_from_any_directory_and_takes_its_server_along(empty_url, tmp_path, how):
    with serve(empty_url, cwd=tmp_path) as dashboard:
        assert urllib.request.urlopen(f"{dashboard.url}/_stcore/health", timeout=10).status == 200
        dashboard.process.send_signal(how)
        assert dashboard.process.wait(timeout=20) == 0
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", dashboard.port), timeout=1).close()


def test_a_relative_store_is_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute_url("sqlite:///a/b.db") == f"sqlite:///{tmp_path / 'a/b.db'}"
    assert absolute_url("sqlite:////a/b.db?mode=ro") == "sqlite:////a/b.db?mode=ro"
    assert absolute_url("postgresql://u@h/db") == "postgresql://u@h/db"


def test_the_colours_lie_beside_the_script_that_is_started():
    assert str(script()) in streamlit_arguments("127.0.0.1", 8501)
    assert (script().parent / ".streamlit" / "config.toml").is_file()
