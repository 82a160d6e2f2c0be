"""Where the host's time goes: the calls and lines of one source tree, with exact counts.

Three runs of the same kind of load, each by a tracer of its own, so that none of them distorts the
others' figures: `CallTimer` times every call of a function of the tree (code outside of it belongs to the
line that called it), `LineCounter` counts calls, lines and the sizes of arguments exactly. What they record
is one JSON file that ui.perfetto.dev opens. A launch is asked for it by ``PACEKEEPER_PROFILE``.

Standard library alone: suites of any project can use it.
"""

from __future__ import annotations

import gzip
import json
import linecache
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

__all__ = [
    "FORMAT",
    "SUFFIX",
    "CallNode",
    "CallTimer",
    "LineCounter",
    "SourceTree",
    "Step",
    "own_clock",
    "profile_requested",
    "write_trace",
]

FORMAT = 1
SUFFIX = ".trace.json.gz"
_BATCHES, _ROUNDS = 20, 100  # of empty calls, which measure the tracer's own cost
_HOST = 1  # process of the trace
_STEP = -2  # in the place of a function's number
_GAP = 50_000  # ns between two looks at the clock; the kernel takes a core away for longer

Clock = Callable[[], int]


def profile_requested() -> bool:
    """Return whether this launch is to write a trace after its timed part."""
    return bool(os.environ.get("PACEKEEPER_PROFILE"))


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


def own_clock(schedstat: Path = Path("/proc/thread-self/schedstat")) -> Clock:
    """Return a clock of nanoseconds that stands still while the kernel runs others on this thread's core.

    A sleep and a wait for a device count; waiting for the core does not. The kernel is asked only after
    a gap in which it can have taken the core away. Where it keeps no account, the clock runs on.

    Args:
        schedstat: The kernel's account of the thread that reads it.
    """
    now = time.perf_counter_ns
    try:
        file = os.open(schedstat, os.O_RDONLY)  # stays open as long as the process
        waited = int(os.pread(file, 64, 0).split()[1])
    except (OSError, IndexError, ValueError):
        return now
    last = now()
    taken = 0
    shown = 0

    def read() -> int:
        nonlocal last, waited, taken, shown
        moment = now()
        if moment - last > _GAP:
            account = int(os.pread(file, 64, 0).split()[1])
            taken += account - waited
            waited = account
        last = moment
        shown = max(shown, moment - taken)
        return shown

    return read


class SourceTree:
    """The functions of one source tree, numbered as they are met.

    Args:
        root: Directory of the tree; code in files outside of it is not the tree's.
        places: Relative directories or files of it that count; all when empty.
    """

    def __init__(self, root: Path, places: Sequence[str] = ()) -> None:
        self._root = f"{root.resolve()}{os.sep}"
        self._prefixes = tuple(f"{self._root}{place}" for place in places or ("",))
        self.codes: list[CodeType] = []  # keeps them alive, so that an id stays theirs
        self._numbers: dict[int, int] = {}
        self._outside: list[CodeType] = []

    def number_of(self, code: CodeType) -> int:
        """Return a function's number; -1 for one outside of the tree."""
        try:
            return self._numbers[id(code)]  # the hash of a code object reads all of it
        except KeyError:
            inside = code.co_filename.startswith(self._prefixes)
            number = self._numbers[id(code)] = len(self.codes) if inside else -1
            (self.codes if inside else self._outside).append(code)
            return number

    def described(self, sites: Iterable[tuple[int, int]]) -> list[dict[str, Any]]:
        """Return every function as JSON values, with the lines of the call sites in it.

        Args:
            sites: Pairs of a function's number and the offset of a call in its byte code.
        """
        offsets: dict[int, set[int]] = {}
        for number, offset in sites:
            offsets.setdefault(number, set()).add(offset)
        return [
            {
                "file": self._relative(code),
                "function": getattr(code, "co_qualname", code.co_name),
                "line": code.co_firstlineno,
                "sites": {
                    str(offset): [line := _line_at(code, offset), self._text(code, line)]
                    for offset in sorted(offsets.get(number, ()))
                },
            }
            for number, code in enumerate(self.codes)
        ]

    def text(self, number: int, line: int) -> str:
        """Return the stripped text of a line in a function's file."""
        return self._text(self.codes[number], line)

    def _relative(self, code: CodeType) -> str:
        return code.co_filename.removeprefix(self._root).replace(os.sep, "/")

    def _text(self, code: CodeType, line: int) -> str:
        return linecache.getline(code.co_filename, line).strip()


def _line_at(code: CodeType, offset: int) -> int:
    for start, end, line in code.co_lines():
        if start <= offset < end and line is not None:
            return line
    return code.co_firstlineno


@contextmanager
def _tracing(tracer: Callable[[FrameType, str, Any], Any]) -> Iterator[None]:
    """Have this thread's calls traced while the context is open."""
    previous = sys.gettrace()
    sys.settrace(tracer)
    try:
        yield
    finally:
        sys.settrace(previous)


class CallTimer:
    """Records the start and the end of every call of a tree's function, in this thread.

    Args:
        tree: Whose functions.
        clock: Nanoseconds.

    Attributes:
        events: In order: (time, function's number, offset of the call in the caller) where a call
            begins, (time,) where it ends.
    """

    def __init__(self, tree: SourceTree, *, clock: Clock = time.perf_counter_ns) -> None:
        self.events: list[tuple[int, ...]] = []
        self._tree = tree
        self._clock = clock

    def recording(self) -> AbstractContextManager[None]:
        """Record while the context is open."""
        return _tracing(self._tracer())

    def begin_step(self, at: int) -> None:
        """Say that what is called from now on is part of a step that began at a time, ns."""
        self.events.append((at, _STEP, -1))

    def end_step(self, at: int) -> None:
        """Say that the step has ended."""
        self.events.append((at,))

    def cost(self) -> tuple[float, float]:
        """Return the nanoseconds that tracing adds to a call: inside its own time, and in its caller's."""
        tree = SourceTree(Path(__file__).parent)
        probe = CallTimer(tree, clock=self._clock)
        plain = self._fastest_call()
        with probe.recording():
            traced = self._fastest_call()
        inside = sorted(
            end[0] - start[0]
            for start, end in zip(probe.events[0::2], probe.events[1::2], strict=False)
        )
        within = float(inside[len(inside) // 2]) if inside else 0.0
        return within, max(0.0, traced - plain - within)

    def _fastest_call(self) -> float:
        """Return the nanoseconds of an empty call in the fastest of many batches: undisturbed."""
        batches: list[float] = []
        for _ in range(_BATCHES):
            began = self._clock()
            for _ in range(_ROUNDS):
                _nothing()
            batches.append((self._clock() - began) / _ROUNDS)
        return min(batches)

    def _tracer(self) -> Callable[[FrameType, str, Any], Any]:
        append, clock, number_of = self.events.append, self._clock, self._tree.number_of
        stack: list[FrameType] = []

        def leave(frame: FrameType, event: str, _argument: Any) -> Any:
            if event == "return":
                append((clock(),))
                if stack:
                    stack.pop()
            return leave

        def enter(frame: FrameType, _event: str, _argument: Any) -> Any:
            number = number_of(frame.f_code)
            if number < 0:
                return None
            frame.f_trace_lines = False
            append((clock(), number, stack[-1].f_lasti if stack else -1))
            stack.append(frame)
            return leave

        return enter


@dataclass(slots=True)
class CallNode:
    """One function at one place of the call tree.

    Attributes:
        calls: How often it was called there.
        size: Elements of the arrays, and items of the texts and lists, that it was given in all.
        lines: Line to [times it ran, nanoseconds in it and in code outside of the tree].
        children: By (offset of the call, number of the function called).
    """

    calls: int = 0
    size: int = 0
    lines: dict[int, list[int]] = field(default_factory=dict)
    children: dict[tuple[int, int], CallNode] = field(default_factory=dict)

    def add(self, other: CallNode) -> None:
        """Add another node's figures, and its children's."""
        self.calls += other.calls
        self.size += other.size
        for line, (count, ns) in other.lines.items():
            cell = self.lines.setdefault(line, [0, 0])
            cell[0] += count
            cell[1] += ns
        for key, child in other.children.items():
            self.children.setdefault(key, CallNode()).add(child)

    def described(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "calls": self.calls,
            "size": self.size,
            "lines": [[line, *cell] for line, cell in sorted(self.lines.items())],
            "children": [
                {"site": site, "function": number, **child.described()}
                for (site, number), child in sorted(self.children.items())
            ],
        }


class LineCounter:
    """Counts calls, lines and sizes of arguments by place of the call tree, in this thread.

    The counts are exact. Its times only say which lines of a function take most of it.
    """

    def __init__(self, tree: SourceTree, *, clock: Clock = time.perf_counter_ns) -> None:
        self._tree = tree
        self._clock = clock
        self._root = CallNode()

    def recording(self) -> AbstractContextManager[None]:
        """Count while the context is open."""
        return _tracing(self._tracer())

    def take(self) -> CallNode:
        """Return what was counted since the last call, its children being the outermost functions."""
        taken, self._root = self._root, CallNode()
        return taken

    def _tracer(self) -> Callable[[FrameType, str, Any], Any]:
        clock, number_of = self._clock, self._tree.number_of
        stack: list[tuple[CallNode, FrameType]] = []
        cell = [0, 0]  # of the line that runs
        cells: list[list[int]] = []  # of the callers
        last = clock()

        def inside(frame: FrameType, event: str, _argument: Any) -> Any:
            nonlocal last, cell
            cell[1] += clock() - last
            if event == "line":
                lines = stack[-1][0].lines
                cell = lines.setdefault(frame.f_lineno, [0, 0])
                cell[0] += 1
            elif event == "return":
                stack.pop()
                cell = cells.pop()
            last = clock()
            return inside

        def enter(frame: FrameType, _event: str, _argument: Any) -> Any:
            nonlocal last, cell
            number = number_of(frame.f_code)
            if number < 0:
                return None
            cell[1] += clock() - last
            parent, site = (stack[-1][0], stack[-1][1].f_lasti) if stack else (self._root, -1)
            node = parent.children.get((site, number))
            if node is None:
                node = parent.children[site, number] = CallNode()
            node.calls += 1
            node.size += _size_of(frame)
            stack.append((node, frame))
            cells.append(cell)
            cell = node.lines.setdefault(frame.f_code.co_firstlineno, [0, 0])
            last = clock()
            return inside

        return enter


def _size_of(frame: FrameType) -> int:
    """Return the elements of the arrays, and the items of texts and lists, among the arguments."""
    code = frame.f_code
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    given = frame.f_locals
    total = 0
    for name in names:
        value = given.get(name)
        if isinstance(value, str | bytes | list | tuple):
            total += len(value)
            continue
        shape = getattr(value, "shape", None)
        if isinstance(shape, tuple) and all(isinstance(length, int) for length in shape):
            count = 1
            for length in shape:
                count *= length
            total += count
    return total


def _nothing() -> None:
    pass


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
    cost = timer.cost()
    origin = timer.events[0][0] if timer.events else 0
    events: list[dict[str, Any]] = [
        {"ph": "M", "name": "process_name", "pid": _HOST, "args": {"name": f"host: {benchmark}"}}
    ]
    sites = set(_sites(counted.values()))
    spans: list[dict[str, Any]] = []  # in the order in which they began
    running: list[dict[str, Any]] = []
    kinds = iter(steps)
    for event in timer.events:
        if len(event) == 1:
            span = running.pop()
            span["dur"] = (event[0] - origin) / 1e3 - span["ts"]
            continue
        began, number, site = event
        common = {"ph": "X", "pid": _HOST, "tid": 1, "ts": (began - origin) / 1e3, "dur": 0.0}
        if number == _STEP:
            step = next(kinds)
            arguments = {"kind": step.kind, "tokens": step.tokens, "depth": len(running)}
            span = {"cat": "step", "name": f"step {step.kind}", **common, "args": arguments}
        else:
            if running and "function" in running[-1]["args"]:
                sites.add((running[-1]["args"]["function"], site))
            arguments = {"function": number, "site": site, "depth": len(running)}
            span = {"cat": "python", "name": "", **common, "args": arguments}
        spans.append(span)
        running.append(span)
    functions = tree.described(sites)
    for span in spans:
        if span["cat"] == "step":
            continue
        function = functions[span["args"]["function"]]
        span["name"] = f"{function['file']}({function['line']}): {function['function']}"
    for number, function in enumerate(functions):
        function["texts"] = {
            str(line): tree.text(number, line) for line in sorted(_lines(counted.values(), number))
        }
    document = {
        "traceEvents": [*events, *spans, *device_events],
        "displayTimeUnit": "ms",
        "pacekeeper": {
            "format": FORMAT,
            "benchmark": benchmark,
            "num_events": len(events) + len(spans) + len(device_events),
            "tracing_cost_ns": cost,
            "functions": functions,
            "untraced": [
                [step.kind, (step.end - step.start) / 1e9, step.tokens] for step in untraced
            ],
            "counted": {kind: node.described() for kind, node in counted.items()},
            **facts,
        },
    }
    return _write(directory, benchmark, document)


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
