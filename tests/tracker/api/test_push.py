"""A push leaves the rows of a local ingest, whatever is lost, repeated or cut on the way."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE

import pytest

from tests.tracker.api.conftest import Service, running, serving
from tests.tracker.asv_results import (
    result_file,
    row,
    write_benchmarks,
    write_file,
    write_machine,
)
from tracker.api.app import make_app
from tracker.api.client import PushingStore
from tracker.api.entrance import Limits
from tracker.errors import UsageError
from tracker.http_client import ApiError
from tracker.ingest import ingest_directory
from tracker.store import Store
from tracker.store.dump import export_store

READERS = Path(__file__).parents[2] / "testdata" / "readers"


def project(root: Path, *, files: int = 5) -> Path:
    """An asv project with settings, samples, a failure and a broken file, in a git repository."""
    results = root / "checkout" / "results"
    write_machine(results)
    entries = {
        "b.time_x": {"type": "time", "unit": "seconds"},
        "b.track_up": {"type": "track", "unit": "tokens/s"},
    }
    write_benchmarks(results, entries)
    for number in range(files):
        rows = {
            "b.time_x": row(1.0 + number, samples=[[1.0, 2.5]], stats_q_25=[0.5]),
            "b.track_up": row(None if number == 2 else 3.0),
        }
        write_file(results, number, result_file(number, rows, env_vars={"A": "ü"}))
    write_file(results, 99, "{")
    home = results.parent
    config = {"project": "toy", "repo": ".", "show_commit_url": "https://example.org/c/"}
    (home / "asv.conf.json").write_text(json.dumps(config))
    (home / "pacekeeper.toml").write_text('[gate.metrics."up"]\nbetter = "higher"\n')
    return home


def rows_of(store: Store, folder: Path) -> list[str]:
    """The store's dump without the times at which something was written."""
    file = folder / "dump.jsonl"
    export_store(store, file)
    lines, columns = [], []
    for line in file.read_text().splitlines():
        record = json.loads(line)
        if isinstance(record, dict):
            columns = record.get("columns", [])
        else:
            for name in ("recorded_at", "seen_at"):
                if name in columns:
                    record[columns.index(name)] = None
        lines.append(json.dumps(record))
    return lines


def environment(**more: str) -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PACEKEEPER_")}
    return inherited | {"no_proxy": "127.0.0.1"} | more


def tracker(*args: object, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tracker", *map(str, args)]
    return subprocess.run(
        command, cwd=cwd, env=environment(**env), capture_output=True, text=True, timeout=120
    )


@contextmanager
def served(url: str, cwd: Path) -> Iterator[str]:
    """`tracker serve` as a process; ended as systemd does it."""
    command = [sys.executable, "-m", "tracker", "--db", url, "serve", "--port", "0"]
    with (cwd / "serve.log").open("w+") as log:
        process = subprocess.Popen(command, cwd=cwd, env=environment(), stdout=PIPE, stderr=log)
        assert process.stdout is not None
        try:
            line = process.stdout.readline().decode()
            assert line.startswith("Pacekeeper API: http://"), (cwd / "serve.log").read_text()
            yield line.split()[-1]
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) in (0, 128 + signal.SIGTERM)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


@pytest.mark.postgres  # what a service stands on; the tests below push to SQLite
def test_a_push_from_a_runner_leaves_the_rows_of_a_local_ingest(
    postgres_url: str, tmp_path: Path
) -> None:
    home = project(tmp_path)
    local = f"sqlite:///{tmp_path}/local.db"
    readable = READERS / "llama-bench.json"
    given = ("--project", "toy", "--commit", "c" * 40, "--committed-at", "2026-01-01T00:00Z",
             "--measured-at", "2026-01-02T00:00Z", "--machine", "m")  # fmt: skip
    for words in ((home,), (readable, *given)):
        done = tracker("--db", local, "ingest", *words, "--json", cwd=home)
        assert done.returncode == 0, done.stderr
    made = tracker(
        "--db", postgres_url, "token", "create", "runner", "--project", "toy",
        "--scope", "ingest", "--scope", "settings", cwd=tmp_path,
    )  # fmt: skip
    token = made.stdout.strip()
    with served(postgres_url, tmp_path) as address:

        def push(*words: object) -> subprocess.CompletedProcess[str]:
            return tracker(
                "ingest", *words, "--to", address, "--json", cwd=home, PACEKEEPER_TOKEN=token
            )

        first = push(home)
        assert first.returncode == 0, first.stderr
        report = json.loads(first.stdout)
        assert (report["added"], report["unchanged"], report["problems"]) == (10, 0, 1)
        second = json.loads(push(home).stdout)
        assert (second["added"], second["unchanged"]) == (0, 10)
        assert push(readable, *given).returncode == 0
        elsewhere = push(readable, *given, "--project", "other")
        assert (elsewhere.returncode, "for project 'toy' only" in elsewhere.stderr) == (5, True)
        wrong = tracker(
            "ingest", home, "--to", address, cwd=home, PACEKEEPER_TOKEN=token[:-1] + "-"
        )
        assert (wrong.returncode, "refuses the token" in wrong.stderr) == (2, True)
        assert token[13:] not in wrong.stderr + elsewhere.stderr
    missing = tracker("ingest", home, "--to", address, cwd=home)
    assert (missing.returncode, "set PACEKEEPER_TOKEN" in missing.stderr) == (2, True)
    with Store.open(local) as one, Store.open(postgres_url) as other:
        assert rows_of(one, tmp_path) == rows_of(other, tmp_path)


def pushed(url: str, token: str, home: Path) -> None:
    with PushingStore.to(url, token) as store:
        ingest_directory(store, home, project="engine")
        store.flush()


def test_a_lost_answer_is_asked_for_again_and_nothing_is_written_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracker.http_client.time.sleep", lambda seconds: None)
    home = project(tmp_path)
    lost = 0

    def losing(app):  # every first answer to a push is written, and lost
        async def handle(scope, receive, send):
            nonlocal lost
            if scope["method"] == "POST" and lost % 2 == 0:
                lost += 1

                async def swallow(message):
                    return None

                await app(scope, receive, swallow)
                # Told to come back, or cut off in the middle of the answer.
                status, length = (503, b"0") if lost % 4 == 1 else (200, b"99")
                headers = [(b"content-length", length)]
                await send({"type": "http.response.start", "status": status, "headers": headers})
                await send({"type": "http.response.body", "body": b""})
                return
            lost += scope["method"] == "POST"
            await app(scope, receive, send)

        return handle

    (tmp_path / "local").mkdir()
    with Store.open(f"sqlite:///{tmp_path}/local/store.db") as local:
        local.record_project("engine")
        ingest_directory(local, home, project="engine")
        with serving(tmp_path, prepare=lambda store: None) as service:
            with running(losing(service.app)) as url:
                pushed(url, service.token("ingest", "settings"), home)
            assert lost >= 4
            assert rows_of(service.store, tmp_path) == rows_of(local, tmp_path)


def test_the_same_key_gets_the_same_answer_and_another_body_is_refused(
    own_service: Service,
) -> None:
    measurement = {"benchmark": "b", "version": "1", "param_index": 0, "params": [],
                   "status": "ok", "value": 1.0}  # fmt: skip
    file = {"path": "x", "digest": "a" * 64, "format_version": 2, "machine": "m", "commit": "c",
            "committed_at": "2026-01-01T00:00:00Z", "env_name": "e", "python": None,
            "measurements": [measurement]}  # fmt: skip
    body = {"files": [{"file": file, "benchmarks": {}}]}
    with own_service.client(own_service.token("ingest")) as client:

        def push(content: object, key: str = "k") -> tuple[int, object]:
            answer = client.post(
                "/api/v1/results", params={"project": "engine"},
                headers={"Idempotency-Key": key}, json=content,
            )  # fmt: skip
            return answer.status_code, answer.json()

        first = push(body)
        assert (first[0], first[1][0]["added"]) == (200, 1)
        assert push(body) == first
        assert push(body, "other")[1][0]["unchanged"] == 1
        status, problem = push({"files": []})
        assert (status, "was used for another request" in problem["detail"]) == (409, True)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"value": None}, "/body/files/0/file/measurements/0/value"),
        ({"status": "failed"}, "/body/files/0/file/measurements/0/value"),
        ({"status": "fine"}, "/body/files/0/file/measurements/0/status"),
        ({"param_index": 2**31}, "/body/files/0/file/measurements/0/param_index"),
        ({"repeat": 2**63}, "/body/files/0/file/measurements/0/repeat"),
        ({"benchmark": "a\0b"}, "/body/files/0/file/measurements/0/benchmark"),
        ({"benchmark": "b" * 1201}, "/body/files/0/file/measurements/0/benchmark"),
        ({"started_at": "2026-01-01T00:00:00"}, "/body/files/0/file/measurements/0/started_at"),
        (
            {"started_at": "0001-01-01T00:00:00+14:00"},
            "/body/files/0/file/measurements/0/started_at",
        ),
        ({"valeu": 1.0}, "/body/files/0/file/measurements/0/valeu"),
        ({"digest": "x"}, "/body/files/0/file/digest"),
        ({"commit_url": "javascript:alert(1)"}, "/body/commit_url"),
        ({"metric_rules": [{"pattern": "("}]}, "/body/metric_rules/0/pattern"),
        ({"format": 2}, "/body/format"),
    ],
)
def test_what_the_store_cannot_hold_is_named(
    service: Service, change: dict[str, object], pointer: str
) -> None:
    measurement = {"benchmark": "b", "version": "1", "param_index": 0, "params": [],
                   "status": "ok", "value": 1.0}  # fmt: skip
    file = {"path": "x", "digest": "a" * 64, "format_version": 2, "machine": "m", "commit": "c",
            "committed_at": "2026-01-01T00:00:00Z", "env_name": "e", "python": None}  # fmt: skip
    body: dict[str, object] = {}
    ((name, value),) = change.items()
    if "/measurements/" in pointer:
        measurement[name] = value
    elif "/files/" in pointer:
        file[name] = value
    else:
        body[name] = value
    body["files"] = [{"file": {**file, "measurements": [measurement]}, "benchmarks": {}}]
    token = service.token("ingest", "settings")
    before = service.bytes()
    with service.client(token) as client:
        answer = client.post(
            "/api/v1/results", params={"project": "engine"},
            headers={"Idempotency-Key": "k"}, json=body,
        )  # fmt: skip
    assert answer.status_code == 422
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    assert service.bytes() == before


def test_a_push_that_is_too_large_is_sent_in_halves(tmp_path: Path) -> None:
    home = project(tmp_path, files=8)
    limits = Limits(body=6000, rate=1e6, burst=10**6)
    with serving(tmp_path, limits=limits, prepare=lambda store: None) as service:
        pushed(service.url, service.token("ingest", "settings"), home)
        with Store.open("sqlite://") as local:
            local.record_project("engine")
            ingest_directory(local, home, project="engine")
            assert rows_of(service.store, tmp_path) == rows_of(local, tmp_path)


def test_a_token_without_settings_leaves_the_projects_rules(own_service: Service, tmp_path) -> None:
    home = project(tmp_path)
    with PushingStore.to(own_service.url, own_service.token("ingest")) as store:
        ingest_directory(store, home, project="engine")
        store.flush()
        assert store.withheld == {"the commits' address"}


def test_what_is_no_service_is_named(tmp_path: Path) -> None:
    with pytest.raises(ApiError, match="no https address"):
        PushingStore.to("http://example.org", "pkt_x")
    with pytest.raises(UsageError, match="PACEKEEPER_TOKEN"):
        PushingStore.to("https://example.org", "")


def test_a_store_that_is_gone_is_a_503_without_its_address(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path}/store.db") as store, running(make_app(store)) as url:
        service = Service(url, None, store, tmp_path / "store.db")
        token = service.token("read")
        store.close()
        service.file.unlink()
        service.file.mkdir()
        with service.client(token) as client:
            answer = client.get("/api/v1/projects")
    assert answer.status_code == 503
    assert not re.search(r"sqlite|store\.db", answer.text)
