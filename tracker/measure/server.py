"""Launches of a server: started for one commit, driven over HTTP, stopped."""

from __future__ import annotations

import re
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import Any

from tracker.artifacts import read_launches
from tracker.domain import BenchmarkInfo, Measurement, ResultFile, ResultStatus
from tracker.errors import MeasurementError
from tracker.load.catalogue import CATALOGUE
from tracker.load.http import Endpoint
from tracker.load.run import LoadResult, run_scenario
from tracker.load.scenario import Scenario
from tracker.load.spec import scenario_of
from tracker.measure.guard import GRACE, guarded
from tracker.measure.launch import FailedBenchmark, LaunchResult, OnLine
from tracker.measure.machine import describe_machine
from tracker.measure.process import MARK
from tracker.measure.project import MeasuredProject
from tracker.measure.settings import MeasureSettings
from tracker.measure.site import LaunchSite
from tracker.measure.worktree_runner import WorktreeRunner, matching

__all__ = ["ServerRunner"]

_POLL = 0.05
_ASK_SECONDS = 5.0  # for one answer of a server that may hang
_LOG_LINES = 8
_MOST_KEPT = 2  # one server for each arm


class ServerRunner(WorktreeRunner):
    """Starts `[measure] command` for a commit, drives the scenarios against it, and stops it.

    With `url` and `deploy` it brings the commit to a server that others run. Without `keep_up` no
    two servers are up at once.

    A load ends by the limits of its scenarios; `timeout` is that of a build or a deployment.
    """

    def __init__(self, project: MeasuredProject, settings: MeasureSettings, **options: Any) -> None:
        super().__init__(project, settings, **options)
        self._scenarios = {
            name: scenario_of(name, table) for name, table in settings.scenarios.items()
        }
        self._kept: dict[str, _Server] = {}  # by commit

    def _measure(
        self, site: LaunchSite, bench: Sequence[str], on_line: OnLine | None
    ) -> LaunchResult:
        (described,) = self.project.repository.describe([site.commit])
        started = datetime.now(UTC)
        with self._serving(site, on_line) as (url, log):
            loads = self._drive(site, url, log, bench)
        launches, unread = read_launches(site.folder / "artifacts")
        measured = [_measurements(name, self._scenarios[name], load) for name, load in loads]
        file = ResultFile(
            path=str(site.folder),
            digest=uuid.uuid4().hex,
            format_version=0,
            machine=self.machine,
            commit=site.commit,
            committed_at=described.committed_at,
            env_name=self._settings.environment or "server",
            python=None,
            measurements=tuple(
                replace(m, started_at=started)
                for _, measurements, _ in measured
                for m in measurements
            ),
        )
        result = LaunchResult(
            commit=site.commit,
            directory=site.folder,
            file=file,
            benchmarks={name: info for infos, _, _ in measured for name, info in infos.items()},
            machine=describe_machine(self.machine),
            launches=tuple(launches),
            failures=tuple(failure for _, _, failures in measured for failure in failures),
            unread=tuple(unread),
        )
        return matching(result, bench)

    def clean(self) -> None:
        """Stop what was kept up; remove old worktrees and launch folders."""
        for server in self._kept.values():
            server.stop()
        self._kept.clear()
        super().clean()

    @contextmanager
    def _serving(self, site: LaunchSite, on_line: OnLine | None) -> Iterator[tuple[str, Path]]:
        """Yield the URL that serves the commit, and the log of what serves it."""
        settings = self._settings
        if settings.url is not None:
            deploy = (settings.deploy or "").replace("{commit}", quote(site.commit))
            self._run_shell("the deployment", deploy, site, on_line)
            server = _Server(settings.url.rstrip("/"), site.log, None)
            server.wait_until_ready(site.commit, settings.ready, settings.ready_timeout)
            yield server.url, site.log
            return
        running = self._kept.get(site.commit)
        if running is None or not running.is_up:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.pop(next(iter(self._kept))).stop()
            running = _start(site, settings.command or "")
        try:
            running.wait_until_ready(site.commit, settings.ready, settings.ready_timeout)
            yield running.url, running.log
        except BaseException:
            self._kept.pop(site.commit, None)
            running.stop()
            raise
        if settings.keep_up:
            self._kept[site.commit] = running
        else:
            running.stop()

    def _drive(
        self, site: LaunchSite, url: str, log: Path, bench: Sequence[str]
    ) -> list[tuple[str, LoadResult]]:
        endpoint = Endpoint(
            url=url,
            model=self._settings.model,
            api=self._settings.api,
            server_args=self._settings.command,
            server_is_measured=True,
        )
        loads: list[tuple[str, LoadResult]] = []
        for name, scenario in self._scenarios.items():
            if bench and not any(
                re.search(pattern, f"{name}.{metric}") for pattern in bench for metric in CATALOGUE
            ):
                continue
            try:
                load = run_scenario(
                    name,
                    scenario,
                    endpoint,
                    directory=site.folder / "artifacts",
                    device_hour=self._settings.device_hour,
                )
            except MeasurementError as error:
                raise MeasurementError(
                    f"{site.commit[:8]}: scenario {name}: {error}{_end_of(log)}",
                    log=log,
                ) from None
            loads.append((name, load))
        if not loads:
            known = ", ".join(self._scenarios)
            raise MeasurementError(
                f"{site.commit[:8]}: no metric matches --bench {' '.join(map(repr, bench))}; the "
                f"scenarios are: {known}"
            )
        return loads


@dataclass(slots=True)
class _Server:
    """A server that answers, or will.

    Attributes:
        url: Without a final slash.
        log: What it writes.
        process: Its guard; None where others run it.
    """

    url: str
    log: Path
    process: subprocess.Popen[bytes] | None

    @property
    def is_up(self) -> bool:
        return self.process is None or self.process.poll() is None

    def wait_until_ready(self, commit: str, path: str, limit: float) -> None:
        """Return once `path` answers 200.

        Raises:
            MeasurementError: The server ended, or the time is over; with the end of its log.
        """
        deadline = time.monotonic() + limit
        answer = "no answer"
        while True:
            if not self.is_up:
                code = self.process.returncode if self.process is not None else None
                raise MeasurementError(
                    f"{commit[:8]}: the server ended with exit code {code} before it was ready"
                    f"{_end_of(self.log)}",
                    log=self.log,
                )
            left = deadline - time.monotonic()
            if left <= 0:
                raise MeasurementError(
                    f"{commit[:8]}: the server was not ready after {limit:g} s ({self.url}{path}: "
                    f"{answer}); raise [measure] ready_timeout, or state its path as ready"
                    f"{_end_of(self.log)}",
                    log=self.log,
                )
            try:
                with urllib.request.urlopen(
                    f"{self.url}{path}", timeout=max(0.1, min(left, _ASK_SECONDS))
                ) as response:
                    if response.status == 200:
                        return
                    answer = f"status {response.status}"
            except urllib.error.HTTPError as error:
                answer = f"status {error.code}"
            except OSError as error:
                answer = str(getattr(error, "reason", error))
            time.sleep(min(_POLL, max(0.0, left)))

    def stop(self) -> None:
        """End the server and everything that it started."""
        if self.process is None:
            return
        if self.process.stdin is not None:
            with suppress(OSError):
                self.process.stdin.close()
        try:
            self.process.wait(GRACE * 2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _start(site: LaunchSite, command: str) -> _Server:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with site.log.open("ab") as output:
        process = subprocess.Popen(
            guarded(command.replace("{port}", str(port)).replace("{commit}", quote(site.commit))),
            cwd=site.tree,
            env={**site.environment, MARK: uuid.uuid4().hex},
            stdin=subprocess.PIPE,  # it ends when this closes, also because this process ended
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return _Server(f"http://127.0.0.1:{port}", site.log, process)


def _measurements(
    name: str, scenario: Scenario, load: LoadResult
) -> tuple[dict[str, BenchmarkInfo], list[Measurement], list[FailedBenchmark]]:
    """Return the metrics of a load; those of a void load that need clean requests have failed.

    Where the client was the limit they are skipped instead: that is no failure of the commit.
    """
    infos: dict[str, BenchmarkInfo] = {}
    measurements: list[Measurement] = []
    failures: list[FailedBenchmark] = []
    for metric in CATALOGUE.values():
        value = load.metrics.get(metric.name)
        if value is None:
            continue
        benchmark = f"{name}.{metric.name}"
        version = f"{scenario.version}.{metric.version}"
        # How late the client was says nothing of the commit: shown, never judged.
        better = None if metric.name.startswith("client_") else metric.better
        infos[benchmark] = BenchmarkInfo(
            benchmark, version, "track", metric.unit, better, metric.kind
        )
        void = load.void if metric.clean else None
        status: ResultStatus = (
            "ok" if void is None else "skipped" if load.client_bound else "failed"
        )
        if status == "failed":
            failures.append(FailedBenchmark(benchmark, f"not valid: {void}"))
        measurements.append(
            Measurement(
                benchmark=benchmark,
                version=version,
                param_index=0,
                params=(),
                status=status,
                value=value if void is None else None,
            )
        )
    return infos, measurements, failures


def _end_of(log: Path) -> str:
    """The last lines of a log, to stand behind an error."""
    try:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        lines = []
    if not lines:
        return f" (its log is empty: {log})"
    shown = "\n".join(f"    {line}" for line in lines[-_LOG_LINES:])
    return f"; its log ends ({log}):\n{shown}"
