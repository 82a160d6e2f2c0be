"""Why a benchmark failed, and why asv gave up, read from the log of `asv run --show-stderr`.

asv stores neither: a failed benchmark is a bare null in its result file, and exit code 1 means
anything from a typo in --bench to a suite that cannot be imported.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from tracker.measure.launch import FailedBenchmark

__all__ = ["failed_benchmarks", "fatal_reason"]

# "[68.18%] ··· bench_toy.Good.track_v      1.0": progress, depth in dots, text.
_LINE = re.compile(r"^(?:\[\s*(?P<percent>[\d.]+)%\] )?(?P<dots>·+) (?P<text>.*)$")
_TIMED_OUT = re.compile(r"asv: benchmark timed out \(timeout ([\d.]+)s\)")
_STATUS = re.compile(r"exit status (-?\d+)")
_FAILED = re.compile(r"^(?P<name>\S+)\s+(?:failed|\d+/\d+ failed)$")
_SKIPPED = re.compile(r"^(?P<name>\S+) skipped \(setup_cache failed\)$")
_SETUP = re.compile(r"^Setting up (?P<key>\S+)\s+failed$")

_TAIL = 20  # lines of a failure that are kept

# The more telling first.
_FATAL = (
    (re.compile(r"No benchmarks selected"), "no benchmark matches"),
    (re.compile(r"No environments selected|No available environments"),
     "asv found no usable environment; is the Python interpreter there?"),
    (re.compile(r"No module named '?asv_runner'?"),
     "asv_runner is not installed in the measured interpreter; pip install asv_runner"),
    (re.compile(r"No module named '?asv'?$"), "asv is not installed there; pip install asv"),
    (re.compile(r"No information stored about machine '([^']*)'"), "asv does not know the machine"),
    (re.compile(r"NoSuchNameError: (\S+)"), "asv does not know the commit"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Entry:
    depth: int
    text: str
    body: tuple[str, ...]


def failed_benchmarks(log: str) -> list[FailedBenchmark]:
    """Return the benchmarks that the log calls failed, with reasons, in the log's order."""
    failures: list[FailedBenchmark] = []
    setup_reason: tuple[str, bool, tuple[str, ...]] = ("setup_cache failed", False, ())
    entries = _entries(log.splitlines())
    for index, entry in enumerate(entries):
        if entry.depth != 3:
            continue
        details: list[str] = list(entry.body)
        for later in entries[index + 1 :]:
            if later.depth <= 3 and not later.text.startswith("==="):  # a table of parameters
                break
            details += [later.text, *later.body]
        if _SETUP.match(entry.text):
            reason, timed_out = _reason(details)
            setup_reason = (f"setup_cache failed: {reason}", timed_out, _tail(details))
        elif match := _SKIPPED.match(entry.text):
            failures.append(FailedBenchmark(match["name"], *setup_reason))
        elif match := _FAILED.match(entry.text):
            failures.append(FailedBenchmark(match["name"], *_reason(details), _tail(details)))
    _, failed, report = log.partition("Importing benchmark suite failed")
    if failed:
        lines = report.splitlines()[1:]
        reason, _ = _reason(lines)
        known = {failure.name for failure in failures}
        failures += [
            FailedBenchmark(name, f"the suite cannot be imported: {reason}", log=_tail(lines))
            for name in re.findall(r"^\[.*?\] ·+ (\S+)\s+failed$", log, re.MULTILINE)
            if name not in known
        ]
    return failures


def fatal_reason(log: str) -> str:
    """Return why asv measured nothing, in one sentence; never empty."""
    for pattern, reason in _FATAL:
        if match := pattern.search(log):
            named = match.group(1) if match.groups() else ""
            return f"{reason} {named}".strip() if named else reason
    if "Failed to build the project and import the benchmark suite" in log:
        head = log.split("Last error:", 1)[0]
        reason, _ = _reason(head.splitlines())
        return f"the benchmark suite cannot be imported: {reason}"
    reason, _ = _reason(log.splitlines())
    return reason


def _entries(lines: Iterable[str]) -> list[_Entry]:
    entries: list[_Entry] = []
    body: list[str] = []
    head: tuple[int, str] | None = None
    for line in lines:
        match = _LINE.match(line)
        if match is None:
            body.append(line)
            continue
        if head is not None:
            entries.append(_Entry(head[0], head[1], tuple(body)))
        head, body = (len(match["dots"]), match["text"].rstrip()), []
    if head is not None:
        entries.append(_Entry(head[0], head[1], tuple(body)))
    return entries


def _tail(lines: Iterable[str]) -> tuple[str, ...]:
    """The last lines that hold something, without asv's marks of depth."""
    plain = (line.rstrip().lstrip("·") for line in lines)
    return tuple(line for line in plain if line.strip())[-_TAIL:]


def _reason(lines: Iterable[str]) -> tuple[str, bool]:
    """The most informative line, a timeout or else the last one, and whether it is a timeout."""
    plain = [line.strip(" ·") for line in lines]
    plain = [line for line in plain if line and not set(line) <= set("=- ")]
    for line in plain:
        if match := _TIMED_OUT.search(line):
            return f"timed out after {match.group(1)} s", True
    of_program = [line for line in plain if not line.startswith("asv: ")]
    status = next((m.group(1) for line in plain if (m := _STATUS.search(line))), "1")
    if of_program:
        last = of_program[-1]
        return (last if status == "1" else f"{last} (exit status {status})"), False
    return (plain[-1].removeprefix("asv: ") if plain else "no reason in the log"), False
