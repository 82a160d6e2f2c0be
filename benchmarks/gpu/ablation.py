"""What each optimisation is worth: the same work with its flag on and off, interleaved."""

from __future__ import annotations

import time
from dataclasses import fields
from statistics import median
from typing import Any

from benchmarks.gpu.context import Context
from benchmarks.gpu.load import SIZES, label, make_engine, prompts
from benchmarks.gpu.records import GpuMeasurement
from benchmarks.gpu.timing import wait

__all__ = ["flags", "price"]


def flags() -> list[str]:
    """Return the engine's ablation flags, so that a new one is priced without being named here."""
    return list(_defaults())


def price(flag: str, context: Context) -> list[GpuMeasurement]:
    """Return, for one sequence and for a full batch, seconds with the flag off / seconds with it on.

    Off means the other value than the default. Prompts are fresh in each round and begin alike, so
    that prefix sharing has something to share.
    """
    size = SIZES[context.device]
    # A flag whose default is left to the engine is on where it can be.
    default = _defaults()[flag] is not False
    cache = {"max_num_seqs": max(size.batches), "max_model_len": 4 * size.context}
    if context.device == "cuda":
        cache["kv_cache_bytes"] = 8 << 30  # two engines beside each other
    with_default = make_engine(size.ablated, context.device, **cache)
    toggled = make_engine(size.ablated, context.device, **cache, **{flag: not default})
    on, off = (with_default, toggled) if default else (toggled, with_default)
    measured = []
    for batch in (1, max(size.batches)):
        seconds: dict[bool, list[float]] = {True: [], False: []}
        for round_ in range(size.repeats + 1):
            order = (True, False) if round_ % 2 else (False, True)
            for enabled in order:
                seconds[enabled].append(
                    _serve(on if enabled else off, batch, round_, context.device)
                )
        # The first round of each warms up.
        worth = median(seconds[False][1:]) / median(seconds[True][1:])
        name = f"gpu_engine.{label(size.ablated)}.track_worth_of_{flag.removeprefix('enable_')}"
        measured.append(GpuMeasurement(f"{name}_b{batch}", worth, "1", "higher", "other"))
    return measured


def _serve(engine: Any, batch: int, round_: int, device: str) -> float:
    """Return the seconds that ``batch`` requests take from submission to their last token."""
    from inference import SamplingParams

    size = SIZES[device]
    (common,) = prompts(engine, 1, size.context // 2, seed=0)
    own = prompts(engine, batch, size.context // 2, seed=1 + round_)
    params = SamplingParams(max_tokens=size.tokens // 2, ignore_eos=True)
    wait(device)
    began = time.perf_counter()
    engine.generate([common + rest for rest in own], params)
    return time.perf_counter() - began


def _defaults() -> dict[str, Any]:
    from inference import EngineConfig

    return {f.name: f.default for f in fields(EngineConfig) if f.name.startswith("enable_")}
