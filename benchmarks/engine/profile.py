"""A short trace of the engine on a scenario's load, apart from the timed part.

The same kind of load runs four times, with tokens of its own each time: untraced, with every call timed,
with calls and lines counted, and under torch's profiler for ops and kernels.
"""

from __future__ import annotations

import dataclasses
import gc
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from benchmarks.engine.compiled import compiled_kernels
from tracker.load.drive import drive
from tracker.load.profile import (
    CallNode,
    CallTimer,
    LineCounter,
    SourceTree,
    Step,
    own_clock,
    write_failure,
    write_trace,
)
from tracker.load.records import LoadRequest
from tracker.load.scenario import Scenario
from tracker.load.workload import concurrency, make_requests, warmup_requests

__all__ = ["PHASES", "capture"]

STEPS = 200  # decoding steps to be seen
AT_ONCE = 8  # requests in flight of a load that has no number of its own
BETWEEN = "between steps"
# The first pattern that fits "file: function" is the phase of the function and of what it calls, until
# another fits. None: the kind of the step.
PHASES: tuple[tuple[str, str | None], ...] = (
    (r"^inference/tokenizer\.py: .*(decode|text)", "detokenize"),
    (r"^inference/(tokenizer|intake)\.py", "tokenize"),
    (r"^inference/(scheduler|static_batches|blocks|drafts)\.py", "queue"),
    (r"^inference/(adjust|ops/sampling|ops/triton/sampling)\.py|: Decoder\.logits$", "sampling"),
    (r"^inference/(delivery|text)\.py", "detokenize"),
    (r"^inference/(model|graphs)\.py", None),
    (r"^inference/ops/", ""),
    (r"^inference/", "host gap"),
)
_KEPT = frozenset(
    {"cpu_op", "cuda_runtime", "kernel", "gpu_memcpy", "gpu_memset", "user_annotation"}
)
_ARGUMENTS = (
    "Input Dims", "External id", "correlation", "stream", "grid", "block",
    "registers per thread", "shared memory",
)  # fmt: skip
_DEVICE = 10  # first process number of torch's events

Marks = list[Step]
Around = Callable[[int], AbstractContextManager[Any]]


def capture(benchmark: str, scenario: Scenario, directory: Path) -> Path:
    """Run the load of `scenario` under the tracers and return the trace file written.

    Args:
        benchmark: The suite class as asv names it.
        scenario: Its load is cut to some two hundred decoding steps.
        directory: Where the file goes.

    Whatever fails is stated in the file: the launch that was measured before it stands.
    """
    from benchmarks.engine.in_process import InProcess

    try:
        target = InProcess(scenario)
        try:
            return _capture(target, benchmark, scenario, directory)
        finally:
            target.close()
    except Exception as error:
        return write_failure(directory, benchmark, f"{type(error).__name__}: {error}")


def _capture(target: Any, benchmark: str, scenario: Scenario, directory: Path) -> Path:
    engine = target.engine
    root = target.source.parent
    tree = SourceTree(root, [f"{target.source.name}/"])
    requests = make_requests(scenario, target.vocab_size)
    at_once = concurrency(scenario.load) or AT_ONCE
    target.drive(warmup_requests(scenario, requests, target.vocab_size), at_once)
    if hasattr(engine, "warm_up"):
        engine.warm_up()
    watch = _Watch(engine)

    def run(number: int) -> Marks:
        watch.marks = []
        load = _short(make_requests(_reseeded(scenario, number), target.vocab_size), at_once)
        drive(
            watch, load, target.params_of, concurrency=at_once,
            fixed_length=not scenario.natural_end, limit=10 * scenario.limit,
        )  # fmt: skip
        return watch.marks

    gc.collect()
    gc.freeze()
    collecting = gc.isenabled()
    try:
        before = dict(engine.counters())
        untraced = run(1)
        counters = {name: value - before[name] for name, value in engine.counters().items()}
        gc.disable()  # what the tracers keep would make it run at times of its own
        timer = CallTimer(tree, clock=watch.clock)
        watch.timer = timer
        with timer.recording():
            steps = run(2)
        watch.timer = None
        counter = LineCounter(tree, clock=watch.clock)
        counted: dict[str, CallNode] = {}
        watch.on_step = lambda kind: counted.setdefault(kind, CallNode()).add(counter.take())
        with counter.recording():
            run(3)
        counted.setdefault(BETWEEN, CallNode()).add(counter.take())
        watch.on_step = None
        device, problem = _torch_events(watch, lambda: run(4), scenario)
    finally:
        gc.unfreeze()
        if collecting:
            gc.enable()
    facts: dict[str, Any] = {
        "phases": PHASES,
        "counters": counters,
        "device": scenario.model.device if scenario.model else "cpu",
        "device_problem": problem,
        "compiled": compiled_kernels(target.source.name),
    }
    return write_trace(
        directory, benchmark, tree=tree, steps=steps, untraced=untraced, timer=timer,
        counted=counted, facts=facts, device_events=device,
    )  # fmt: skip


class _Watch:
    """The engine as `drive` knows it; marks when each step began and ended, and its kind."""

    def __init__(self, engine: Any) -> None:
        self.marks: Marks = []
        self.on_step: Callable[[str], None] | None = None  # called where a part ends, with its kind
        self.around: Around = lambda number: nullcontext()
        self.clock = own_clock()
        self.timer: CallTimer | None = None  # is told of every step
        self._engine = engine
        self.submit = engine.submit
        self.output = engine.output
        self.abort = engine.abort
        self.has_unfinished = engine.has_unfinished

    def step(self) -> Any:
        """Run one step of the engine."""
        if self.on_step is not None:
            self.on_step(BETWEEN)
        before = self._counters()
        with self.around(len(self.marks)):
            began = self.clock()
            if self.timer is not None:
                self.timer.begin_step(began)
            events = self._engine.step()
            ended = self.clock()
            if self.timer is not None:
                self.timer.end_step(ended)
        after = self._counters()
        is_prefill = after.get("prefill_steps", 0) > before.get("prefill_steps", 0)
        kind = "prefill" if is_prefill else "decode"
        tokens = sum(after[n] - before[n] for n in ("prefill_tokens", "decode_tokens"))
        self.marks.append(Step(kind, began, ended, tokens))
        if self.on_step is not None:
            self.on_step(kind)
        return events

    def _counters(self) -> Mapping[str, int]:
        tracer = sys.gettrace()
        sys.settrace(None)
        try:
            counters: Mapping[str, int] = self._engine.counters()
        finally:
            sys.settrace(tracer)
        return counters


def _reseeded(scenario: Scenario, number: int) -> Scenario:
    """Other tokens of the same lengths, lest a run finds those of the one before in the cache."""
    return dataclasses.replace(scenario, seed=scenario.seed + number)


def _short(requests: Sequence[LoadRequest], at_once: int) -> list[LoadRequest]:
    """Return the first requests that make some two hundred decoding steps, due at once."""
    kept: list[LoadRequest] = []
    tokens = 0
    for request in requests:
        if len(kept) >= 2 * at_once and tokens >= STEPS * at_once:
            break
        kept.append(dataclasses.replace(request, due=None))
        tokens += request.max_tokens
    return kept


def _torch_events(
    watch: _Watch, run: Callable[[], Marks], scenario: Scenario
) -> tuple[list[dict[str, Any]], str | None]:
    """Return ops and kernels as torch's profiler saw them; or none, and why."""
    try:
        from torch.profiler import ProfilerActivity, profile, record_function
    except ImportError as error:
        return [], f"torch has no profiler: {error}"
    activities = [ProfilerActivity.CPU]
    if scenario.model is not None and scenario.model.device == "cuda":
        activities.append(ProfilerActivity.CUDA)
    watch.around = lambda number: record_function(f"step {number}")
    try:
        with profile(activities=activities, record_shapes=True) as profiler:
            marks = run()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "trace.json"
            profiler.export_chrome_trace(str(path))
            raw = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    except Exception as error:  # a profiler that is there and does not work here
        return [], f"torch's profiler failed: {type(error).__name__}: {error}"
    finally:
        watch.around = lambda number: nullcontext()
    return list(_plain(raw, marks)), None


def _plain(raw: Sequence[Mapping[str, Any]], marks: Marks) -> Iterator[dict[str, Any]]:
    """Yield torch's events with process numbers of their own, and each step's kind in its name."""
    processes: dict[Any, int] = {}
    for event in raw:
        if event.get("ph") != "X" or event.get("cat") not in _KEPT:
            continue
        process = processes.setdefault(event["pid"], _DEVICE + len(processes))
        name = str(event["name"])
        if event["cat"] == "user_annotation":
            word, _, number = name.partition(" ")
            if word != "step" or not number.isdigit():
                continue
            name = f"step {marks[int(number)].kind}"
        arguments = event.get("args") or {}
        yield {
            "ph": "X",
            "cat": event["cat"],
            "name": name,
            "pid": process,
            "tid": event["tid"],
            "ts": event["ts"],
            "dur": event.get("dur", 0),
            "args": {key: arguments[key] for key in _ARGUMENTS if key in arguments},
        }
