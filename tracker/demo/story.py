"""What happened to the synthetic project: its commits and its machines. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tracker.demo.engine import Engine, Machine
from tracker.demo.launch import Device
from tracker.domain import Fingerprint

__all__ = [
    "CHANGES",
    "DRIFT",
    "LOGGED",
    "NUM_COMMITS",
    "PLACES",
    "Change",
    "Place",
    "engine_at",
    "subject_at",
]

NUM_COMMITS = 120
DRIFT = range(88, 108)  # commits that each add to a decode step
_DRIFT_STEP = 1.0025
LOGGED = 116  # the commit that logs every batch, which costs time


@dataclass(frozen=True, slots=True)
class Change:
    """A commit that changes something.

    Attributes:
        subject: Of its message.
        prefill: Factor; likewise `decode`.
        sets: Attributes of the engine from here on.
        body: Of its message.
    """

    subject: str
    prefill: float = 1.0
    decode: float = 1.0
    sets: Mapping[str, object] | None = None
    body: str = ""


CHANGES: Mapping[int, Change] = {
    34: Change("Capture the decode step as a graph", decode=0.94),
    52: Change("Look for stop sequences in every prompt", prefill=1.09),
    60: Change("Look for stop sequences after sampling only", prefill=1 / 1.09),
    78: Change("Rotate keys and queries in kernels of their own", sets={"kernels": 218}),
    84: Change("Rename the block table", sets={"works": False}),
    85: Change("Use the block table's new name in the decode step", sets={"works": True}),
    112: Change(
        "Keep one more layer's activations",
        sets={"memory": 11.5},
        body="Perf-expect: LongPrompt.peak_memory +4.55% because recomputing them costs more time",
    ),
    LOGGED: Change("Log the size of every batch", decode=1.05),
}

_QUIET = (
    "Explain the block table",
    "Test the sampler with one token",
    "Shorten the scheduler's loop",
    "Name the shapes in attention",
    "Check the configuration before weights are read",
    "Say which file is damaged",
    "Move the tokenizer's cache",
    "Type the request's state",
)


_LARGE_DEVICE = Device(bandwidth=3.0e12, flops=7.6e14, power=690.0, clock=1.98e9, memory=7.1e10)
_SMALL_DEVICE = Device(
    bandwidth=9.2e11, flops=1.5e14, power=420.0, clock=2.52e9, memory=2.2e10, activity=False
)


@dataclass(frozen=True, slots=True)
class Place:
    """A machine and an environment on it.

    Attributes:
        every: Every so many commits are measured there, and the newest.
        device: What its telemetry looks like.
        driver_step: Commit from which the second driver and `after` hold; None: never.
    """

    machine: str
    environment: str
    fingerprint: Fingerprint
    model: Machine
    every: int = 1
    device: Device = _LARGE_DEVICE
    driver_step: int | None = None
    after: Machine | None = None

    def at(self, number: int) -> tuple[Machine, Fingerprint]:
        """Return the machine and its fingerprint at a commit."""
        if self.driver_step is None or number < self.driver_step or self.after is None:
            return self.model, self.fingerprint
        return self.after, replace(self.fingerprint, driver="575.51")


_LARGE = Fingerprint(
    gpu_model="Synthetic GPU 80 GB", gpu_count=1, driver="570.86", cuda="12.8", torch="2.9.0",
    triton="3.5.0", asv="0.6.6", asv_runner="0.3.2", python="3.12.4", cpu="Synthetic CPU",
    num_cpu=32, os="Linux 6.8", clocks_policy="locked",
)  # fmt: skip
_SMALL = replace(_LARGE, gpu_model="Synthetic GPU 24 GB", num_cpu=8, clocks_policy="free")

PLACES = (
    Place(
        "synthetic-80gb", "python3.12", _LARGE, Machine(), driver_step=70,
        after=Machine(decode=1.03),
    ),
    Place(
        "synthetic-80gb", "python3.12-fp8", _LARGE, Machine(decode=0.72), every=3, driver_step=70,
        after=Machine(decode=0.72 * 1.03),
    ),
    Place("synthetic-24gb", "python3.12", _SMALL, Machine(slowness=3.8, noise=1.6),
        device=_SMALL_DEVICE),
)  # fmt: skip


def engine_at(number: int) -> Engine:
    """Return the engine as it is after the first `number` + 1 commits."""
    engine = Engine()
    for index in range(number + 1):
        if index in DRIFT:
            engine = replace(engine, decode=engine.decode * _DRIFT_STEP)
        if (change := CHANGES.get(index)) is not None:
            engine = replace(
                engine,
                prefill=engine.prefill * change.prefill,
                decode=engine.decode * change.decode,
            )
            engine = replace(engine, **(change.sets or {}))  # type: ignore[arg-type]
    return engine


def subject_at(number: int) -> str:
    """Return the subject of a commit's message."""
    change = CHANGES.get(number)
    if change is not None:
        return change.subject
    return "An engine that serves" if number == 0 else _QUIET[number % len(_QUIET)]
