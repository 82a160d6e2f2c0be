"""Commits of a real repository measured without asv: a function from commit to values."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.tracker.gate.fakes import launch
from tracker.measure.git import Commit, Repository
from tracker.measure.launch import LaunchResult
from tracker.measure.project import load_project
from tracker.measure.recorder import Recorder
from tracker.store import Store

STEPS = "suite.A.track_steps"
TTFT = "suite.A.track_ttft"


class FakeRunner:
    """Stands in for a `Runner`: `measure` gives a commit's values, or raises."""

    machine = "lab"
    python = "python"
    waited = 0.0

    def __init__(self, root: Path, measure: Callable[[str, random.Random], dict[str, float]]):
        self.project = load_project(start=root)
        self.launches: list[tuple[str, tuple[str, ...]]] = []
        self._measure = measure
        self._random = random.Random(1)
        self._minutes = itertools.count()

    def launch(self, commit: str, *, bench: Sequence[str] | None = None) -> LaunchResult:
        self.launches.append((commit, tuple(bench or ())))
        values = self._measure(commit, self._random)
        if bench:
            values = {
                name: value
                for name, value in values.items()
                if any(re.search(pattern, name) for pattern in bench)
            }
        result = launch(commit, values)
        number = next(self._minutes)
        when = datetime.now(UTC) + timedelta(minutes=number)
        file = replace(
            result.file,
            digest=f"digest {number} {when}",
            machine=self.machine,
            measurements=tuple(replace(one, started_at=when) for one in result.file.measurements),
        )
        header = replace(result.launches[0], digest=file.digest)
        return replace(result, file=file, launches=(header,))

    def clean(self) -> None:
        pass


class NoisyNode(FakeRunner):
    """A node whose speed varies by 10 % from launch to launch; its control shows that, if it has one."""

    def __init__(
        self,
        root: Path,
        measure: Callable[[str, random.Random], dict[str, float]],
        *,
        has_control: bool,
    ):
        super().__init__(root, measure)
        self._has_control = has_control

    def launch(self, commit: str, *, bench: Sequence[str] | None = None) -> LaunchResult:
        result = super().launch(commit, bench=bench)
        speed = 2.0 ** self._random.gauss(0, 0.15)
        values = tuple(
            replace(m, value=m.value * speed if m.value is not None else None)
            for m in result.file.measurements
        )
        side = {"gemm": 1e-3 * speed, "copy": 1e-3}
        (one,) = result.launches
        header = one.header | (
            {"control": {"before": side, "after": side}} if self._has_control else {}
        )
        return replace(
            result,
            file=replace(result.file, measurements=values),
            launches=(replace(one, header=header),),
        )


def recorder(store: Store, root: Path) -> Recorder:
    return Recorder(store, "toy", Repository.find(root), python="python")


def commits(root: Path, spec: str) -> list[Commit]:
    return Repository.find(root).commits(spec)
