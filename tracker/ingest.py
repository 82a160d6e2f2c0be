"""A results directory into the store, file by file: what is read stays, whatever follows.

One file is one transaction. A process that is killed leaves whole files behind, and the next
ingest goes on where it stopped; two at once lose nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tracker.artifacts import read_launches
from tracker.asvfmt import (
    find_project,
    infer_benchmark,
    list_result_files,
    read_benchmarks,
    read_machines,
    read_result_file,
)
from tracker.domain import (
    Arm,
    BenchmarkInfo,
    Fingerprint,
    Launch,
    Problem,
    ResultFile,
    RunSource,
)
from tracker.errors import UsageError
from tracker.store import Store

# A launch belongs to the run whose benchmark started this close to it.
LAUNCH_WINDOW = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What an ingest did.

    Attributes:
        project: Name it went under.
        path: The results directory that was read.
        files: Result files read, whether or not they held anything new.
        added: Results that are new in the store.
        unchanged: Results that stood there already.
        problems: What could not be read.
        launches: Launch artifacts that were attached to a run.
    """

    project: str
    path: str
    files: int
    added: int
    unchanged: int
    problems: tuple[Problem, ...]
    launches: int = 0

    @property
    def problems_by_reason(self) -> dict[str, int]:
        """How often each reason occurs, the most frequent first."""
        return dict(Counter(problem.reason for problem in self.problems).most_common())


def ingest_directory(
    store: Store,
    path: str | Path,
    *,
    project: str | None = None,
    source: RunSource = "ingest",
    fingerprint: Fingerprint | None = None,
    artifacts: str | Path | None = None,
    gate_id: str | None = None,
    pair: int | None = None,
    arm: Arm | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> IngestReport:
    """Read the asv results at `path` into the store.

    Args:
        store: Where they go.
        path: A results directory, or an asv project's directory.
        project: Name to store them under; None: as `tracker.asvfmt.find_project` finds.
        source: Who measured.
        fingerprint: Of the machine; None: from the launch artifacts, else from the files.
        artifacts: Directory of launch artifacts to attach.
        gate_id: Gate they were measured for, with `pair` and `arm`.
        pair: Number of the gate's pair.
        arm: Side of the gate's pair.
        progress: Called with (files done, files in all).

    Raises:
        UsageError: `path` is no directory, or the gate does not exist.
        StoreError: The database failed; every file before stays.
    """
    path = Path(path)
    if not path.exists():
        raise UsageError(f"{path}: no such directory")
    if not path.is_dir():
        raise UsageError(f"{path}: not a directory; give the results directory")
    found = find_project(path)
    name = project or found.name
    problems = [] if found.problem is None else [found.problem]
    if not found.results_dir.is_dir():
        problems.append(Problem(str(found.results_dir), "no results directory there"))
        return IngestReport(name, str(found.results_dir), 0, 0, 0, tuple(problems))

    files, unlisted = list_result_files(found.results_dir)
    machines, bad_machines = read_machines(found.results_dir)
    benchmarks = read_benchmarks(found.results_dir)
    launches: list[Launch] = []
    if artifacts is not None:
        launches, bad_launches = read_launches(Path(artifacts))
        problems += bad_launches
    # The same directory could not be read twice over: once for files, once for machines.
    problems += dict.fromkeys((*unlisted, *bad_machines, *benchmarks.problems))

    if not files:  # a mistyped path must not leave a project behind
        return IngestReport(name, str(found.results_dir), 0, 0, 0, tuple(problems))

    store.record_project(name, commit_url=found.commit_url)
    for machine in machines:
        store.record_machine(name, machine)
    store.record_benchmarks(name, benchmarks.infos.values())

    num_files = added = unchanged = num_launches = 0
    for done, file_path in enumerate(files, start=1):
        file = read_result_file(file_path)
        if isinstance(file, Problem):
            problems.append(file)
        else:
            own = _launches_of(file, launches, alone=len(files) == 1)
            recorded = store.record_file(
                name,
                file,
                benchmarks=_described(file, benchmarks.infos),
                source=source,
                fingerprint=fingerprint or _fingerprint(file, own),
                launches=own,
                gate_id=gate_id,
                pair=pair,
                arm=arm,
            )
            num_files += 1
            num_launches += len(own)
            added += recorded.added
            unchanged += recorded.unchanged
            problems += file.problems
            problems += recorded.problems
        if progress is not None:
            progress(done, len(files))
    store.record_problems(name, problems)
    places = [str(found.results_dir), str(path.resolve() / "asv.conf.json")]
    if artifacts is not None:
        places.append(str(artifacts))
    store.forget_problems(name, places, keep=problems)
    return IngestReport(
        project=name,
        path=str(found.results_dir),
        files=num_files,
        added=added,
        unchanged=unchanged,
        problems=tuple(problems),
        launches=num_launches,
    )


def _described(file: ResultFile, infos: Mapping[str, BenchmarkInfo]) -> dict[str, BenchmarkInfo]:
    """Return what is known of the file's benchmarks, from the name where nothing else says."""
    return {
        m.benchmark: infos.get(m.benchmark) or infer_benchmark(m.benchmark, m.version)
        for m in file.measurements
    }


def _launches_of(file: ResultFile, launches: Sequence[Launch], *, alone: bool) -> list[Launch]:
    """Return the launches whose class the file holds, measured at about that time."""
    if not launches:
        return []
    starts: dict[str, datetime | None] = {}
    for m in file.measurements:
        starts.setdefault(m.benchmark.rpartition(".")[0], m.started_at)
    return [
        launch
        for launch in launches
        if launch.benchmark in starts and (alone or _is_near(launch, starts[launch.benchmark]))
    ]


def _is_near(launch: Launch, started_at: datetime | None) -> bool:
    try:
        launched_at = datetime.fromisoformat(str(launch.header.get("started_at")))
    except ValueError:
        return False
    if launched_at.tzinfo is None:
        launched_at = launched_at.replace(tzinfo=UTC)
    return started_at is not None and abs(started_at - launched_at) <= LAUNCH_WINDOW


def _fingerprint(file: ResultFile, launches: Sequence[Launch]) -> Fingerprint | None:
    """Return what launch and file know together; the launch looked closer, so it wins."""
    python_is_known = bool(launches) and launches[0].fingerprint.python is not None
    of_file = _fingerprint_of_file(file, python_is_known=python_is_known)
    if not launches:
        return None if of_file == Fingerprint() else of_file
    launched = launches[0].fingerprint
    gaps = {
        field.name: getattr(of_file, field.name)
        for field in fields(Fingerprint)
        if getattr(launched, field.name) is None
    }
    extra = dict(of_file.extra) | dict(launched.extra)
    return replace(launched, **gaps, extra=tuple(sorted(extra.items())))


def _fingerprint_of_file(file: ResultFile, *, python_is_known: bool) -> Fingerprint:
    machine = file.machine_fields
    num_cpu = machine.get("num_cpu", "")
    # An existing environment's "python" is the path of its interpreter, which says nothing.
    python = file.python if file.python and not {"/", "\\"} & set(file.python) else None
    if python == "same":
        python = None
    extra = file.requirements | file.env_vars
    if python is None and not python_is_known and file.env_name:
        # All that tells one existing interpreter from another; their series is the same.
        extra = extra | {"environment": file.env_name}
    return Fingerprint(
        python=python,
        cpu=machine.get("cpu") or None,
        num_cpu=int(num_cpu) if num_cpu.isdecimal() else None,
        os=machine.get("os") or None,
        extra=tuple(sorted(extra.items())),
    )
