"""The ops and kernels of torch's profiler as call trees, one for each kind of step. Pure.

On a CPU an op's own time is what it took; on a GPU the time is that of the kernels, each below the op that
launched it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from tracker.explain.tree import Node

__all__ = ["op_counts", "op_roots"]

_HOST = ("cpu_op", "cuda_runtime", "user_annotation")
_DEVICE = ("kernel", "gpu_memcpy", "gpu_memset")
_COMPILED = ("registers per thread", "shared memory", "grid", "block")
_TRITON = ("spills", "num_warps", "num_stages", "tuned")
# Calls of the runtime that a step should not have more of, by what their names contain.
_RUNTIME = {"Launch": "kernel launches", "Synchronize": "host-device syncs", "Memcpy": "copies"}


@dataclass(slots=True)
class _Op:
    name: str
    text: str = ""
    calls: int = 0
    size: int = 0
    seconds: float = 0.0  # its own
    children: dict[str, _Op] = field(default_factory=dict)

    def child(self, name: str) -> _Op:
        return self.children.setdefault(name, _Op(name))

    def node(self, order: int, phase: str) -> Node:
        return Node(
            name=self.name,
            line=0,
            order=order,
            site=(0, self.text),
            phase=phase,
            calls=self.calls,
            size=self.size / self.calls if self.calls else 0.0,
            seconds=[self.seconds],
            children=[c.node(i, phase) for i, c in enumerate(self.children.values())],
        )


def op_roots(
    events: Iterable[Mapping[str, Any]],
    device: str,
    compiled: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> tuple[Node, ...]:
    """Return the kinds of steps with the ops and kernels in them; empty where there are none.

    Args:
        events: Of torch's profiler; steps are annotations named "step KIND".
        device: ``"cpu"`` or ``"cuda"``.
        compiled: By kernel, what else its compiler said: Triton's spills, its autotuner's choice.
    """
    known = list(events)
    roots: dict[str, _Op] = {}
    launched: dict[Any, _Op] = {}  # by correlation: the op that launched the kernel
    threads: dict[tuple[Any, Any], list[Mapping[str, Any]]] = {}
    for event in known:
        if event.get("cat") in _HOST:
            threads.setdefault((event["pid"], event["tid"]), []).append(event)
    for thread in threads.values():
        _nest(thread, roots, launched, timed=device == "cpu")
    for event in known:
        if event.get("cat") not in _DEVICE:
            continue
        arguments = event.get("args") or {}
        parent = launched.get(arguments.get("correlation"))
        if parent is None:
            continue  # of no step
        kernel = parent.child(str(event["name"]))
        kernel.calls += 1
        kernel.seconds += event["dur"] / 1e6
        facts = {key: arguments[key] for key in _COMPILED if key in arguments}
        made = compiled.get(str(event["name"]), {})
        facts |= {key: made[key] for key in _TRITON if key in made}
        kernel.text = ", ".join(f"{key} {value}" for key, value in facts.items())
    return tuple(op.node(0, kind) for kind, op in sorted(roots.items()) if op.children)


def op_counts(events: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return how often the host launched kernels, waited for the device and copied, in all."""
    counts: Counter[str] = Counter()
    for event in events:
        if event.get("cat") == "cuda_runtime":
            name = str(event["name"])
            counts.update(label for word, label in _RUNTIME.items() if word in name)
    return dict(counts)


def _nest(
    events: Sequence[Mapping[str, Any]], roots: dict[str, _Op], launched: dict[Any, _Op], *,
    timed: bool,
) -> None:  # fmt: skip
    """Add a thread's events below the steps that they lie in; what lies in none is left out."""
    stack: list[tuple[float, _Op]] = []
    for event in sorted(events, key=lambda event: (event["ts"], -event["dur"])):
        start, seconds = event["ts"], event["dur"] / 1e6
        while stack and stack[-1][0] <= start:
            stack.pop()
        arguments = event.get("args") or {}
        if event["cat"] == "user_annotation":
            kind = str(event["name"]).removeprefix("step ")
            op = roots.setdefault(kind, _Op(kind))
        elif not stack:
            continue
        elif event["cat"] == "cuda_runtime":
            launched[arguments.get("correlation")] = stack[-1][1]
            continue
        else:
            shapes = arguments.get("Input Dims") or []
            op = stack[-1][1].child(f"{event['name']} {_shown(shapes)}".rstrip())
            op.size += sum(map(_elements, shapes))
            if timed:
                op.seconds += seconds
                if len(stack) > 1:  # the step's own time is not an op's
                    stack[-1][1].seconds -= seconds
        op.calls += 1
        stack.append((start + event["dur"], op))


def _shown(shapes: Sequence[Any]) -> str:
    listed = ["x".join(map(str, s)) for s in shapes if isinstance(s, list) and s]
    return f"[{', '.join(listed)}]" if listed else ""


def _elements(shape: Any) -> int:
    if not isinstance(shape, list) or not shape or not all(isinstance(n, int) for n in shape):
        return 0
    count = 1
    for length in shape:
        count *= length
    return count
