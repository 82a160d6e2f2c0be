"""One scenario against one target: warm up, drive the load under telemetry, write the artifact."""

from __future__ import annotations

import gc
import hashlib
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tracker.load.artifact import (
    FORMAT,
    artifact_directory,
    request_line,
    work_of,
    write_artifact,
)
from tracker.load.cost import cost_per_mtok, stated_price
from tracker.load.metrics import Values, latency_metrics, quantile, throughput, total
from tracker.load.records import RequestRecord
from tracker.load.scenario import Conversations, Probed, Replay, Scenario, describe
from tracker.load.slices import time_slices
from tracker.load.target import OpenTarget
from tracker.load.telemetry import (
    Sampler,
    dcgm_processes,
    device_metrics,
    own_processes,
    sample_lines,
    summarise,
)
from tracker.load.turns import turn_metrics
from tracker.load.utilization import analytic_tiers
from tracker.load.workload import concurrency, make_requests, trace_path, warmup_requests

__all__ = ["LoadResult", "run_scenario"]


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What a run of a scenario measured.

    Attributes:
        launch_id: Unique.
        metrics: Every metric by name; None where it has no value here.
        counters: The target's, over the timed part.
        work: Requests, tokens and digests.
        failures: Why requests failed, one entry a failed request.
        void: Why no latency of this load may be used: too many requests failed, or the client was
            the limit. None where they may be.
        client_bound: Whether it is the latter, which says nothing of the target.
        artifact: The file written; None where no directory was named.
    """

    launch_id: str
    metrics: Values
    counters: dict[str, float]
    work: dict[str, Any]
    failures: tuple[str, ...]
    void: str | None
    client_bound: bool
    artifact: Path | None


def run_scenario(
    benchmark: str,
    scenario: Scenario,
    open_target: OpenTarget,
    *,
    directory: Path | None = None,
    device_hour: float | None = None,
) -> LoadResult:
    """Run ``scenario`` once and return its numbers.

    Args:
        benchmark: The suite class as asv names it: ``bench_serving.TinyC4``; or the scenario's name.
        scenario: What to run.
        open_target: Starts, or connects to, what serves the load.
        directory: Where the launch artifact goes; None: where ``PACEKEEPER_ARTIFACTS`` says.

        device_hour: Price of one device for an hour; None: what ``PACEKEEPER_DEVICE_HOUR`` says.

    Raises:
        UnavailableError: This machine or this commit lacks what the scenario needs.
        TraceError: The trace cannot be read.
        MeasurementError: The target cannot be measured; says why.
    """
    if isinstance(scenario.workload, Replay):
        trace_path()  # a missing trace is reported before an engine is made
    started_at = datetime.now(UTC)
    began = time.perf_counter()
    target = open_target(scenario)
    try:
        requests = make_requests(scenario, target.vocab_size)
        at_once = concurrency(scenario.load)
        warm = target.drive(warmup_requests(scenario, requests, target.vocab_size), at_once)
        target.begin()
        gc.collect()
        gc.freeze()  # what is alive by now is not looked at again during the load
        try:
            with Sampler(target.gpus, serving=target.num_serving) as sampler:
                done = target.drive(requests, at_once)
        finally:
            gc.unfreeze()
        own = own_processes()
        observed = target.finish(warm, done)
    finally:
        target.close()
    telemetry = summarise(sampler.gpus, own=own, dcgm=dcgm_processes() if target.gpus else None)
    of_gpus, tiers = device_metrics(telemetry, total(r.output_tokens for r in done.records))
    failures = tuple(r.failure for r in done.records if r.failure is not None)
    void = _too_many(failures, len(done.records), scenario.max_error_rate) or observed.client_bound
    metrics: Values = {
        **latency_metrics(done.records, scenario.slos),
        **_of_workload(scenario, done.records),
        **of_gpus,
        "cost_per_mtok": cost_per_mtok(
            stated_price() if device_hour is None else device_hour,
            sum(gpu.serves for gpu in sampler.gpus) or 1,
            throughput(done.records),
        ),
        **observed.metrics,
    }
    header: dict[str, Any] = {
        "record": "launch",
        "format": FORMAT,
        "launch_id": uuid.uuid4().hex,
        "benchmark": benchmark,
        "started_at": started_at.isoformat(timespec="seconds"),
        "duration": time.perf_counter() - began,
        "window": [done.started - began, done.ended - began],
        "scenario": describe(scenario),
        "fingerprint": _with_trace(observed.fingerprint, scenario),
        "engine": observed.engine,
        "control": observed.control,
        "metrics": metrics,
        "counters": observed.counters,
        "work": work_of(done),
        "telemetry": telemetry,
        "utilization": observed.utilization,
        "time": time_slices(done.records),
        "tiers": {**tiers, **analytic_tiers(metrics)},
        "void": void,
    }
    path = None
    directory = directory or artifact_directory()
    if directory is not None:
        lines = [request_line(record, done.started - began) for record in done.records]
        path = write_artifact(directory, header, lines + sample_lines(sampler.gpus, began))
    return LoadResult(
        launch_id=header["launch_id"],
        metrics=metrics,
        counters=observed.counters,
        work=header["work"],
        failures=failures,
        void=void,
        client_bound=void is not None and void == observed.client_bound,
        artifact=path,
    )


def _too_many(failures: tuple[str, ...], count: int, accepted: float) -> str | None:
    """Return why the load is void where more than the accepted share of requests failed."""
    if len(failures) <= accepted * count:
        return None
    return f"{len(failures)} of {count} requests failed; the first: {failures[0]}"


def _of_workload(scenario: Scenario, records: tuple[RequestRecord, ...]) -> Values:
    match scenario.workload:
        case Conversations() as chats:
            return turn_metrics(records, chats)
        case Probed():
            gaps = records[0].gaps if records[0].failure is None else ()
            return {
                "probe_gap_p50": quantile(gaps, 0.5),
                "probe_gap_max": max(gaps, default=None),
            }
    return {}


def _with_trace(fingerprint: Mapping[str, Any], scenario: Scenario) -> dict[str, Any]:
    """Add the digest of a replayed trace: other traces are other work."""
    if not isinstance(scenario.workload, Replay):
        return dict(fingerprint)
    digest = hashlib.sha256(trace_path().read_bytes()).hexdigest()
    extra = {**fingerprint.get("extra", {}), "trace": digest}
    return {**fingerprint, "extra": dict(sorted(extra.items()))}
