"""What a case is told: the device, and what earlier cases found out about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.gpu.records import Record

__all__ = ["Ceilings", "Context", "ceilings"]

COPY = "gpu_facts.device.track_copy_bandwidth"
MATMUL = "gpu_facts.device.track_matmul_rate"


@dataclass(frozen=True, slots=True)
class Ceilings:
    """What the device reaches on the simplest work; None where that was not measured.

    Attributes:
        copy: Bytes read and written by a large copy on the device, bytes/s.
        matmul: Of a large product, FLOP/s.
    """

    copy: float | None = None
    matmul: float | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """Attributes:
    device: ``"cuda"``, or ``"cpu"`` for toy sizes.
    ceilings: Of this session.
    """

    device: str
    ceilings: Ceilings = Ceilings()


def ceilings(records: Iterable[Record]) -> Ceilings:
    """Return the ceilings that the session's facts hold."""
    values = {m.name: m.value for record in records for m in record.measurements}
    return Ceilings(copy=values.get(COPY), matmul=values.get(MATMUL))
