"""An engine and a GPU that keep their own time, for tests that must not depend on a real one."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any


class FakeClock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Event(tuple):
    """(request id, token id, time) with a finish reason, as the engine's events are."""

    def __new__(cls, request, token, time, finish_reason=None):
        event = super().__new__(cls, (request, token, time))
        event.finish_reason = finish_reason
        return event


@dataclass
class _Running:
    prompt: Any
    max_tokens: int
    tokens: list[int] = field(default_factory=list)
    finish_reason: str | None = None
    error: str | None = None


class FakeEngine:
    """One token a step for every running request; a step takes ``step_time``."""

    def __init__(self, clock: FakeClock, step_time: float = 0.01) -> None:
        self.clock = clock
        self.step_time = step_time
        self.requests: dict[int, _Running] = {}
        self.most_at_once = 0
        self.aborted: list[int] = []
        self.order: list[Any] = []
        self.stuck = False

    def submit(self, prompt, params):
        if params.max_tokens > 1000:
            raise ValueError("too long")
        request_id = 1000 + len(self.requests)
        self.requests[request_id] = _Running(prompt, params.max_tokens)
        self.order.append(prompt)
        self.most_at_once = max(self.most_at_once, len(self._running()))
        return request_id

    def step(self):
        self.clock.now += self.step_time
        events = []
        if self.stuck:
            return events
        for request_id, item in self._running().items():
            if item.max_tokens == 13:  # the unlucky one ends without a token
                item.finish_reason, item.error = "error", "logits were not finite"
                continue
            item.tokens.append(len(item.tokens) + 1)
            if len(item.tokens) == item.max_tokens:
                item.finish_reason = "length"
            events.append(Event(request_id, item.tokens[-1], self.clock.now, item.finish_reason))
        return events

    def output(self, request_id):
        item = self.requests[request_id]
        return SimpleNamespace(
            finish_reason=item.finish_reason,
            error=item.error,
            num_prompt_tokens=len(item.prompt),
            num_cached_tokens=0,
        )

    def abort(self, request_id):
        self.aborted.append(request_id)
        self.requests[request_id].finish_reason = "abort"

    def has_unfinished(self):
        return bool(self._running())

    def _running(self):
        return {i: r for i, r in self.requests.items() if r.finish_reason is None}


class FakeNvml:
    """The NVML calls that the load harness makes, with dials; a dial at None is not supported."""

    NVML_CLOCK_SM = 1
    NVML_CLOCK_MEM = 2
    NVML_TEMPERATURE_GPU = 0

    class NVMLError(Exception):
        pass

    def __init__(self, **dials: Any) -> None:
        self.dials: dict[str, Any] = {
            "power": 300_000,  # mW
            "energy": 1_000_000,  # mJ
            "sm": 1980,
            "mem": 2619,
            "utilization": 87,
            "used": 5 * 2**30,
            "temperature": 55,
            "reasons": 0,
            "uuid": "GPU-1",
            **dials,
        }
        self.open = 0

    def _dial(self, name):
        value = self.dials[name]
        if value is None:
            raise self.NVMLError(f"{name}: not supported")
        return value

    def nvmlInit(self):
        if self.dials["uuid"] is None:
            raise self.NVMLError("driver not loaded")
        self.open += 1

    def nvmlShutdown(self):
        self.open -= 1

    def nvmlDeviceGetHandleByUUID(self, uuid):
        if uuid != self.dials["uuid"]:
            raise self.NVMLError("not found")
        return uuid

    def nvmlDeviceGetPowerUsage(self, handle):
        return self._dial("power")

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):
        return self._dial("energy")

    def nvmlDeviceGetClockInfo(self, handle, which):
        return self._dial("sm" if which == self.NVML_CLOCK_SM else "mem")

    def nvmlDeviceGetApplicationsClock(self, handle, which):
        return self.nvmlDeviceGetClockInfo(handle, which)

    def nvmlDeviceGetUtilizationRates(self, handle):
        return SimpleNamespace(gpu=self._dial("utilization"), memory=0)

    def nvmlDeviceGetMemoryInfo(self, handle):
        return SimpleNamespace(used=self._dial("used"))

    def nvmlDeviceGetTemperature(self, handle, which):
        return self._dial("temperature")

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle):
        return self._dial("reasons")

    def nvmlDeviceGetName(self, handle):
        return b"NVIDIA Fake"

    def nvmlSystemGetDriverVersion(self):
        return "580.1"
