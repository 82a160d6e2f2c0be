"""Hardware counters of the guilty kernels: `ncu`, or `nsys` where that is all there is.

Both run around a whole launch of either commit. What a tool cannot say is absent, never 0.
"""

from __future__ import annotations

import csv
import re
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import which
from statistics import fmean
from typing import Literal

from tracker.domain import Arm
from tracker.errors import MeasurementError
from tracker.explain.explanation import Explained, Explanation, KernelCounter

__all__ = ["DeepError", "Tool", "find_tool", "guilty_kernels", "read_counters", "with_counters"]

_NCU = {  # name of the counter's metric: what it is called here
    "lts__t_sector_hit_rate.pct": "L2 hit rate",
    "sm__cycles_active.avg.pct_of_peak_sustained_elapsed": "SM active",
    "dram__throughput.avg.pct_of_peak_sustained_elapsed": "DRAM throughput",
}
_NSYS = (("SMs Active", "SM active"), ("DRAM", "DRAM throughput"))  # beginning of its name
_SKIPPED, _LAUNCHES = 200, 100  # kernels: those of the warm-up, then those that are replayed
_OP = re.compile(r"(aten|c10d?|torch|prims)::")  # an op of the host, no kernel
_ERROR = re.compile(r"^==ERROR==\s*(.+)$", re.MULTILINE)

Counters = Mapping[str, Mapping[str, float]]  # by kernel and name, as shares of the peak
Launch = Callable[[Arm, Sequence[str]], None]


class DeepError(MeasurementError):
    """A tool ran and gave no counters; the message says why."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A profiler of NVIDIA's.

    Attributes:
        name: "ncu" or "nsys".
        path: Of the program.
    """

    name: Literal["ncu", "nsys"]
    path: str

    def prefix(self, kernels: Sequence[str], out: Path) -> list[str]:
        """Return what a launch's command is put behind.

        Args:
            kernels: Their names without template arguments.
            out: File that the tool writes.
        """
        if self.name == "nsys":
            return [
                *(
                    self.path,
                    "profile",
                    "--trace=cuda",
                    "--sample=none",
                    "--gpu-metrics-devices=all",
                ),
                *(
                    "--export=sqlite",
                    "--force-overwrite=true",
                    "--output",
                    str(out.with_suffix("")),
                ),
            ]
        named = "|".join(map(re.escape, kernels))
        return [
            *(self.path, "--target-processes", "all", "--csv", "--log-file", str(out)),
            *("--metrics", ",".join(_NCU), "--kernel-name", f"regex:^({named})$"),
            *("--launch-skip", str(_SKIPPED), "--launch-count", str(_LAUNCHES)),
        ]

    def output(self, folder: Path, arm: Arm) -> Path:
        """Return the file that the tool writes for an arm."""
        return folder / f"{arm}.{'csv' if self.name == 'ncu' else 'sqlite'}"


def find_tool(find: Callable[[str], str | None] = which) -> Tool | None:
    """Return the profiler that is installed, `ncu` before `nsys`; None where neither is."""
    names: tuple[Literal["ncu", "nsys"], ...] = ("ncu", "nsys")
    return next((Tool(name, path) for name in names if (path := find(name)) is not None), None)


def guilty_kernels(suite: Explained) -> list[str]:
    """Return the kernels that differ, without template arguments, the largest first."""
    return list(
        dict.fromkeys(_base(row.where) for row in suite.ops if _OP.match(row.where) is None)
    )


def with_counters(explanation: Explanation, tool: Tool | None, launch: Launch, folder: Path) -> Explanation:  # fmt: skip
    """Return the explanation with the counters of its guilty kernels, or a warning that says why not.

    Args:
        explanation: With ops and kernels.
        tool: What reads counters; None: nothing here does.
        launch: Runs an arm's load behind a prefix.
        folder: For the tool's files.
    """

    def warned(reason: str) -> Explanation:
        return replace(explanation, warnings=(*explanation.warnings, f"--deep: {reason}"))

    if tool is None:
        return warned("neither ncu nor nsys is installed here; no counters were read")
    kernels = list(dict.fromkeys(k for suite in explanation.suites for k in guilty_kernels(suite)))
    if not kernels:
        return warned("no kernel of a GPU differs, so none was profiled")
    found: dict[Arm, Counters] = {}
    arms: tuple[Arm, Arm] = ("base", "head")
    for arm in arms:
        out = tool.output(folder, arm)
        try:
            launch(arm, tool.prefix(kernels, out))
            found[arm] = read_counters(tool, out)
        except MeasurementError as error:
            return warned(f"{tool.name} gave no counters of {arm}: {error}")
    suites = tuple(
        replace(suite, kernel_counters=_rows(guilty_kernels(suite), found))
        for suite in explanation.suites
    )
    return replace(explanation, suites=suites)


def read_counters(tool: Tool, out: Path) -> Counters:
    """Return the counters in a tool's file, each the mean over a kernel's launches.

    Raises:
        DeepError: There is no file, or nothing in it; says why.
    """
    if not out.is_file():
        raise DeepError(f"{out} was not written")
    counters = _of_ncu(out) if tool.name == "ncu" else _of_nsys(out)
    if not counters:
        raise DeepError(f"{out} holds no counter of the kernels that differ")
    return counters


def _of_ncu(out: Path) -> Counters:
    text = out.read_text(encoding="utf-8", errors="replace")
    if error := _ERROR.search(text):
        raise DeepError(error[1])
    lines = [line for line in text.splitlines() if line.startswith('"')]
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in csv.DictReader(lines):
        name = _NCU.get(row.get("Metric Name") or "")
        value = _number(row.get("Metric Value"))
        if name is not None and value is not None and row.get("Metric Unit") == "%":
            values[_base(row.get("Kernel Name") or "")][name].append(value / 100)
    return {kernel: {n: fmean(v) for n, v in names.items()} for kernel, names in values.items()}


def _of_nsys(out: Path) -> Counters:
    """Mean of the samples that fall into a kernel's time; nsys has no L2 hit rate."""
    try:
        with closing(sqlite3.connect(f"file:{out}?mode=ro", uri=True)) as database:
            samples = database.execute(
                "SELECT s.value, k.start, m.metricName, g.value "
                "FROM CUPTI_ACTIVITY_KIND_KERNEL AS k JOIN StringIds AS s ON s.id = k.shortName "
                "JOIN GPU_METRICS AS g ON g.timestamp >= k.start AND g.timestamp < k.end "
                "JOIN TARGET_INFO_GPU_METRICS AS m ON m.metricId = g.metricId AND m.typeId = g.typeId"
            ).fetchall()
    except sqlite3.Error as error:
        raise DeepError(f"{out}: {error}") from error
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for kernel, _, metric, value in samples:
        for beginning, name in _NSYS:
            if str(metric).startswith(beginning):
                values[_base(kernel)][name].append(value / 100)
    return {kernel: {n: fmean(v) for n, v in names.items()} for kernel, names in values.items()}


def _rows(kernels: Iterable[str], found: Mapping[Arm, Counters]) -> tuple[KernelCounter, ...]:
    rows = []
    for kernel in kernels:
        base, head = (found[arm].get(kernel, {}) for arm in ("base", "head"))
        rows += [
            KernelCounter(kernel, name, base.get(name), head.get(name))
            for name in _NCU.values()
            if name in base or name in head
        ]
    return tuple(rows)


def _base(name: str) -> str:
    """Return a kernel's name as ncu's filter knows it: no return type, template or arguments."""
    plain = re.split(r"[<(]", name.removeprefix("void "), maxsplit=1)[0]
    return plain.rpartition("::")[2].strip()


def _number(text: str | None) -> float | None:
    try:
        return float((text or "").replace(",", ""))
    except ValueError:
        return None
