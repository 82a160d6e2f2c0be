"""Launches of a server: started for its commit, driven, stopped whatever happens."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.tracker.measure.served import SERVER, commit
from tracker.errors import MeasurementError
from tracker.gate.policy_file import parse_policy
from tracker.measure.project import load_project
from tracker.measure.runners import make_runner

CHAT = {
    "requests": 3,
    "prompt": 4,
    "output": 5,
    "limit": 10.0,
    "warmup": 1,
    "load": {"concurrency": 1},
}
COMMAND = f"{sys.executable} serve.py {{port}}"


@pytest.fixture
def runner_of(tmp_path, monkeypatch):
    root = tmp_path / "engine"
    made = []

    def make(files=None, **measure):
        head = commit(
            root,
            {
                "pacekeeper.toml": '[measure]\nrunner = "server"\n',
                "serve.py": SERVER,
                "delay": "0.01",
                **(files or {}),
            },
        )
        monkeypatch.chdir(root)
        table = {
            "runner": "server",
            "command": COMMAND,
            "scenarios": {"chat": CHAT},
            "ready_timeout": 20,
            **measure,
        }
        policy = parse_policy({"measure": {k: v for k, v in table.items() if v is not None}})
        made.append(make_runner(load_project(), policy, machine="node"))
        return made[-1], head

    yield make
    for runner in made:
        runner.clean()


def process_of(log: Path) -> Path:
    """The /proc entry of the server that wrote the log."""
    found = re.search(r"serving process (\d+)", log.read_text())
    assert found is not None
    return Path("/proc", found[1])


def gone_within(entry: Path, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while entry.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return not entry.exists()


def test_a_launch_starts_drives_and_stops_the_commits_server(runner_of, tmp_path):
    runner, head = runner_of()
    (tmp_path / "engine" / "delay").write_text("5")  # the working tree's, which is not measured
    result = runner.launch(head)
    values = result.values()
    assert values["chat.ttft_p50"] >= 0.01 and values["chat.tpot_p50"] >= 0.01
    assert values["chat.error_rate"] == 0
    assert result.benchmarks["chat.throughput"].better == "higher"
    # How late the client itself was says nothing of the commit.
    assert result.benchmarks["chat.client_lag_p99"].better is None
    (launch,) = result.launches
    assert launch.header["metrics"]["ttft_p50"] == values["chat.ttft_p50"]
    assert launch.fingerprint.python is not None
    assert not process_of(result.log).exists()
    assert set(runner.launch(head, bench=["ttft_p50$"]).values()) == {"chat.ttft_p50"}


def test_a_client_that_was_the_limit_is_no_failure_of_the_commit(runner_of, monkeypatch):
    monkeypatch.setattr("tracker.load.http.endpoint.client_bound", lambda *_: "client-bound: late")
    runner, head = runner_of()
    result = runner.launch(head)
    assert "chat.ttft_p50" in result.skipped() and "chat.ttft_p50" not in result.values()
    assert result.failed() == {} and result.values()["chat.error_rate"] == 0


def test_servers_stay_up_between_launches_only_where_that_is_asked_for(runner_of):
    runner, first = runner_of(keep_up=True)
    _, second = runner_of({"delay": "0.02"}, keep_up=True)
    logs = [runner.launch(first).log, runner.launch(second).log]
    servers = [process_of(log) for log in logs]
    assert all(server.exists() for server in servers)
    again = runner.launch(first)
    assert "serving" not in (again.log.read_text() if again.log.exists() else "")
    runner.clean()
    assert not any(server.exists() for server in servers)


def test_a_server_that_ends_says_so_with_the_end_of_its_log(runner_of):
    runner, head = runner_of({"serve.py": "print('loading'); raise SystemExit('no such model')"})
    with pytest.raises(MeasurementError) as caught:
        runner.launch(head)
    text = str(caught.value)
    assert "the server ended with exit code 1 before it was ready" in text
    assert text.splitlines()[-2:] == ["    loading", "    no such model"]


def test_a_server_that_is_never_ready_ends_on_time_with_all_that_it_started(runner_of):
    # It ignores the polite signal, and moves a child into a session of its own.
    stubborn = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "300"], start_new_session=True)
print("serving process", child.pid, flush=True)
time.sleep(300)
"""
    runner, head = runner_of({"serve.py": stubborn}, ready_timeout=1)
    started = time.monotonic()
    with pytest.raises(MeasurementError, match="the server was not ready after 1 s"):
        runner.launch(head)
    assert time.monotonic() - started < 25
    (folder,) = Path(".pacekeeper/launches").iterdir()
    assert not process_of(folder / "log.txt").exists()


def test_a_server_that_hangs_in_the_load_ends_on_time_and_gives_no_latency(runner_of):
    hangs = SERVER.replace("time.sleep(DELAY)", "time.sleep(300)")
    runner, head = runner_of({"serve.py": hangs}, scenarios={"chat": {**CHAT, "limit": 1.0}})
    started = time.monotonic()
    try:
        result = runner.launch(head)
    except MeasurementError as error:
        assert "chat" in str(error)
    else:
        assert not any("ttft" in name for name in result.values())
        assert result.failures
    assert time.monotonic() - started < 25


def test_the_server_ends_though_the_tracker_is_killed(runner_of):
    _, head = runner_of()
    hold = (
        "import sys, time; from tracker.gate.policy_file import parse_policy\n"
        "from tracker.measure.project import load_project\n"
        "from tracker.measure.runners import make_runner\n"
        f"table = {{'runner': 'server', 'command': {COMMAND!r}, 'scenarios': {{'chat': {CHAT!r}}}}}\n"
        "runner = make_runner(load_project(), parse_policy({'measure': table}), machine='node')\n"
        "runner._drive = lambda *args: (print(args[2], flush=True), time.sleep(300))\n"
        f"runner.launch({head!r})\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold], stdout=subprocess.PIPE, text=True
    ) as killed:
        assert killed.stdout is not None
        server = process_of(Path(killed.stdout.readline().strip()))
        assert server.exists()
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    assert gone_within(server, 15)


def test_a_deployed_server_is_brought_to_each_commit_first(runner_of, tmp_path):
    runner, head = runner_of()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    entry = subprocess.Popen(
        [sys.executable, "serve.py", str(port)], cwd=runner.project.repository.root
    )
    try:
        remote, _ = runner_of(
            command=None,
            url=f"http://127.0.0.1:{port}",
            deploy=f"echo {{commit}} > {tmp_path}/deployed",
        )
        result = remote.launch(head)
        assert (tmp_path / "deployed").read_text().strip() == head
        assert result.values()["chat.ttft_p50"] >= 0.01
        failing, _ = runner_of(
            command=None, url=f"http://127.0.0.1:{port}", deploy="echo no rights; exit 4"
        )
        with pytest.raises(MeasurementError, match="deployment failed with exit code 4: no rights"):
            failing.launch(head)
    finally:
        entry.kill()
        entry.wait()
