"""One launch: one process, one engine, one scenario, every metric.

In order: import the engine and check where it came from, pin threads, construct, warm up, drive
the load under telemetry, count, write the artifact.
"""

from __future__ import annotations

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
from benchmarks.harness.drive import Drive, drive
from benchmarks.harness.fingerprint import fingerprint, gpu_of, pin_threads
from benchmarks.harness.memory import peak_cuda_memory, peak_rss
from benchmarks.harness.metrics import Values, counter_metrics, latency_metrics
from benchmarks.harness.models import locate
from benchmarks.harness.records import Request
from benchmarks.harness.scenario import Replay, Scenario, describe
from benchmarks.harness.source import import_engine
from benchmarks.harness.telemetry import Sampler, sample_lines, summarise
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
        UnavailableError: This machine lacks the model, its device, or the trace.
        SourceMismatchError: The engine is not that of ``PACEKEEPER_SOURCE``.
        TraceError: The trace cannot be read.
    """
    model = locate(scenario.model)
    if isinstance(scenario.workload, Replay):
        trace_path()  # a missing trace is found before an engine is made
    started_at = datetime.now(UTC)
    began = time.perf_counter()
    imported = import_engine()
    pin_threads()
    inference = imported.module

    constructing = time.perf_counter()
    config = inference.EngineConfig(device=scenario.model.device, **scenario.engine)
    engine = inference.LLM(model, config)
    construct_time = time.perf_counter() - constructing

    gpu = gpu_of(scenario.model.device)
    try:
        vocab_size = engine.describe()["vocab_size"]
        requests = make_requests(scenario, vocab_size)

        def params_of(request: Request) -> Any:
            return inference.SamplingParams(
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

        warm = run(warmup_requests(scenario, requests, vocab_size), 1)
        engine.reset_counters()
        gc.collect()
        gc.freeze()  # what is alive by now is not looked at again during the load
        try:
            with Sampler(gpu) as sampler:
                cpu_before = time.process_time()
                done = run(requests, concurrency(scenario.load))
                cpu_time = time.process_time() - cpu_before
        finally:
            gc.unfreeze()
        counters = dict(engine.counters())
        telemetry = summarise(sampler.samples, sampler.joules)
        first = warm.records[0].ttft if warm.records else done.records[0].ttft
        metrics: Values = {
            **latency_metrics(done.records, scenario.slos),
            **counter_metrics(counters),
            **_startup(imported.seconds, construct_time, first),
            **_per_token(done, cpu_time, telemetry),
            "peak_rss": peak_rss(),
            "peak_cuda_memory": peak_cuda_memory(scenario.model.device),
        }
        extra = {"trace": _trace_digest()} if isinstance(scenario.workload, Replay) else {}
        launch_id = uuid.uuid4().hex
        work = work_of(done)
        header = {
            "record": "launch",
            "format": FORMAT,
            "launch_id": launch_id,
            "benchmark": benchmark,
            "started_at": started_at.isoformat(timespec="seconds"),
            "duration": time.perf_counter() - began,
            "window": [done.started - began, done.ended - began],
            "scenario": describe(scenario),
            "fingerprint": fingerprint(scenario.model.device, gpu, extra),
            "engine": {**engine.describe(), "source": str(imported.path)},
            "metrics": metrics,
            "counters": counters,
            "work": work,
            "telemetry": telemetry,
        }
    finally:
        if gpu is not None:
            gpu.close()
        engine.close()
    directory = artifact_directory()
    path = None
    if directory is not None:
        lines = [request_line(record, done.started - began) for record in done.records]
        path = write_artifact(directory, header, lines + sample_lines(sampler.samples, began))
    failures = tuple(r.failure for r in done.records if r.failure is not None)
    return LaunchResult(launch_id, metrics, counters, work, failures, path)


def _startup(import_time: float | None, construct_time: float, first: float | None) -> Values:
    parts = (import_time, construct_time, first)
    known = [part for part in parts if part is not None]
    return {
        "import_time": import_time,
        "construct_time": construct_time,
        "first_token_time": first,
        "cold_start_time": sum(known) if len(known) == len(parts) else None,
    }


def _per_token(done: Drive, cpu_time: float, telemetry: dict[str, Any] | None) -> Values:
    tokens = sum(r.output_tokens for r in done.records)
    valid = telemetry is not None and telemetry["energy_valid"]
    return {
        "cpu_time_per_token": cpu_time / tokens if tokens else None,
        "energy_per_token": telemetry["energy"] / tokens
        if telemetry and valid and tokens
        else None,
        "gpu_utilization": telemetry["utilization_mean"] if telemetry else None,
    }


def _trace_digest() -> str:
    return hashlib.sha256(trace_path().read_bytes()).hexdigest()
