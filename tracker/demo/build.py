"""Measures the synthetic project: histories, gates, calibration, level shifts, alerts.

Only the launches are simulated. They go into the store, through the gate, the detector and the
alerts as those of a real project do.
"""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tracker.alerts import alert_for_gate, notify
from tracker.artifacts import FORMAT, read_launch
from tracker.calibrate import calibrate
from tracker.changepoints import analyze
from tracker.demo.engine import METRICS, Node, simulate, simulate_startup, simulate_sweep
from tracker.demo.launch import simulate_kernels, simulate_launch
from tracker.demo.repository import PROJECT, make_repository
from tracker.demo.story import LOGGED, NUM_COMMITS, PLACES, Place, engine_at
from tracker.demo.trace import simulate_trace
from tracker.domain import (
    BenchmarkInfo,
    Launch,
    MachineInfo,
    Measurement,
    ResultFile,
)
from tracker.errors import UsageError
from tracker.explain.differences import LEAST_PAIRS
from tracker.explain.run import explain_commits, keep
from tracker.gate.measured import gate_commits
from tracker.gate.policy_file import load_policy
from tracker.gate.progress import SilentProgress
from tracker.load.artifact import write_artifact
from tracker.measure.git import Commit
from tracker.measure.launch import FailedBenchmark, LaunchResult, OnLine
from tracker.measure.project import MeasuredProject, load_project
from tracker.measure.recorder import Recorder
from tracker.measure.worktree import state_dir
from tracker.store import Store, queries

__all__ = ["GATES", "Demo", "make_demo"]

# (base, head) by number of commit, from 0.
GATES = ((33, 34), (51, 52), (83, 84), (111, 112), (115, 116), (118, 119))
AA_GATES = 12
# Commits whose launches are kept in full, and those at which the sweep over concurrency was measured.
TRACED = frozenset({*(number for pair in GATES for number in pair), *range(110, 120)})
SWEPT = (0, 51, 87, 119)
STARTED_EVERY = 4  # commits between two at which a start was measured
STORE = "pacekeeper.db"
_BENCHMARKS: Mapping[str, BenchmarkInfo] = {metric.benchmark: metric.info for metric in METRICS}
_MEASURED_AFTER = timedelta(minutes=20)  # a commit


@dataclass(frozen=True, slots=True)
class Demo:
    """What was made.

    Attributes:
        directory: The project's checkout.
        store: The store's file.
        num_values: Values in the histories.
        gates: (id, head's subject, exit code), in order.
        num_alerts: Alerts that are open.
    """

    directory: Path
    store: Path
    num_values: int
    gates: tuple[tuple[str, str, int], ...]
    num_alerts: int


def make_demo(
    directory: Path,
    *,
    seed: int = 1,
    end: datetime,
    on_step: Callable[[str], None] = lambda step: None,
) -> Demo:
    """Make the project and its store in a new directory.

    Args:
        directory: Must not exist, or be empty.
        seed: Of all noise.
        end: When the newest commit was made. With the same seed and end the same is made, but for
            the moments at which gates ran and the ids they have.
        on_step: Called with what is done next.

    Raises:
        UsageError: The directory holds something, or git cannot be run.
        StoreError: The store cannot be written.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise UsageError(f"{directory} exists and is not empty; name another directory")
    directory = directory.resolve()
    on_step(f"{NUM_COMMITS} commits")
    repository, hashes = make_repository(directory, end)
    commits = repository.describe(hashes)
    project = load_project(start=directory)
    policy = load_policy(start=directory)
    path = directory / STORE
    with Store.open(f"sqlite:///{path}") as store:
        recorder = Recorder(store, PROJECT, repository, python=sys.executable)
        store.record_metric_rules(PROJECT, policy.metrics)
        recorder.commits(commits)
        num_values = 0
        for place in PLACES:
            on_step(f"launches on {place.machine}, {place.environment}")
            runner = DemoRunner(
                project,
                place,
                commits,
                seed=f"{seed} history",
                traces=state_dir(directory) / "demo",
            )
            for number, commit in enumerate(commits):
                if number % place.every == 0 or number == len(commits) - 1:
                    result = runner.launch(commit.hash, at=commit.committed_at + _MEASURED_AFTER)
                    recorder.launch(result, "run")
                    num_values += result.measured
                if place is PLACES[0] and (number % STARTED_EVERY == 0 or number in SWEPT):
                    beside = runner.beside(
                        commit.hash, at=commit.committed_at + 2 * _MEASURED_AFTER
                    )
                    recorder.launch(beside, "run")
                    num_values += beside.measured
        runner = DemoRunner(project, PLACES[0], commits, seed=f"{seed} gates")
        seeds = random.Random(seed)
        gates = []
        for base, head in GATES:
            on_step(f"gate of {commits[head].short}: {commits[head].subject}")
            report = gate_commits(
                recorder, runner, commits[base], commits[head], policy,
                listener=SilentProgress(), seed=seeds.randrange(2**31),
            )  # fmt: skip
            assert report.gate_id is not None
            gates.append((report.gate_id, commits[head].subject, report.exit_code))
        on_step(f"traces of {commits[LOGGED].short}")
        runner = TracedRunner(
            project, PLACES[0], commits, seed=f"{seed} traces", traces=state_dir(directory) / "demo"
        )
        keep(
            store,
            PROJECT,
            explain_commits(
                runner, PROJECT, commits[LOGGED - 1], commits[LOGGED],
                pairs=LEAST_PAIRS, seed=seed,
            ),
        )  # fmt: skip
        on_step(f"{AA_GATES} A/A gates")
        for _ in range(AA_GATES):
            gate_commits(
                recorder, runner, commits[-1], commits[-1], replace(policy, limits=()),
                listener=SilentProgress(), seed=seeds.randrange(2**31),
            )  # fmt: skip
        calibrate(recorder, runner, commits[-1], policy, gates=AA_GATES, listener=SilentProgress())
        on_step("level shifts and alerts")
        findings = analyze(store, project=PROJECT).findings
        quiet = replace(policy.alerts, console=False)
        for gate_id, _, _ in gates:
            alert_for_gate(store, queries.get_gate(store, gate_id), quiet)
        notify(store, PROJECT, quiet, findings=findings)
        num_alerts = len(queries.list_alerts(store, PROJECT, states=("open",)))
    return Demo(directory, path, num_values, tuple(gates), num_alerts)


class DemoRunner:
    """A runner whose launches are simulated.

    Args:
        project: The demo's.
        place: Machine and environment.
        commits: All of them, oldest first.
        seed: Of the noise, with the place's name.
        traces: Where the launches of `TRACED` commits are kept in full; None: nowhere.
    """

    python = sys.executable
    waited = 0.0
    bench: tuple[str, ...] = ()

    def __init__(
        self,
        project: MeasuredProject,
        place: Place,
        commits: Sequence[Commit],
        *,
        seed: str,
        traces: Path | None = None,
    ) -> None:
        self.project = project
        self._traces = traces
        self.machine = place.machine
        self._place = place
        self._commits = {commit.hash: (n, commit) for n, commit in enumerate(commits)}
        self._seed = f"{seed} {place.machine} {place.environment}"
        self._node = Node(self._seed)
        self._launches = 0

    def launch(
        self,
        commit: str,
        *,
        bench: Sequence[str] | None = None,
        on_line: OnLine | None = None,
        at: datetime | None = None,
    ) -> LaunchResult:
        """Return a simulated launch, as of `at`: now unless given."""
        number, described = self._commits[commit]
        machine, fingerprint = self._place.at(number)
        self._launches += 1
        values, speed = simulate(engine_at(number), machine, self._node)
        when = at or datetime.now(UTC) + timedelta(seconds=self._launches)
        digest = hashlib.sha256(f"{self._seed} {self._launches}".encode()).hexdigest()
        measurements = tuple(
            Measurement(
                benchmark=name,
                version="1",
                param_index=0,
                params=(),
                status="failed" if value is None else "ok",
                value=value,
                started_at=when,
            )
            for name, value in values.items()
        )
        control = {"gemm": 2.1e-3 * speed, "copy": 0.9e-3 * speed}
        launches = tuple(
            Launch(
                path="",
                digest=f"{digest}-{suite}",
                launch_id=f"{digest[:24]}-{suite}",
                benchmark=suite,
                fingerprint=fingerprint,
                header={
                    "control": {"before": control, "after": control},
                    "work": {"requests": 64, "output_tokens": 8192},
                    "metrics": {"error_rate": 0.0},
                },
            )
            for suite in dict.fromkeys(metric.suite for metric in METRICS)
        )
        if self._traces is not None and number in TRACED:
            launches = tuple(
                self._traced(launch, values) if launch.benchmark == "serving.Chat" else launch
                for launch in launches
            )
            kernels = simulate_kernels(self._place.device, random.Random(f"{digest} kernels"))
            launches += (
                Launch(
                    path="",
                    digest=f"{digest}-kernels",
                    launch_id=f"{digest[:24]}-kernels",
                    benchmark="kernels",
                    fingerprint=fingerprint,
                    header={"kernels": kernels},
                ),
            )
        failures = tuple(
            FailedBenchmark(name, "AttributeError: no attribute 'block_tables'")
            for name, value in values.items()
            if value is None
        )
        return self._result(described, digest, measurements, _BENCHMARKS, launches, failures)

    def beside(self, commit: str, *, at: datetime) -> LaunchResult:
        """Return what no gate measures: a simulated start, and at `SWEPT` commits the sweep."""
        number, described = self._commits[commit]
        machine, _ = self._place.at(number)
        chance = random.Random(f"{self._seed} sweep {number}")
        swept = simulate_sweep(engine_at(number), machine, chance) if number in SWEPT else ()
        points: list[tuple[BenchmarkInfo, tuple[str, ...], float]] = [
            (benchmark, (str(concurrency),), value) for benchmark, concurrency, value in swept
        ]
        order = list(dict.fromkeys(params for _, params, _ in points))
        points += [(info, (), value) for info, value in simulate_startup(machine, chance)]
        measurements = tuple(
            Measurement(
                benchmark=benchmark.name,
                version="1",
                param_index=order.index(params) if params else 0,
                params=params,
                status="ok",
                value=value,
                started_at=at,
            )
            for benchmark, params, value in points
        )
        digest = hashlib.sha256(f"{self._seed} sweep {number}".encode()).hexdigest()
        return self._result(described, digest, measurements, {i.name: i for i, _, _ in points})

    def _traced(self, launch: Launch, values: Mapping[str, float | None]) -> Launch:
        """Return the launch with its requests and telemetry, written to a file."""
        assert self._traces is not None
        ttft, tpot = (values[f"serving.Chat.track_{name}_p50"] for name in ("ttft", "tpot"))
        assert ttft is not None and tpot is not None
        simulated = simulate_launch(
            ttft=ttft, tpot=tpot, device=self._place.device, chance=random.Random(launch.digest)
        )
        facts = asdict(launch.fingerprint) | {"extra": dict(launch.fingerprint.extra)}
        header = {
            "record": "launch",
            "format": FORMAT,
            "launch_id": launch.launch_id,
            "benchmark": launch.benchmark,
            "fingerprint": facts,
            **launch.header,
            **simulated.facts,
        }
        written = read_launch(write_artifact(self._traces, header, simulated.lines))
        assert isinstance(written, Launch)
        return written

    def _result(
        self,
        commit: Commit,
        digest: str,
        measurements: tuple[Measurement, ...],
        benchmarks: Mapping[str, BenchmarkInfo],
        launches: tuple[Launch, ...] = (),
        failures: tuple[FailedBenchmark, ...] = (),
    ) -> LaunchResult:
        _, fingerprint = self._place.at(self._commits[commit.hash][0])
        return LaunchResult(
            commit=commit.hash,
            directory=self.project.repository.root,
            file=ResultFile(
                path=f"simulated launch {digest[:12]}",
                digest=digest,
                format_version=2,
                machine=self.machine,
                commit=commit.hash,
                committed_at=commit.committed_at,
                env_name=self._place.environment,
                python=fingerprint.python,
                measurements=measurements,
            ),
            benchmarks=benchmarks,
            machine=MachineInfo(
                self.machine,
                arch="synthetic",
                cpu=fingerprint.cpu,
                num_cpu=str(fingerprint.num_cpu),
                os=fingerprint.os,
            ),
            launches=launches,
            failures=failures,
            seconds=0.0,
        )

    def discover(self, commit: str) -> Mapping[str, BenchmarkInfo]:
        """Return the demo's metrics."""
        return _BENCHMARKS

    def clean(self) -> None:
        """Nothing is kept."""


class TracedRunner(DemoRunner):
    """Simulated launches of the decode suite alone, each with a trace of its commit's engine."""

    suite = "decode.Batch32"

    def launch(
        self,
        commit: str,
        *,
        bench: Sequence[str] | None = None,
        on_line: OnLine | None = None,
        at: datetime | None = None,
    ) -> LaunchResult:
        """Return a simulated launch whose folder holds a trace."""
        result = super().launch(commit, at=at)
        assert self._traces is not None
        folder = self._traces / result.file.digest[:24]
        source = folder / "engine.py"
        folder.mkdir(parents=True)
        source.write_text(self.project.repository.run("show", f"{commit}:engine.py"), "utf-8")
        simulate_trace(
            source, folder / "artifacts", self.suite,
            slow=self._node.next(), chance=random.Random(result.file.digest),
        )  # fmt: skip
        measurements = tuple(
            m for m in result.file.measurements if m.benchmark.startswith(f"{self.suite}.")
        )
        return replace(
            result, directory=folder, file=replace(result.file, measurements=measurements)
        )
