"""Result files into the store, one after the other: what is read stays, whatever follows.

A few files are one transaction. A process that is killed leaves whole files behind, and the next
ingest continues there; two at once lose nothing. A file that was read whole is not read again while
its size and time of change stay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tracker.asvfmt import (
    FILE_NAME,
    Benchmarks,
    find_project,
    list_machine_files,
    list_result_files,
    read_benchmarks,
    read_machines,
)
from tracker.domain import (
    Fingerprint,
    MachineInfo,
    NewRun,
    Problem,
    ResultFile,
    RevisionRecord,
)
from tracker.errors import UsageError
from tracker.measure.git import Commit, Repository
from tracker.readers import Given, Reading, read_file
from tracker.readers.asv import AsvReader
from tracker.seen import Look, Memory
from tracker.store import Store, queries
from tracker.store.queries.measured import commits_to_describe, seen_files

__all__ = ["IngestReport", "commit_finder", "ingest_directory", "ingest_file"]

Progress = Callable[[int, int], None]

# So many machines with one result file each, and hardly any other: runners with names of a day.
_EPHEMERAL = 3
_BATCH_RESULTS = 10_000  # in one transaction


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What an ingest did.

    Attributes:
        project: Name it went under.
        path: The directory or file that was read.
        files: Result files read, whether or not they held anything new.
        added: Results that are new in the store.
        unchanged: Results that stood there already.
        problems: What could not be read.
        warnings: What was read, and is probably not what was meant.
    """

    project: str
    path: str
    files: int
    added: int
    unchanged: int
    problems: tuple[Problem, ...]
    warnings: tuple[str, ...] = ()

    @property
    def problems_by_reason(self) -> dict[str, int]:
        """How often each reason occurs, the most frequent first."""
        return dict(Counter(problem.reason for problem in self.problems).most_common())


def ingest_directory(
    store: Store,
    path: str | Path,
    *,
    project: str | None = None,
    given: Given | None = None,
    repository: Repository | None = None,
    progress: Progress | None = None,
) -> IngestReport:
    """Read the asv results at `path` into the store.

    Args:
        store: Where they go.
        path: A results directory, or an asv project's directory.
        project: Name to store them under; None: as `tracker.asvfmt.find_project` finds.
        given: What goes before what the files say, such as one machine for all.
        repository: Where the parents of the measured commits are looked up. Commit times alone do
            not order commits that a rebase gave one date.
        progress: Called with (files done, files in all).

    Raises:
        UsageError: `path` is no directory.
        StoreError: The database failed; every file before stays.
    """
    path = Path(path)
    if not path.exists():
        raise UsageError(f"{path}: no such directory")
    if not path.is_dir():
        raise UsageError(f"{path}: not a directory; give the results directory")
    asv_project = find_project(path)
    name = project or asv_project.name
    problems = [] if asv_project.problem is None else [asv_project.problem]
    if not asv_project.results_dir.is_dir():
        problems.append(Problem(str(asv_project.results_dir), "no results directory there"))
        return IngestReport(name, str(asv_project.results_dir), 0, 0, 0, tuple(problems))

    given = given or Given()
    files, problems_found = list_result_files(asv_project.results_dir)
    memory = Memory(given, seen_files(store, name))
    looks = [memory.look(file) for file in files]
    new = [look for look in looks if look.before is None]
    descriptions = [
        asv_project.results_dir / FILE_NAME,
        *list_machine_files(asv_project.results_dir),
    ]
    changed = [
        look
        for file in descriptions
        if file.exists() and (look := memory.look(file)).before is None
    ]
    machines: list[MachineInfo] = []
    benchmarks = Benchmarks()
    if new or changed:
        machines, bad_machines = read_machines(asv_project.results_dir)
        benchmarks = read_benchmarks(asv_project.results_dir)
        problems_found += [*bad_machines, *benchmarks.problems]
    # The same directory could not be read twice over: once for files, once for machines.
    problems += dict.fromkeys(problems_found)
    if not files:  # a mistyped path must not leave a project behind
        return IngestReport(name, str(asv_project.results_dir), 0, 0, 0, tuple(problems))

    store.record_project(name, commit_url=asv_project.commit_url)
    if given.machine is None:
        for machine in machines:
            store.record_machine(name, machine)
    store.record_benchmarks(name, benchmarks.infos.values())
    if not problems:
        for look in changed:
            memory.learn(look, 0, None)
    done = _Done(problems)
    batch = _Batch(store, name, done, memory)
    reader = AsvReader(benchmarks)
    for number, look in enumerate(looks, start=1):
        if look.before is not None:
            done.files += 1
            done.unchanged += look.before.num_results
        else:
            batch.add(reader.read(Path(look.path), given), look)
        if progress is not None:
            progress(number, len(files))
    batch.write()
    _ask_git(store, name, repository)
    store.record_problems(name, problems)
    places = [str(asv_project.results_dir), str(path.resolve() / "asv.conf.json")]
    store.forget_problems(name, places, keep=problems)
    return done.report(name, asv_project.results_dir)


def ingest_file(
    store: Store,
    path: Path,
    *,
    project: str,
    given: Given | None = None,
    format: str | None = None,  # noqa: A002
    repository: Repository | None = None,
) -> IngestReport:
    """Read one result file of any format that `tracker.readers` knows into the store.

    Args:
        store: Where it goes.
        path: The file.
        project: Name to store it under; a file that holds nothing readable makes no project.
        given: What goes before what the file says, or what it lacks.
        format: Name of its format; None: by its content.
        repository: Where the measured commits are looked up.

    Raises:
        UsageError: No such format.
        StoreError: The database failed.
    """
    reading = read_file(path, given, format=format)
    done = _Done(list(reading.problems))
    if reading.files:
        store.record_benchmarks(project, reading.benchmarks.values())
        batch = _Batch(store, project, done)
        batch.add(Reading(reading.files, reading.benchmarks))
        batch.write()
        _ask_git(store, project, repository)
    if reading.files or any(info.name == project for info in queries.list_projects(store)):
        store.record_problems(project, done.problems)
        store.forget_problems(project, [str(path)], keep=done.problems)
    return done.report(project, path)


def commit_finder(repository: Repository) -> Callable[[str], RevisionRecord | None]:
    """Return what looks a commit up by its hash, or by the beginning of one."""

    def find(commit: str) -> RevisionRecord | None:
        try:
            (described,) = repository.describe([repository.resolve(commit)])
        except UsageError:
            return None
        return _record(described)

    return find


@dataclass(slots=True)
class _Done:
    """What has been recorded so far."""

    problems: list[Problem]
    files: int = 0
    added: int = 0
    unchanged: int = 0
    files_of: Counter[str] = field(default_factory=Counter)  # by machine

    def report(self, project: str, path: Path) -> IngestReport:
        warnings = []
        single = sum(times == 1 for times in self.files_of.values())
        if single >= _EPHEMERAL and single > 0.8 * len(self.files_of):
            warnings.append(
                f"{single} machines with one result file each ({', '.join(sorted(self.files_of)[:3])}, "
                "...), which makes a history of one point for each: if these are the runners of a "
                "pool, read them as one machine: --machine NAME"
            )
        return IngestReport(
            project,
            str(path),
            self.files,
            self.added,
            self.unchanged,
            tuple(self.problems),
            tuple(warnings),
        )


@dataclass(slots=True)
class _Batch:
    """Files on their way into the store: several share a transaction, which costs more than a file.

    A crash loses those of the batch, which the next ingest reads again.
    """

    store: Store
    project: str
    done: _Done
    memory: Memory | None = None
    _runs: list[NewRun] = field(default_factory=list)
    _looks: list[Look | None] = field(default_factory=list)
    _num_results: int = 0

    def add(self, reading: Reading, look: Look | None = None) -> None:
        """Take what a file holds; with `look` it is remembered if it has no problem."""
        self.done.problems += reading.problems
        clean = look if not reading.problems and len(reading.files) == 1 else None
        for file in reading.files:
            self._runs.append(NewRun(file, reading.benchmarks, fingerprint=_fingerprint(file)))
            self._looks.append(clean)
            self._num_results += len(file.measurements)
        if self._num_results >= _BATCH_RESULTS:
            self.write()

    def write(self) -> None:
        """Write what is waiting."""
        recorded = self.store.record_runs(self.project, self._runs) if self._runs else []
        for run, look, result in zip(self._runs, self._looks, recorded, strict=True):
            self.done.files += 1
            self.done.added += result.added
            self.done.unchanged += result.unchanged
            self.done.problems += result.problems
            self.done.files_of[run.file.machine] += 1
            if self.memory is not None and look is not None and not result.problems:
                self.memory.learn(look, len(run.file.measurements), run.file.digest)
        if self.memory is not None and self.memory.learned:
            self.store.record_seen(self.project, self.memory.learned)
            self.memory.learned.clear()
        self._runs, self._looks, self._num_results = [], [], 0


def _ask_git(store: Store, project: str, repository: Repository | None) -> None:
    """Record what git knows of commits that it was not asked for, and of those that link them."""
    if repository is None:
        return
    store.record_revisions(
        project,
        [_record(commit) for commit in repository.linked(commits_to_describe(store, project))],
    )


def _record(commit: Commit) -> RevisionRecord:
    return RevisionRecord(
        commit.hash,
        commit.committed_at,
        commit.parents,
        commit.subject,
        author=commit.author,
    )


def _fingerprint(file: ResultFile) -> Fingerprint | None:
    """Return what the file says of the machine and its software, or None where it says nothing."""
    machine = file.machine_fields
    num_cpu = machine.get("num_cpu", "")
    # An existing environment's "python" is the path of its interpreter, which says nothing.
    python = file.python if file.python and not {"/", "\\"} & set(file.python) else None
    if python == "same":
        python = None
    extra = file.requirements | file.env_vars
    if python is None and file.env_name:
        # All that distinguishes existing interpreters; their series is the same.
        extra = extra | {"environment": file.env_name}
    fingerprint = Fingerprint(
        python=python,
        cpu=machine.get("cpu") or None,
        num_cpu=int(num_cpu) if num_cpu.isdecimal() else None,
        os=machine.get("os") or None,
        extra=tuple(sorted(extra.items())),
    )
    return None if fingerprint == Fingerprint() else fingerprint
