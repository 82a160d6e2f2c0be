"""A trace of the synthetic engine: its commit's own source runs under the real tracers, on a virtual clock."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tracker.load.profile import CallNode, CallTimer, LineCounter, SourceTree, Step, write_trace

__all__ = ["PHASES", "simulate_trace"]

STEP = 0.0187  # seconds of a decode step of the first commit
STEPS = (("prefill", 512), *(("decode", 32),) * 30)
NOISE = 0.03  # relative, of every stretch of time
PHASES = ((r": (schedule|log)$", "queue"), (r": sample$", "sampling"), (r"", None))


def simulate_trace(source: Path, directory: Path, suite: str, *, slow: float, chance: random.Random) -> Path:  # fmt: skip
    """Run some steps of an engine and return the trace file written.

    Args:
        source: The commit's `engine.py`, which says by `spend` how long it takes.
        directory: Of the launch's artifacts.
        suite: The suite's name.
        slow: The machine's factor on all times.
        chance: Where the noise comes from.
    """
    now = 0

    def clock() -> int:
        return now

    def spend(share: float) -> None:
        nonlocal now
        now += round(share * STEP * slow * max(0.0, 1 + chance.gauss(0, NOISE)) * 1e9)

    module: dict[str, Any] = {}
    exec(compile(source.read_text(encoding="utf-8"), str(source), "exec"), module)
    timer = CallTimer(tree := SourceTree(source.parent), clock=clock)
    counter, counted = LineCounter(tree, clock=clock), dict[str, CallNode]()

    def run(before: Callable[[int], None], after: Callable[[str], None]) -> list[Step]:
        done = []
        for kind, tokens in STEPS:
            began = now
            before(now)
            module["step"](spend, [0] * tokens)
            after(kind)
            done.append(Step(kind, began, now, tokens))
        return done

    untraced = run(lambda at: None, lambda kind: None)
    with timer.recording():
        steps = run(timer.begin_step, lambda kind: timer.end_step(now))
    with counter.recording():
        run(lambda at: None, lambda kind: counted.setdefault(kind, CallNode()).add(counter.take()))
    return write_trace(
        directory, suite, tree=tree, steps=steps, untraced=untraced, timer=timer, counted=counted,
        facts={
            "phases": PHASES, "counters": {}, "device": "cpu",
            "device_problem": "the engine is synthetic and runs no ops",
        },
    )  # fmt: skip
