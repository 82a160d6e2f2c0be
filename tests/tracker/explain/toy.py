"""A toy engine whose time is scripted: its code runs under the real tracers, its clock is virtual."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tracker.explain.trace import Trace, read_trace
from tracker.load.profile import CallNode, CallTimer, LineCounter, SourceTree, Step, write_trace

PHASES = ((r"queue\.py", "queue"), (r"engine\.py", None), (r"", ""))
ENGINE = """\
class Engine:
    def __init__(self, spend, ops, queue):
        self.spend, self.ops, self.queue = spend, ops, queue

    def step(self, tokens):
        self.queue.choose(self.spend)
        x = self.ops.norm(self.spend, tokens)
        x = self.ops.linear(self.spend, x)
        x = self.ops.gate(self.spend, x)
        return self.sample(x)

    def sample(self, x):
        self.spend(20_000)
        return x
"""
OPS = """\
def norm(spend, x):
    spend(100 * len(x))
    return x


def linear(spend, x):
    spend(2_000 * len(x))
    return x


def gate(spend, x):
    return product(spend, linear(spend, x))


def product(spend, x):
    spend(300 * len(x))
    return x
"""
QUEUE = """\
def choose(spend):
    spend(5_000)
"""
SOURCES = {"engine.py": ENGINE, "ops.py": OPS, "queue.py": QUEUE}


class Clock:
    """Nanoseconds that pass where the code says so, times the noise of a launch."""

    def __init__(self, rng: random.Random, noise: float) -> None:
        self.now = 0
        self._rng = rng
        self._noise = noise

    def __call__(self) -> int:
        return self.now

    def spend(self, ns: float) -> None:
        """Let time pass."""
        self.now += max(0, round(ns * (1 + self._rng.gauss(0, self._noise))))


def toy_trace(
    folder: Path,
    sources: dict[str, str] = SOURCES,
    *,
    launch: int = 0,
    steps: Sequence[tuple[str, int]] = (("prefill", 64), *(("decode", 8),) * 20),
    noise: float = 0.05,
    counters: dict[str, int] | None = None,
    device_events: Sequence[dict[str, Any]] = (),
    facts: dict[str, Any] | None = None,
) -> Path:
    """Run the toy under the tracers and return the file.

    Args:
        folder: Sources and trace go there.
        sources: By file name.
        launch: Seeds the noise.
        steps: Kind and tokens of each.
        noise: Relative, of every stretch of time.
        counters: What the engine says it counted.
        device_events: As torch's profiler saw a GPU.
        facts: More of the trace's own part.
    """
    folder.mkdir(parents=True, exist_ok=True)
    clock = Clock(random.Random(launch), noise)
    modules: dict[str, Any] = {}
    for name, text in sources.items():
        path = folder / name
        path.write_text(text)
        modules[name] = {}
        exec(compile(text, str(path), "exec"), modules[name])
    names = {name.removesuffix(".py"): type("M", (), {}) for name in sources}
    for name, module in names.items():
        for key, value in modules[f"{name}.py"].items():
            if callable(value):
                setattr(module, key, value if isinstance(value, type) else staticmethod(value))
    tree = SourceTree(folder)
    engine = names["engine"].Engine(clock.spend, names["ops"], names["queue"])

    timer = CallTimer(tree, clock=clock)

    def run(*, timed: bool) -> list[Step]:
        done = []
        for kind, tokens in steps:
            begun = clock.now
            if timed:
                timer.begin_step(begun)
            engine.step([0] * tokens)
            if timed:
                timer.end_step(clock.now)
            done.append(Step(kind, begun, clock.now, tokens))
        return done

    untraced = run(timed=False)
    with timer.recording():
        traced = run(timed=True)
    counter = LineCounter(tree, clock=clock)
    counted: dict[str, CallNode] = {}
    with counter.recording():
        for kind, tokens in steps:
            engine.step([0] * tokens)
            counted.setdefault(kind, CallNode()).add(counter.take())
    return write_trace(
        folder, "toy.Suite", tree=tree, steps=traced, untraced=untraced, timer=timer, counted=counted,
        facts={
            "phases": PHASES, "counters": counters or {}, "device": "cuda", **(facts or {}),
        },
        device_events=device_events,
    )  # fmt: skip


def toy_pairs(
    folder: Path, base: dict[str, Any], head: dict[str, Any], *, pairs: int = 8
) -> tuple[list[Trace], list[Trace]]:
    """Return the traces of base and head, by pair; the arguments are those of `toy_trace`."""
    arms: list[list[Trace]] = []
    seeds = itertools.count()
    for name, arguments in (("base", base), ("head", head)):
        arms.append(
            [
                read_trace(toy_trace(folder / f"{name}{pair}", launch=next(seeds), **arguments))
                for pair in range(pairs)
            ]
        )
    return arms[0], arms[1]
