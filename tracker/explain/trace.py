"""Reads a trace file into the call tree of one launch.

The file is Perfetto's (and Chrome's) JSON; what only the tracker reads stands under ``pacekeeper``.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tracker.errors import MeasurementError
from tracker.explain.ops import op_counts, op_roots
from tracker.explain.tree import Line, Node
from tracker.load.profile import FORMAT

__all__ = [
    "BETWEEN",
    "StepFacts",
    "Trace",
    "TraceError",
    "holds_trace",
    "parse_trace",
    "read_trace",
]

BETWEEN = "between steps"
_BEGINNING = b'{"traceEvents"'


class TraceError(MeasurementError):
    """A trace file that is not there, or that cannot be used; the message names it and says why."""


@dataclass(frozen=True, slots=True)
class StepFacts:
    """The steps of one kind, in a run that nothing traced.

    Attributes:
        count: How many.
        tokens: That they computed.
        seconds: That they took in all.
    """

    count: int
    tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Trace:
    """What one launch recorded.

    Attributes:
        path: The file.
        benchmark: The suite.
        roots: The steps by kind, and under `BETWEEN` what the engine did outside of steps.
        steps: Of the untraced run, by kind.
        counters: What the engine counted in the untraced run.
        ops: Ops and kernels as torch's profiler saw them, a root for each kind of step; empty where
            it saw none.
        ops_problem: Why it saw none; None where it did.
        device: ``"cpu"`` or ``"cuda"``.
    """

    path: str
    benchmark: str
    roots: tuple[Node, ...]
    steps: Mapping[str, StepFacts]
    counters: Mapping[str, int]
    ops: tuple[Node, ...] = ()
    ops_problem: str | None = None
    device: str = "cpu"


@dataclass(slots=True)
class _Span:
    """Spans of one key under one parent, added up."""

    calls: int = 0
    total: float = 0.0
    size: float = 0.0
    children: dict[tuple[int, int], _Span] = field(default_factory=dict)

    def add(self, microseconds: float) -> None:
        self.calls += 1
        self.total += microseconds / 1e6


def holds_trace(path: Path) -> bool:
    """Return whether a file begins as a trace does, whatever its name; the rest is not read."""
    try:
        with gzip.open(path, "rb") as file:
            return file.read(len(_BEGINNING)) == _BEGINNING
    except (OSError, EOFError, zlib.error):
        return False


def read_trace(path: Path) -> Trace:
    """Return the trace in a file.

    Raises:
        TraceError: It is gone, cut off, of another format, or says why it holds no trace.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            document = json.load(file)
    except FileNotFoundError:
        raise TraceError(f"{path}: the trace is gone") from None
    except (EOFError, zlib.error, UnicodeDecodeError, json.JSONDecodeError):
        raise TraceError(f"{path}: the trace is cut off or damaged; capture it again") from None
    except OSError as error:
        raise TraceError(f"{path}: cannot be read: {error.strerror or error}") from None
    return parse_trace(document, str(path))


def parse_trace(document: Any, path: str) -> Trace:
    """Return the trace that a decoded file holds; errors as of `read_trace`."""
    own = document.get("pacekeeper") if isinstance(document, dict) else None
    if not isinstance(own, dict):
        raise TraceError(f'{path}: not a trace of the tracker: it has no "pacekeeper" part')
    if own.get("format") != FORMAT:
        raise TraceError(f"{path}: trace of format {own.get('format')!r}; {FORMAT} is read")
    if reason := own.get("error"):
        raise TraceError(f"{path}: {own.get('benchmark')} could not be traced: {reason}")
    try:
        return _parse(document["traceEvents"], own, path)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise TraceError(
            f"{path}: the trace is damaged: {type(error).__name__}: {error}"
        ) from error


def _parse(events: Sequence[Mapping[str, Any]], own: Mapping[str, Any], path: str) -> Trace:
    if len(events) != own["num_events"]:
        raise TraceError(
            f"{path}: the trace is cut off: {len(events)} of {own['num_events']} events are there"
        )
    functions = own["functions"]
    phases = [(re.compile(pattern), phase) for pattern, phase in own["phases"]]
    inside, outside = (ns / 1e9 for ns in own["tracing_cost_ns"])
    spans = _nested([event for event in events if event.get("cat") in ("step", "python")])
    untraced: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for kind, seconds, tokens in own["untraced"]:
        untraced[kind].append((seconds, tokens))
    reader = _Reader(functions, phases, inside, outside)
    counted = own["counted"]
    return Trace(
        path=path,
        benchmark=own["benchmark"],
        roots=tuple(
            reader.root(kind, span, counted.get(kind, {})) for kind, span in sorted(spans.items())
        ),
        steps={
            kind: StepFacts(len(steps), sum(t for _, t in steps), sum(s for s, _ in steps))
            for kind, steps in sorted(untraced.items())
        },
        counters={**own["counters"], **op_counts(events)},
        ops=op_roots(events, own.get("device", "cpu"), own.get("compiled") or {}),
        ops_problem=own.get("device_problem"),
        device=own.get("device", "cpu"),
    )


def _nested(events: Sequence[Mapping[str, Any]]) -> dict[str, _Span]:
    """Return the spans of the host, added up by place, under each kind of step.

    Args:
        events: Of the host: steps and calls in the order in which they began.
    """
    roots: dict[str, _Span] = {}
    stack: list[_Span] = []
    for event in events:
        arguments = event["args"]
        del stack[arguments["depth"] :]
        if event["cat"] == "step":
            span = roots.setdefault(arguments["kind"], _Span())
            span.add(event["dur"])
            span.size += arguments["tokens"]
            stack.append(span)
            continue
        parent = stack[-1] if stack else roots.setdefault(BETWEEN, _Span())
        key = arguments["site"], arguments["function"]
        span = parent.children.setdefault(key, _Span())
        span.add(event["dur"])
        stack.append(span)
    return roots


class _Reader:
    """Makes nodes of spans and of what was counted at the same places."""

    def __init__(
        self,
        functions: Sequence[Mapping[str, Any]],
        phases: Sequence[tuple[re.Pattern[str], str | None]],
        inside: float,
        outside: float,
    ) -> None:
        self._functions = functions
        self._names = [f"{f['file']}: {f['function']}" for f in functions]
        self._phase = [self._rule(name, phases) for name in self._names]
        self._inside = inside
        self._outside = outside

    def root(self, kind: str, span: _Span, counted: Mapping[str, Any]) -> Node:
        """Return a kind of step with all that happened in it."""
        children = self._children(span, counted, -1, kind, kind)
        below = sum(child.total for child in span.children.values())
        # What is not in a function of the tree is the suite's own loop.
        own = 0.0 if kind == BETWEEN else span.total - below
        size = span.size / span.calls if span.calls else 0.0
        return Node(kind, 0, 0, (0, ""), kind, span.calls, size, [own], children=children)

    def _children(
        self, span: _Span, counted: Mapping[str, Any], caller: int, kind: str, phase: str
    ) -> list[Node]:
        seen = {(c["site"], c["function"]): c for c in counted.get("children", ())}
        return [
            self._node(key, child, seen.get(key, {}), caller, kind, phase)
            for key, child in sorted(span.children.items())
        ]

    def _node(
        self, key: tuple[int, int], span: _Span, counted: Mapping[str, Any], caller: int,
        kind: str, phase: str,
    ) -> Node:  # fmt: skip
        site, number = key
        function = self._functions[number]
        rule = self._phase[number]
        phase = phase if rule == "" else kind if rule is None else rule
        children = self._children(span, counted, number, kind, phase)
        own = span.total - sum(child.total for child in span.children.values())
        own -= span.calls * self._inside
        own -= self._outside * sum(child.calls for child in span.children.values())
        line, text = self._functions[caller]["sites"][str(site)] if caller >= 0 else (0, "")
        calls = counted.get("calls", 0)
        texts = function["texts"]
        return Node(
            name=self._names[number],
            line=function["line"],
            order=site,
            site=(line, text),
            phase=phase,
            calls=span.calls,
            size=counted["size"] / calls if calls else 0.0,
            seconds=[own],
            lines=tuple(
                Line(number, texts.get(str(number), ""), count, ns / 1e9)
                for number, count, ns in counted.get("lines", ())
            ),
            children=children,
        )

    @staticmethod
    def _rule(name: str, phases: Sequence[tuple[re.Pattern[str], str | None]]) -> str | None:
        return next((phase for pattern, phase in phases if pattern.search(name)), "")
