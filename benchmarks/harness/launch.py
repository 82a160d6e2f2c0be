"""One launch: one process, one engine, one scenario, every metric.

In order: import the engine and check where it came from, pin threads, construct, warm up, drive
the load under telemetry, count, write the artifact. The control workload runs right before and
right after the load.
"""

from __future__ import annotations

import dataclasses
import gc
import hashlib
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.harness.artifact import (
    FORMAT,
    artifact_directory,
    request_line,
    work_of,
    write_artifact,
)
from benchmarks.harness.control import control_metrics, control_of
from benchmarks.harness.drive import Drive, drive
from benchmarks.harness.errors import UnavailableError
from benchmarks.harness.fingerprint import fingerprint, gpu_of, pin_threads
from benchmarks.harness.memory import forget_peaks, peak_cuda_memory, peak_rss
from benchmarks.harness.metrics import Values, counter_metrics, latency_metrics
from benchmarks.harness.models import locate, require_device
from benchmarks.harness.nvml import Gpu
from benchmarks.harness.records import Request
from benchmarks.harness.scenario import Conversations, Replay, Scenario, describe
from benchmarks.harness.source import import_engine
from benchmarks.harness.telemetry import Sample, Sampler, sample_lines, summarise
from benchmarks.harness.turns import turn_metrics
from benchmarks.harness.workload import concurrency, make_requests, trace_path, warmup_requests

__all__ = ["LaunchResult", "launch"]


@dataclass(frozen=True, slots=True)
class LaunchResult:
    """What a launch came to.

    Attributes:
        launch_id: Unique.
        metrics: Every metric by name; None where it has no value here.
        counters: The engine's, over the timed part.
        work: Requests, tokens and digests.
        failures: Why requests failed, one entry a failed request.
        artifact: The file written; None without ``PACEKEEPER_ARTIFACTS``.
    """

    launch_id: str
    metrics: Values
    counters: dict[str, float]
    work: dict[str, Any]
    failures: tuple[str, ...]
    artifact: Path | None


def launch(benchmark: str, scenario: Scenario) -> LaunchResult:
    """Run ``scenario`` once and return its numbers.

    Args:
        benchmark: The suite class as asv names it: ``bench_serving.TinyC4``.
        scenario: What to run.

    Raises:
        UnavailableError: This machine lacks the model, its device, or the trace; or this commit's
            engine lacks a setting.
        SourceMismatchError: The engine is not that of ``PACEKEEPER_SOURCE``.
        TraceError: The trace cannot be read.
    """
    model = locate(scenario.model)
    if isinstance(scenario.workload, Replay):
        trace_path()  # a missing trace is found before an engine is made
    started_at = datetime.now(UTC)
    began = time.perf_counter()
    imported = import_engine()  # nothing before this imports torch: the import is timed
    require_device(scenario.model)
    pin_threads()
    constructing = time.perf_counter()
    settings = {"seed": scenario.seed, **scenario.engine}
    _require_settings(imported.module.EngineConfig, settings)
    config = imported.module.EngineConfig(device=scenario.model.device, **settings)
    engine = imported.module.LLM(model, config)
    construct_time = time.perf_counter() - constructing
    gpu = gpu_of(scenario.model.device)
    try:
        loaded = _load(imported.module.SamplingParams, engine, scenario, gpu)
        telemetry = summarise(loaded.samples, loaded.joules)
        metrics: Values = {
            **latency_metrics(loaded.done.records, scenario.slos),
            **_turns(scenario, loaded.done),
            **counter_metrics(loaded.counters),
            **_startup(imported.seconds, construct_time, loaded.first_token_time),
            **_per_token(loaded, telemetry),
            **_higher_of(loaded.peaks, _peaks(scenario.model.device)),
        }
        extra = {"trace": _trace_digest()} if isinstance(scenario.workload, Replay) else {}
        environment = fingerprint(scenario.model.device, gpu, extra)
        described = {**engine.describe(), "source": str(imported.path)}
    finally:
        if gpu is not None:
            gpu.close()
        engine.close()
    control = {"before": loaded.control, "after": control_of(scenario.model.device)}
    metrics |= control_metrics(**control)
    done = loaded.done
    header: dict[str, Any] = {
        "record": "launch",
        "format": FORMAT,
        "launch_id": uuid.uuid4().hex,
        "benchmark": benchmark,
        "started_at": started_at.isoformat(timespec="seconds"),
        "duration": time.perf_counter() - began,
        "window": [done.started - began, done.ended - began],
        "scenario": describe(scenario),
        "fingerprint": environment,
        "engine": described,
        "control": control,
        "metrics": metrics,
        "counters": loaded.counters,
        "work": work_of(done),
        "telemetry": telemetry,
    }
    directory = artifact_directory()
    path = None
    if directory is not None:
        lines = [request_line(record, done.started - began) for record in done.records]
        path = write_artifact(directory, header, lines + sample_lines(loaded.samples, began))
    return LaunchResult(
        launch_id=header["launch_id"],
        metrics=metrics,
        counters=loaded.counters,
        work=header["work"],
        failures=tuple(r.failure for r in done.records if r.failure is not None),
        artifact=path,
    )


@dataclass(frozen=True, slots=True)
class _Loaded:
    """The timed part: what was driven, counted, sampled and spent; and the state just before it."""

    control: dict[str, float]
    peaks: Values
    done: Drive
    counters: dict[str, float]
    samples: list[Sample]
    joules: float | None
    cpu_time: float
    first_token_time: float | None


def _load(sampling_params: Any, engine: Any, scenario: Scenario, gpu: Gpu | None) -> _Loaded:
    """Warm the engine up, then drive the scenario's load through it under telemetry."""
    vocab_size = engine.describe()["vocab_size"]
    requests = make_requests(scenario, vocab_size)

    def params_of(request: Request) -> Any:
        return sampling_params(
            max_tokens=request.max_tokens,
            temperature=scenario.temperature,
            ignore_eos=not scenario.natural_end,
            seed=scenario.seed + request.index,
        )

    def run(some: list[Request], at_once: int | None) -> Drive:
        return drive(
            engine,
            some,
            params_of,
            concurrency=at_once,
            fixed_length=not scenario.natural_end,
            limit=scenario.limit,
        )

    at_once = concurrency(scenario.load)
    warm = run(warmup_requests(scenario, requests, vocab_size), at_once)
    peaks = _peaks(scenario.model.device)
    control = control_of(scenario.model.device)
    forget_peaks(scenario.model.device)  # the control's buffers are not the engine's
    engine.reset_counters()
    gc.collect()
    gc.freeze()  # what is alive by now is not looked at again during the load
    try:
        with Sampler(gpu) as sampler:
            cpu_before = time.process_time()
            done = run(requests, at_once)
            cpu_time = time.process_time() - cpu_before
    finally:
        gc.unfreeze()
    first = (*warm.records, *done.records)[0]
    return _Loaded(
        control=control,
        peaks=peaks,
        done=done,
        counters=dict(engine.counters()),
        samples=sampler.samples,
        joules=sampler.joules,
        cpu_time=cpu_time,
        first_token_time=first.ttft,
    )


def _peaks(device: str) -> Values:
    return {"peak_rss": peak_rss(), "peak_cuda_memory": peak_cuda_memory(device)}


def _higher_of(one: Values, other: Values) -> Values:
    known = {name: [v for v in (one[name], other[name]) if v is not None] for name in one}
    return {name: max(values, default=None) for name, values in known.items()}


def _require_settings(config: Any, settings: dict[str, Any]) -> None:
    """Raise UnavailableError for settings that the measured commit's engine does not have yet."""
    unknown = sorted(settings.keys() - {field.name for field in dataclasses.fields(config)})
    if unknown:
        raise UnavailableError(f"this commit's EngineConfig has no {', '.join(unknown)}")


def _turns(scenario: Scenario, done: Drive) -> Values:
    if not isinstance(scenario.workload, Conversations):
        return {}
    return turn_metrics(done.records, scenario.workload)


def _startup(import_time: float | None, construct_time: float, first: float | None) -> Values:
    parts = (import_time, construct_time, first)
    known = [part for part in parts if part is not None]
    return {
        "import_time": import_time,
        "construct_time": construct_time,
        "first_token_time": first,
        "cold_start_time": sum(known) if len(known) == len(parts) else None,
    }


def _per_token(loaded: _Loaded, telemetry: dict[str, Any] | None) -> Values:
    tokens = sum(r.output_tokens for r in loaded.done.records)
    energy = telemetry["energy"] if telemetry and telemetry["energy_valid"] else None
    return {
        "cpu_time_per_token": loaded.cpu_time / tokens if tokens else None,
        "energy_per_token": energy / tokens if tokens and energy is not None else None,
        "gpu_utilization": telemetry["utilization_mean"] if telemetry else None,
    }


def _trace_digest() -> str:
    return hashlib.sha256(trace_path().read_bytes()).hexdigest()
