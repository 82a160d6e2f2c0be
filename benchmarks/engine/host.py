"""The engine without its model: how long, and how many calls, the host takes for a decoding step.

``python -m benchmarks.engine.host`` prints the price of each way to do it, taken in turns.
"""

from __future__ import annotations

import functools
import gc
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any, TypeVar

from benchmarks.engine.fingerprint import pin_threads
from benchmarks.engine.source import import_engine
from tracker.load.catalogue import Metric
from tracker.load.suite import publish

__all__ = ["host_metrics", "host_suite", "measure_host"]

LIMIT = 600  # seconds, most of them to import torch on a busy machine
WARMUP = 40
STEPS = 320  # a multiple of the block size: as many new blocks in every launch
METRICS = (
    Metric("host_time_per_step", "Host time of a decoding step, no model", "s", "lower", "timing"),
    Metric("host_calls_per_step", "Function calls of a decoding step, no model", "calls", "lower", "exact"),
)  # fmt: skip
WAYS: tuple[dict[str, Any], ...] = ({}, {"enable_staging": False}, {"enable_overlap": True})
ROUNDS = 7
T = TypeVar("T")


def host_suite(*, version: str, batch: int) -> Callable[[type[T]], type[T]]:
    """Return a class decorator that adds the benchmarks of a stubbed engine.

    The class has a ``setup_cache`` of its own that returns ``measure_host(self)``.

    Args:
        version: Set by hand; raise it whenever the work changes.
        batch: Sequences that decode at once.
    """

    def decorate(cls: Any) -> Any:
        publish(cls, METRICS, version=version, timeout=LIMIT)
        cls.batch = batch
        return cls

    return decorate


def measure_host(instance: Any) -> dict[str, Any]:
    """Measure the batch of ``instance``'s class; what its ``setup_cache`` returns."""
    import_engine()
    pin_threads()
    try:
        return {"metrics": host_metrics(instance.batch), "void": None}
    except AttributeError as error:
        return {"skipped": f"this commit's engine cannot be stubbed: {error}"}


def host_metrics(batch: int, **engine: Any) -> dict[str, float]:
    """Return what a decoding step of ``batch`` sequences takes.

    Args:
        batch: Sequences.
        engine: Keyword arguments of ``EngineConfig`` beside device and seats.

    Raises:
        AttributeError: The engine has no decoder where the stub goes.
    """
    from inference import LLM, EngineConfig, SamplingParams

    llm = LLM("tiny", EngineConfig(device="cpu", max_num_seqs=64, max_model_len=1024, **engine))
    _stub_model(llm)
    params = SamplingParams(max_tokens=2 * (WARMUP + 2 * STEPS), ignore_eos=True)
    for i in range(batch):
        llm.submit([1] * (10 + i), params)
    for _ in range(WARMUP):
        llm.step()
    gc.collect()
    gc.freeze()
    try:
        times = []
        for _ in range(STEPS):
            began = time.perf_counter()
            llm.step()
            times.append(time.perf_counter() - began)
    finally:
        gc.unfreeze()
    calls = _count_calls(lambda: [llm.step() for _ in range(STEPS)])
    return {"host_time_per_step": median(times), "host_calls_per_step": calls / STEPS}


def _stub_model(llm: Any) -> None:
    import torch

    decoder = llm._runner.decoder
    hidden = torch.zeros(2048, llm.model.hidden_size)
    logits = torch.zeros(2048, llm.model.vocab_size)
    logits[:, 3] = 1.0
    # Kept by length: a slice is an op of its own, and none of the engine's.
    hidden_of = functools.cache(lambda count: hidden[:count])
    logits_of = functools.cache(lambda count: logits[:count])
    decoder.forward = lambda tokens, *_: hidden_of(len(tokens))
    decoder.logits = lambda rows: logits_of(len(rows))


def _count_calls(run: Callable[[], Any]) -> int:
    """Return the calls of Python's and of C's functions that ``run`` makes; exact, and slow."""
    calls = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        run()
    finally:
        sys.setprofile(None)
    return calls


def _print_prices() -> None:
    """Print every way's fastest median and its calls, in rounds over all ways."""
    import_engine()
    pin_threads()
    for batch in (1, 32):
        rounds = [[host_metrics(batch, **way) for way in WAYS] for _ in range(ROUNDS)]
        for way, results in zip(WAYS, zip(*rounds, strict=True), strict=True):
            fastest = min(result["host_time_per_step"] for result in results)
            calls = results[0]["host_calls_per_step"]
            name = ", ".join(f"{key}={value}" for key, value in way.items()) or "as it comes"
            sys.stdout.write(f"{batch:3} {name:24} {fastest * 1e6:6.0f} us {calls:7.1f} calls\n")


if __name__ == "__main__":
    _print_prices()
