"""What a case is told: the device, and what earlier cases found out about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.gpu.records import GpuMeasurement, Record
from tracker.load import datasheet as datasheets

__all__ = ["COPY", "MATMUL", "Ceilings", "Context", "ceilings", "datasheet"]

COPY = "gpu_facts.device.track_copy_bandwidth"
MATMUL = "gpu_facts.device.track_matmul_rate"


@dataclass(frozen=True, slots=True)
class Ceilings:
    """What the device can do at most; None where that is not known.

    Attributes:
        copy: Bytes/s read and written.
        matmul: FLOP/s of a dense bfloat16 product.
    """

    copy: float | None = None
    matmul: float | None = None


def datasheet(gpu_model: str | None) -> Ceilings:
    """Return the vendor's figures of a device; unknown ones for a device not listed."""
    stated = datasheets.datasheet(gpu_model)
    return Ceilings() if stated is None else Ceilings(copy=stated.bandwidth, matmul=stated.flops)


@dataclass(frozen=True, slots=True)
class Context:
    """Attributes:
    device: ``"cuda"``, or ``"cpu"`` for toy sizes.
    measured: Ceilings that this session reached on the simplest work.
    datasheet: Those of the device's vendor.
    """

    device: str
    measured: Ceilings = Ceilings()
    datasheet: Ceilings = Ceilings()

    def shares(self, name: str, *, of: str, amount: float, seconds: float) -> list[GpuMeasurement]:
        """Return what share of either ceiling ``amount`` in ``seconds`` is, where it is known.

        Args:
            name: Of the benchmark; the shares are ``<name>_of_measured`` and ``_of_datasheet``.
            of: ``"copy"`` or ``"matmul"``.
            amount: Bytes or FLOPs.
            seconds: In which they were done.
        """
        return [
            GpuMeasurement(
                f"{name}_of_{kind}", amount / seconds / peak, "1", "higher", "utilization"
            )
            for kind in ("measured", "datasheet")
            if (peak := getattr(getattr(self, kind), of)) is not None
        ]


def ceilings(records: Iterable[Record]) -> Ceilings:
    """Return the ceilings that the session's facts hold."""
    values = {m.name: m.value for record in records for m in record.measurements}
    return Ceilings(copy=values.get(COPY), matmul=values.get(MATMUL))
