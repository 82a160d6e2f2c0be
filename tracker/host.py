"""What the host's processor is doing now. Looks only: nothing is changed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Blas", "HostFacts", "read_blas", "read_host", "read_text"]

_EDGE = 256
_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class HostFacts:
    """The host's processor, as it is now; None is what the kernel does not say.

    Attributes:
        cores: Logical ones.
        load: Load average of the last minute.
        governor: Of the first core.
        frequency: Of the first core, as a share of its highest.
    """

    cores: int
    load: float
    governor: str | None = None
    frequency: float | None = None


@dataclass(frozen=True, slots=True)
class Blas:
    """What NumPy multiplies matrices with.

    Attributes:
        name: Of the library, as NumPy was built.
        flops: That a product of two matrices reaches, FLOP/s.
    """

    name: str
    flops: float


def read_host(root: Path = Path("/"), *, load: Callable[[], float] | None = None) -> HostFacts:
    """Return what /proc and /sys say of the processor.

    Args:
        root: Where /sys is looked for.
        load: Returns the one-minute load average; the system's by default.
    """
    scaling = root / "sys/devices/system/cpu/cpu0/cpufreq"
    current, highest = (read_text(scaling / f"{n}_freq") for n in ("scaling_cur", "cpuinfo_max"))
    frequency = None
    if current is not None and highest is not None and current.isdigit() and highest.isdigit():
        frequency = int(current) / int(highest) if int(highest) else None
    return HostFacts(
        os.cpu_count() or 1,
        (load or (lambda: os.getloadavg()[0]))(),
        read_text(scaling / "scaling_governor"),
        frequency,
    )


def read_blas() -> Blas:
    """Return NumPy's BLAS and the rate of the fastest of a few products; takes some milliseconds."""
    import numpy as np

    built: dict[str, dict[str, dict[str, str]]] = np.show_config(mode="dicts")  # type: ignore[assignment]
    name = built.get("Build Dependencies", {}).get("blas", {}).get("name", "BLAS")
    left = np.ones((_EDGE, _EDGE), np.float32)
    seconds = float("inf")
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        left @ left
        seconds = min(seconds, time.perf_counter() - began)
    return Blas(name, 2 * _EDGE**3 / seconds)


def read_text(path: Path) -> str | None:
    """Return a file's stripped text; None where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return None
