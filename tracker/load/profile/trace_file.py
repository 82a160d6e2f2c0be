"""The trace of a launch: one JSON file that ui.perfetto.dev opens."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tracker.load.profile.calls import STEP, CallTimer
from tracker.load.profile.lines import CallNode
from tracker.load.profile.source import SourceTree

FORMAT = 1
SUFFIX = ".trace.json.gz"
_HOST = 1  # process of the trace


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the load.

    Attributes:
        kind: ``"prefill"``, ``"decode"`` or another name of the suite's.
        start, end: Nanoseconds on the clock of the timer.
        tokens: That it computed.
    """

    kind: str
    start: int
    end: int
    tokens: int


def profile_requested() -> bool:
    """Return whether this launch is to write a trace after its timed part."""
    return bool(os.environ.get("PACEKEEPER_PROFILE"))


def write_trace(
    directory: Path,
    benchmark: str,
    *,
    tree: SourceTree,
    steps: Sequence[Step],
    untraced: Sequence[Step],
    timer: CallTimer,
    counted: Mapping[str, CallNode],
    facts: Mapping[str, Any],
    device_events: Sequence[Mapping[str, Any]] = (),
) -> Path:
    """Write a launch's trace whole or not at all, and return its path.

    Args:
        directory: Of the launch's artifacts; made if it is not there.
        benchmark: The suite, as its launch artifact names it.
        tree: The functions that were traced.
        steps: Of the run that the timer recorded, in order.
        untraced: Of a run that nothing traced.
        timer: With its record.
        counted: By kind of step; what ran outside of steps under ``"between steps"``.
        facts: JSON values for the reader: ``phases``, ``counters``, ``requests``, ...
        device_events: Events of a device's profiler, in the format of the file.
    """
    process = {"name": f"host: {benchmark}"}
    metadata = {"ph": "M", "name": "process_name", "pid": _HOST, "args": process}
    spans = _spans(timer.events, steps)
    functions = tree.described({*_call_sites(spans), *_sites(counted.values())})
    for span in spans:
        if span["cat"] == "python":
            function = functions[span["args"]["function"]]
            span["name"] = f"{function['file']}({function['line']}): {function['function']}"
    for number, function in enumerate(functions):
        function["texts"] = {
            str(line): tree.text(number, line) for line in sorted(_lines(counted.values(), number))
        }
    events = [metadata, *spans, *device_events]
    document = {
        "traceEvents": events,
        "displayTimeUnit": "ms",
        "pacekeeper": {
            "format": FORMAT,
            "benchmark": benchmark,
            "num_events": len(events),
            "tracing_cost_ns": timer.cost(),
            "functions": functions,
            "untraced": [
                [step.kind, (step.end - step.start) / 1e9, step.tokens] for step in untraced
            ],
            "counted": {kind: node.described() for kind, node in counted.items()},
            **facts,
        },
    }
    return _write(directory, benchmark, document)


def _spans(events: Sequence[tuple[int, ...]], steps: Sequence[Step]) -> list[dict[str, Any]]:
    """Return what a timer recorded as events of the format, in the order in which they began."""
    spans: list[dict[str, Any]] = []
    running: list[dict[str, Any]] = []
    kinds = iter(steps)
    origin = events[0][0] if events else 0
    for event in events:
        if len(event) == 1:
            span = running.pop()
            span["dur"] = (event[0] - origin) / 1e3 - span["ts"]
            continue
        began, number, site = event
        common = {"ph": "X", "pid": _HOST, "tid": 1, "ts": (began - origin) / 1e3, "dur": 0.0}
        depth = len(running)
        if number == STEP:
            step = next(kinds)
            arguments = {"kind": step.kind, "tokens": step.tokens, "depth": depth}
            span = {"cat": "step", "name": f"step {step.kind}", **common, "args": arguments}
        else:
            arguments = {"function": number, "site": site, "depth": depth}
            span = {"cat": "python", "name": "", **common, "args": arguments}
        spans.append(span)
        running.append(span)
    return spans


def _call_sites(spans: Iterable[Mapping[str, Any]]) -> Iterator[tuple[int, int]]:
    """Yield (calling function, offset) of the calls among spans."""
    functions: list[int | None] = []  # by depth
    for span in spans:
        arguments = span["args"]
        del functions[arguments["depth"] :]
        function = arguments.get("function")
        if function is not None and functions and functions[-1] is not None:
            yield functions[-1], arguments["site"]
        functions.append(function)


def write_failure(directory: Path, benchmark: str, reason: str) -> Path:
    """Write a trace file that says why there is no trace, and return its path."""
    stated = {"format": FORMAT, "benchmark": benchmark, "num_events": 0, "error": reason}
    return _write(directory, benchmark, {"traceEvents": [], "pacekeeper": stated})


def _write(directory: Path, benchmark: str, document: Mapping[str, Any]) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{benchmark}{SUFFIX}"
    partial = path.with_suffix(".partial")
    with gzip.open(partial, "wt", compresslevel=3, encoding="utf-8") as file:
        json.dump(document, file, allow_nan=False)
    partial.replace(path)
    return path


def _sites(nodes: Iterable[CallNode], caller: int = -1) -> Iterator[tuple[int, int]]:
    for node in nodes:
        for (site, number), child in node.children.items():
            if caller >= 0:
                yield caller, site
            yield from _sites([child], number)


def _lines(nodes: Iterable[CallNode], wanted: int, own: int = -1) -> Iterator[int]:
    for node in nodes:
        if own == wanted:
            yield from node.lines
        for (_, number), child in node.children.items():
            yield from _lines([child], wanted, number)
