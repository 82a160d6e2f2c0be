"""One simulated launch in full: its requests, and what its device said while they ran. Pure.

Made to fit what `tracker.demo.engine` says the launch measured, so that every page of the dashboard
shows the same engine.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from statistics import fmean
from typing import Any

__all__ = ["Device", "SimulatedLaunch", "simulate_kernels", "simulate_launch"]

SLOTS = 16  # requests at once
ROUNDS = 4  # requests a slot makes, one after the other
PROMPT_TOKENS = 1024
OUTPUT_TOKENS = 128
STARTED = 1.5  # seconds from the launch to the load: weights, warm-up
INTERVAL = 0.1  # seconds between samples of the device
EVERY = 5  # samples between two of its counters
UUID = "GPU-synthetic"
PARAMETERS = 8e9  # of the model
BYTES_PER_PARAMETER = 2


@dataclass(frozen=True, slots=True)
class Device:
    """What is simulated of a GPU.

    Attributes:
        bandwidth: Ceiling, bytes a second.
        flops: Ceiling, operations a second.
        power: Watts when busy.
        clock: Of the multiprocessors, Hz.
        memory: In use, bytes.
        activity: Whether it tells how busy its parts are; consumer cards do not.
    """

    bandwidth: float
    flops: float
    power: float
    clock: float
    memory: float
    activity: bool = True


@dataclass(frozen=True, slots=True)
class SimulatedLaunch:
    """What a launch artifact holds: `facts` belong into its header, `lines` below it."""

    facts: dict[str, Any]
    lines: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Request:
    submitted: float
    token_times: tuple[float, ...]


def simulate_launch(
    *, ttft: float, tpot: float, device: Device, chance: random.Random
) -> SimulatedLaunch:
    """Return a launch of a closed loop whose latencies have about the given medians.

    Args:
        ttft: Time to first token, s.
        tpot: Time per output token, s.
        device: What it runs on.
        chance: Where its noise comes from.
    """
    requests = sorted(_requests(ttft, tpot, chance), key=lambda request: request.submitted)
    ended = max(request.token_times[-1] for request in requests)
    samples, counted = _samples(requests, ended, device, chance)
    joules = sum(sample["power"] for sample in samples) * INTERVAL
    tokens = len(requests) * OUTPUT_TOKENS
    telemetry = _summary(samples, counted, joules)
    gpu = telemetry["gpus"][0]
    measured = {"gpu_utilization": gpu["utilization_mean"], "energy_per_token": joules / tokens}
    facts = {
        "duration": ended + 0.4,
        "window": [STARTED, ended],
        "work": {"requests": len(requests), "output_tokens": tokens},
        "telemetry": telemetry,
        "metrics": {"error_rate": 0.0, **measured, **(gpu["counters"] or {})},
        "tiers": dict.fromkeys(measured, "nvml") | dict.fromkeys(gpu["counters"] or {}, "gpm"),
        **_analytic(requests, tpot, device),
    }
    lines: list[dict[str, Any]] = [
        {
            "record": "request",
            "index": index,
            "prompt_tokens": PROMPT_TOKENS,
            "output_tokens": OUTPUT_TOKENS,
            "cached_tokens": 0,
            "submitted": round(request.submitted, 4),
            "token_times": [round(time, 4) for time in request.token_times],
            "finish_reason": "length",
            "error": None,
        }
        for index, request in enumerate(requests)
    ]
    return SimulatedLaunch(facts, lines + samples + counted)


# Name, bytes and FLOPs of a call, share of the roof that it reaches: a layer of a model of 8e9 parameters.
_KERNELS = (
    ("linear, 1 row", 1.007e8, 1.007e8, 0.91),
    ("linear, 16 rows", 1.012e8, 1.611e9, 0.86),
    ("linear, 8192 rows", 3.69e8, 8.246e11, 0.63),
    ("add_rms_norm", 2.685e8, 1.678e8, 0.88),
    ("silu_mul", 6.04e8, 5.033e8, 0.9),
    ("paged_attention, 32 sequences", 3.3e8, 1.32e9, 0.74),
)


def simulate_kernels(device: Device, chance: random.Random) -> list[dict[str, Any]]:
    """Return what the kernel suites of a launch write into its header: each kernel's call."""
    return [
        {
            "name": name,
            "bytes": moved,
            "flops": flops,
            "seconds": max(moved / device.bandwidth, flops / device.flops)
            / (share * (1 + chance.gauss(0, 0.01))),
        }
        for name, moved, flops, share in _KERNELS
    ]


def _requests(ttft: float, tpot: float, chance: random.Random) -> list[_Request]:
    made = []
    for slot in range(SLOTS):
        now = STARTED + 0.02 * slot
        for _ in range(ROUNDS):
            submitted = now
            now += ttft * math.exp(chance.gauss(0, 0.3))
            own = tpot * math.exp(chance.gauss(0, 0.03))
            times = [now]
            for _ in range(OUTPUT_TOKENS - 1):
                # Now and then a prompt of another request runs in the same step.
                stall = 1 + 1.2 * chance.random() if chance.random() < 0.02 else 1.0
                now += own * stall * math.exp(chance.gauss(0, 0.05)) * 0.972
                times.append(now)
            made.append(_Request(submitted, tuple(times)))
    return made


def _samples(
    requests: list[_Request], ended: float, device: Device, chance: random.Random
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What NVML says ten times a second, and the means of the counters twice a second."""
    temperature = 41.0
    samples: list[dict[str, Any]] = []
    counted: list[dict[str, Any]] = []
    for number in range(int((ended - STARTED) / INTERVAL) + 1):
        time = STARTED + number * INTERVAL
        waiting = sum(r.submitted <= time < r.token_times[0] for r in requests)
        decoding = sum(r.token_times[0] <= time < r.token_times[-1] for r in requests)
        prefill = min(1.0, waiting / 6)
        decode = min(1.0, decoding / SLOTS)
        load = max(0.85 * decode, prefill)
        power = device.power * (0.18 + 0.62 * load + 0.2 * prefill) * (1 + chance.gauss(0, 0.012))
        temperature += (36.0 + 34.0 * power / device.power - temperature) * 0.035
        named = {"record": "telemetry", "gpu": UUID, "time": round(time, 3)}
        samples.append(
            {
                **named,
                "utilization": _share(0.3 + 0.68 * load, chance),
                "memory_utilization": _share(0.5 * load, chance),
                "memory_used": int(device.memory),
                "power": round(power, 1),
                "sm_clock": round(device.clock * (1 - 0.045 * prefill), -7),
                "memory_clock": 2.62e9,
                "temperature": round(temperature),
                "throttle": [],
                "problem": None,
            }
        )
        if device.activity and number and number % EVERY == 0:
            counted.append(
                {
                    **named,
                    "span": EVERY * INTERVAL,
                    "sm_active": _share(0.42 * decode + 0.5 * prefill, chance),
                    "sm_occupancy": _share(0.2 * decode + 0.3 * prefill, chance),
                    "tensor_active": _share(0.09 * decode + 0.52 * prefill, chance),
                    "dram_active": _share(0.66 * decode * (1 - 0.5 * prefill), chance),
                }
            )
    return samples, counted


def _share(value: float, chance: random.Random) -> float:
    return round(min(1.0, max(0.0, value * (1 + chance.gauss(0, 0.03)))), 3)


def _summary(
    samples: list[dict[str, Any]], counted: list[dict[str, Any]], joules: float
) -> dict[str, Any]:
    names = ("sm_active", "sm_occupancy", "tensor_active", "dram_active")
    gpu = {
        "uuid": UUID,
        "model": "Synthetic GPU",
        "serves": True,
        "window": len(samples) * INTERVAL,
        "samples": len(samples),
        "tier": "gpm" if counted else "nvml",
        "counters": {name: fmean(line[name] for line in counted) for name in names}
        if counted
        else None,
        "counter_window": counted[-1]["time"] - counted[0]["time"] if counted else None,
        "counter_problem": None,
        "utilization_mean": fmean(sample["utilization"] for sample in samples),
        "memory_utilization_mean": fmean(sample["memory_utilization"] for sample in samples),
        "memory_used_max": max(sample["memory_used"] for sample in samples),
        "power_mean": fmean(sample["power"] for sample in samples),
        "sm_clock_mean": fmean(sample["sm_clock"] for sample in samples),
        "sm_clock_min": min(sample["sm_clock"] for sample in samples),
        "memory_clock_min": min(sample["memory_clock"] for sample in samples),
        "temperature_max": max(sample["temperature"] for sample in samples),
        "throttle_reasons": [],
        "throttled_share": {},
        "co_tenants": [],
        "energy": joules,
        "energy_valid": True,
        "energy_problem": None,
        "failed_samples": 0,
        "problem": None,
    }
    shared = {name: gpu[name] for name in ("energy", "energy_valid", "energy_problem")}
    return {"source": "nvml", "gpus": [gpu], "dcgm": [], **shared}


def _analytic(requests: list[_Request], tpot: float, device: Device) -> dict[str, Any]:
    """What the steps had to read and compute, and for how long they ran."""
    prompts = PROMPT_TOKENS * len(requests)
    decoded = (OUTPUT_TOKENS - 1) * len(requests)
    steps = decoded / SLOTS
    prefill_steps = len(requests) / 2
    weights = PARAMETERS * BYTES_PER_PARAMETER
    prefill_flops, decode_flops = (2 * PARAMETERS * tokens for tokens in (prompts, decoded))
    prefill_bytes, decode_bytes = prefill_steps * weights * 1.1, steps * weights * 1.35
    seconds = {"prefill": prefill_flops / (0.46 * device.flops), "decode": steps * tpot * 0.62}
    return {
        "counters": {
            "steps": steps + prefill_steps,
            "prefill_steps": prefill_steps,
            "model_flops": prefill_flops + decode_flops,
            "model_bytes": prefill_bytes + decode_bytes,
            "prefill_flops": prefill_flops,
            "prefill_bytes": prefill_bytes,
        },
        "utilization": {
            "tier": "analytic",
            "ceiling": {"bandwidth": device.bandwidth, "flops": device.flops},
            "step_seconds": seconds,
        },
    }
