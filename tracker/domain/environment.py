"""Where something was measured: the machine, and everything beside the code."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class MachineInfo:
    """asv's `machine.json`: strings as they stand there, None where absent."""

    name: str
    arch: str | None = None
    cpu: str | None = None
    num_cpu: str | None = None
    os: str | None = None
    ram: str | None = None


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Everything beside the code that can move a number. None is "absent or unknown"."""

    gpu_model: str | None = None
    gpu_count: int | None = None
    driver: str | None = None
    cuda: str | None = None
    torch: str | None = None
    triton: str | None = None
    asv: str | None = None
    asv_runner: str | None = None
    python: str | None = None
    cpu: str | None = None
    num_cpu: int | None = None
    os: str | None = None
    threads: int | None = None
    clocks_policy: str | None = None
    extra: tuple[tuple[str, str], ...] = ()  # sorted (name, value): requirements, env_vars


@dataclass(frozen=True, slots=True)
class QuarantinedGpu:
    """A GPU whose launches do not count, from a launch that showed it sick until a person releases it.

    Attributes:
        gpu: UUID.
        machine: Where it was seen.
        model: Its name; None where unknown.
        reason: What was seen, with figures.
        since: When.
        released_at: None while its launches do not count.
        released_because: What the person who released it said.
    """

    gpu: str
    machine: str
    model: str | None
    reason: str
    since: datetime
    released_at: datetime | None = None
    released_because: str | None = None

    @property
    def text(self) -> str:
        """The whole in one sentence, with how it ends."""
        return (
            f"GPU {self.gpu} of {self.machine} is in quarantine since {self.since:%Y-%m-%d}: "
            f"{self.reason}; its launches do not count. Once it is repaired: "
            f"`tracker doctor --release {self.gpu}`"
        )
