"""asv's result files, formats 1 and 2; `benchmarks.json` beside them describes the benchmarks."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from tracker.asvfmt import infer_benchmark, read_benchmarks, read_result_file
from tracker.asvfmt.benchmarks import Benchmarks
from tracker.domain import Problem, ResultFile
from tracker.readers.base import Given, Reading
from tracker.readers.content import has_keys

__all__ = ["READER", "AsvReader"]


@dataclass(frozen=True, slots=True)
class AsvReader:
    """Reads asv's result files.

    Args:
        benchmarks: What the results directory says of its benchmarks, where that is read
            already; None: it is read anew for each file.
    """

    benchmarks: Benchmarks | None = None
    name: str = "asv"

    def recognizes(self, path: Path, head: bytes) -> bool:
        return has_keys(head, "commit_hash", "results", "params")

    def read(self, path: Path, given: Given = Given()) -> Reading:  # noqa: B008
        """Return the one result file that `path` is, with its benchmarks described."""
        file = read_result_file(path)
        if isinstance(file, Problem):
            return Reading(problems=(file,))
        described = self.benchmarks
        problems = file.problems
        if described is None:
            described = read_benchmarks(path.parent.parent)
            problems += described.problems
        versions = {m.benchmark: m.version for m in file.measurements}
        infos = {
            name: described.infos.get(name) or infer_benchmark(name, version)
            for name, version in versions.items()
        }
        return Reading((_completed(file, given),), infos, problems)


def _completed(file: ResultFile, given: Given) -> ResultFile:
    """Return the file with what is given; another machine makes it another run."""
    if not any((given.commit, given.committed_at, given.machine, given.environment)):
        return file
    completed = replace(
        file,
        commit=given.commit or file.commit,
        committed_at=given.committed_at or file.committed_at,
        machine=given.machine or file.machine,
        env_name=given.environment or file.env_name,
    )
    if completed == file:
        return file
    identity = (file.digest, completed.commit, completed.machine, completed.env_name)
    return replace(completed, digest=hashlib.sha256(repr(identity).encode()).hexdigest())


READER = AsvReader()
