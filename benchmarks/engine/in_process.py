"""The engine in this process as the target of a load.

In order: import the engine and check where it came from, pin threads, construct, warm up, measure
the ceilings of the device, drive the load, count. The control workload runs right before and right
after the load.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.engine.ceiling import device_memory, measure_ceiling, processor_ticks
from benchmarks.engine.control import control_of
from benchmarks.engine.fingerprint import fingerprint, gpus_of, pin_threads
from benchmarks.engine.memory import forget_peaks, peak_cuda_memory, peak_rss
from benchmarks.engine.models import locate, require_device
from benchmarks.engine.source import import_engine
from tracker.load import suite as suites
from tracker.load.control import control_metrics
from tracker.load.datasheet import datasheet
from tracker.load.drive import Drive, drive
from tracker.load.errors import UnavailableError
from tracker.load.metrics import Values, counter_metrics, total
from tracker.load.records import LoadRequest
from tracker.load.run import LoadResult, run_scenario
from tracker.load.scenario import Scenario
from tracker.load.target import Observation
from tracker.load.utilization import (
    TIER,
    Ceiling,
    Ticks,
    against_datasheet,
    cpu_metrics,
    utilization_metrics,
)

__all__ = ["InProcess", "Restarted", "run_in_process", "suite"]


class InProcess:
    """The engine of ``inference``, constructed for one scenario; a ``tracker.load.target.Target``.

    Raises:
        UnavailableError: This machine lacks the model or its device; or this commit's engine lacks
            a setting.
        SourceMismatchError: The engine is not that of ``PACEKEEPER_SOURCE``.
    """

    def __init__(self, scenario: Scenario) -> None:
        model = locate(scenario.model)
        imported = import_engine()  # nothing before this imports torch: the import is timed
        require_device(scenario.model)
        pin_threads()
        constructing = time.perf_counter()
        settings = {"seed": scenario.seed, **scenario.engine}
        _require_settings(imported.module.EngineConfig, settings)
        config = imported.module.EngineConfig(device=scenario.model.device, **settings)
        # An older commit has one engine only.
        open_engine = getattr(imported.module, "open_engine", imported.module.LLM)
        self._engine = open_engine(model, config)
        self._construct_time = time.perf_counter() - constructing
        self._imported = imported
        self.source = imported.path
        self._scenario = scenario
        self._closed = False
        self._capture_time: float | None = None
        self._cpu_time = 0.0
        self._peaks: Values = {}
        self._control: dict[str, float] = {}
        self._ceiling: Ceiling | None = None
        self._ticks: tuple[Ticks | None, Ticks | None] = (None, None)
        self.gpus = gpus_of(scenario.model.device)
        self.num_serving = 1  # the engine computes on the first device
        self.vocab_size = int(self._engine.describe()["vocab_size"])

    @staticmethod
    def trace(benchmark: str, scenario: Scenario, directory: Path) -> None:
        """Write a trace of the scenario's load into ``directory``, from an engine of its own."""
        from benchmarks.engine.profile import capture

        capture(benchmark, scenario, directory)

    @property
    def engine(self) -> Any:
        """The engine itself."""
        return self._engine

    def drive(self, requests: Sequence[LoadRequest], concurrency: int | None) -> Drive:
        """Run the requests to their ends."""
        ticks = processor_ticks()
        before = time.process_time()
        done = drive(
            self._engine,
            requests,
            self.params_of,
            concurrency=concurrency,
            fixed_length=not self._scenario.natural_end,
            limit=self._scenario.limit,
        )
        self._cpu_time = time.process_time() - before
        self._ticks = ticks, processor_ticks()
        return done

    def begin(self) -> None:
        """Finish the warm-up, measure ceilings and control, then start counters and peaks anew."""
        self._peaks = self._peaks_now()
        if self._scenario.warmup:  # else no clock is read, and the peak memory is the load's own
            if hasattr(self._engine, "warm_up"):  # an older commit has none
                began = time.perf_counter()
                self._engine.warm_up()  # after the first request, whose wait is a metric of its own
                self._capture_time = time.perf_counter() - began
            dtype = str(self._engine.describe()["dtype"])
            self._ceiling = measure_ceiling(self._scenario.model.device, dtype)
        self._control = control_of(self._scenario.model.device)
        # The buffers of ceiling and control are not the engine's.
        forget_peaks(self._scenario.model.device)
        self._engine.reset_counters()

    def finish(self, warm: Drive, done: Drive) -> Observation:
        """Return counters, peaks and start-up times; close the engine; run the control again."""
        counters = dict(self._engine.counters())
        seconds = self._engine.step_seconds() if hasattr(self._engine, "step_seconds") else None
        tokens = total(r.output_tokens for r in done.records)
        stated = datasheet(self.gpus[0].model()) if self.gpus else None
        metrics: Values = {
            **counter_metrics(counters),
            "blocks_leaked": self._blocks_in_use(),
            # A CPU has no graphs to lose: no value there, rather than 0.
            **({} if self._scenario.model.device == "cuda" else {"graph_replay_share": None}),
            **_startup(
                self._imported.seconds,
                self._construct_time,
                (*warm.records, *done.records)[0].ttft,
            ),
            "capture_time": self._capture_time,
            "warm_first_token_time": done.records[0].ttft if self._scenario.warmup else None,
            **_higher_of(self._peaks, self._peaks_now()),
            "cpu_time_per_token": self._cpu_time / tokens if tokens else None,
            **utilization_metrics(
                counters,
                seconds,
                self._ceiling,
                device_memory=device_memory(self._scenario.model.device),
            ),
            **against_datasheet(counters, seconds, stated),
            "communication_share": _communication_share(self._engine, seconds),
            **cpu_metrics(self._cpu_time, done.ended - done.started, *self._ticks),
        }
        serving = self.gpus[: self.num_serving]
        environment = fingerprint(self._scenario.model.device, serving, {})
        described = {**self._engine.describe(), "source": str(self._imported.path)}
        self.close()
        control = {"before": self._control, "after": control_of(self._scenario.model.device)}
        return Observation(
            metrics=metrics | control_metrics(**control),
            counters=counters,
            engine=described,
            fingerprint=environment,
            control=control,
            utilization={
                "tier": TIER,
                "ceiling": None if self._ceiling is None else dataclasses.asdict(self._ceiling),
                "datasheet": None if stated is None else dataclasses.asdict(stated),
                "step_seconds": seconds,
            },
        )

    def close(self) -> None:
        """Close the engine and NVML."""
        if self._closed:
            return
        self._closed = True
        for gpu in self.gpus:
            gpu.close()
        self._engine.close()

    def params_of(self, request: LoadRequest) -> Any:
        """Return the sampling parameters of a request."""
        return self._imported.module.SamplingParams(
            max_tokens=request.max_tokens,
            temperature=self._scenario.temperature,
            ignore_eos=not self._scenario.natural_end,
            seed=self._scenario.seed + request.index,
        )

    def _blocks_in_use(self) -> float | None:
        if not hasattr(self._engine, "occupancy"):  # an older commit
            return None
        return float(self._engine.occupancy()["blocks_used"])

    def _peaks_now(self) -> Values:
        device = self._scenario.model.device
        return {"peak_rss": peak_rss(), "peak_cuda_memory": peak_cuda_memory(device)}


class Restarted(InProcess):
    """The same, and a second engine made after the load: what a restart in a warm process costs."""

    def finish(self, warm: Drive, done: Drive) -> Observation:
        """As of `InProcess`."""
        observed = super().finish(warm, done)
        began = time.perf_counter()
        config = self._engine.config
        with self._imported.module.LLM(locate(self._scenario.model), config):
            seconds = time.perf_counter() - began
        return dataclasses.replace(
            observed, metrics={**observed.metrics, "warm_construct_time": seconds}
        )


def run_in_process(benchmark: str, scenario: Scenario) -> LoadResult:
    """Run ``scenario`` once on the engine in this process; see ``run_scenario``."""
    return run_scenario(benchmark, scenario, InProcess)


suite = functools.partial(suites.suite, target=InProcess)
"""As `tracker.load.suite.suite`, on the engine in this process."""


def _higher_of(before: Values, after: Values) -> Values:
    known = {name: [v for v in (before[name], after[name]) if v is not None] for name in before}
    return {name: max(values, default=None) for name, values in known.items()}


def _require_settings(config: Any, settings: dict[str, Any]) -> None:
    """Raise UnavailableError for settings that the measured commit's engine does not have yet."""
    unknown = sorted(settings.keys() - {field.name for field in dataclasses.fields(config)})
    if unknown:
        raise UnavailableError(f"this commit's EngineConfig has no {', '.join(unknown)}")


def _startup(import_time: float | None, construct_time: float, first: float | None) -> Values:
    parts = (import_time, construct_time, first)
    known = [part for part in parts if part is not None]
    return {
        "import_time": import_time,
        "construct_time": construct_time,
        "first_token_time": first,
        "cold_start_time": sum(known) if len(known) == len(parts) else None,
    }


def _communication_share(engine: Any, seconds: dict[str, float] | None) -> float | None:
    """Return the share of the steps' time in collectives; None on one device, or if the engine does not say."""
    in_steps = sum(seconds.values()) if seconds else 0.0  # 0 where every request was refused
    if not in_steps or not hasattr(engine, "communication_seconds"):  # an older commit
        return None
    return engine.communication_seconds() / in_steps or None
