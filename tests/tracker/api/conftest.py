"""The service on a real socket, over a store with a history, a finding, a gate and an alert."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import uvicorn

from tests.tracker.alerts.samples import verdict
from tests.tracker.changepoints.histories import noisy, revision
from tests.tracker.changepoints.stores import STEPS, TTFT, record_history
from tracker.alerts import AlertsConfig, notify
from tracker.api.app import make_app
from tracker.api.entrance import Limits
from tracker.api.tokens import new_token
from tracker.changepoints import analyze
from tracker.store import Store

ENDLESS = Limits(rate=1e6, burst=10**6, refused_rate=1e6, refused_burst=10**6)


@dataclass
class Service:
    """A running service, its store and its file."""

    url: str
    app: object
    store: Store
    file: Path

    def token(
        self,
        *scopes: str,
        project: str | None = "engine",
        lifetime: timedelta = timedelta(days=1),
        now: datetime | None = None,
    ) -> str:
        made = new_token("test", scopes, project, now=now or datetime.now(UTC), lifetime=lifetime)
        self.store.record_token(made.info, digest=made.digest)
        return made.text

    def client(self, token: str | None = None) -> httpx.Client:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, trust_env=False)

    def bytes(self) -> bytes:
        """The store's file and its write-ahead log."""
        log = self.file.with_name(self.file.name + "-wal")
        return self.file.read_bytes() + (log.read_bytes() if log.exists() else b"")


@contextmanager
def running(app: object) -> Iterator[str]:
    """Serve an ASGI application in a thread; yield its address."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        deadline = time.monotonic() + 30
        while not server.started:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        yield "http://{}:{}".format(*listening.getsockname())
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def fill(store: Store) -> None:
    """A project with a regression at commit 20, and another one that no test token opens."""
    series = {TTFT: noisy(0.010, 20) + noisy(0.012, 20), STEPS: [141] * 20 + [150] * 20}
    record_history(store, series)
    record_history(store, {STEPS: [7.0] * 3}, project="secret-other")
    store.record_project("engine", commit_url="https://example.org/c/{commit}")
    analyze(store)
    notify(store, "engine", AlertsConfig(console=False))
    base, head = revision(19).commit, revision(20).commit
    gate = store.begin_gate("engine", base=base, head=head, machine="gpu-1", policy={})
    verdicts = [verdict(TTFT.name, "regression", 0.2), verdict("bench.other", "pass", 0.0)]
    store.finish_gate(gate, 1, verdicts, 8, outcome="regression")


@contextmanager
def serving(
    folder: Path, *, limits: Limits = ENDLESS, prepare: Callable[[Store], None] = fill
) -> Iterator[Service]:
    file = folder / "store.db"
    with Store.open(f"sqlite:///{file}") as store:
        prepare(store)
        app = make_app(store, limits=limits, dashboard_url="https://dash.example.org/")
        with running(app) as url:
            yield Service(url, app, store, file)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Shared by the tests of a module that only read."""
    with serving(tmp_path_factory.mktemp("service")) as running_service:
        yield running_service


@pytest.fixture
def own_service(tmp_path: Path) -> Iterator[Service]:
    """For tests that write."""
    with serving(tmp_path) as running_service:
        yield running_service
