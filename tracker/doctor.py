"""Is this machine fit to measure, and if not, what to do about it.

Looks only: nothing is changed, and nothing heavy is imported.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Literal

from tracker.fingerprint import Gpu, GpuReport, cpu_model, package_versions, read_gpus

__all__ = [
    "Finding", "HostFacts", "Status", "examine", "examine_gpus", "examine_host",
    "examine_software", "read_host",
]  # fmt: skip

Status = Literal["ok", "warn", "fail"]

_DISK_LOW = 2 << 30  # bytes
_MEMORY_LOW = 2 << 30


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's report.

    Attributes:
        area: What was looked at, a word or two.
        status: "fail" means that measuring will not work, "warn" that numbers will be noisier.
        detail: What was found.
        advice: What to do; empty where nothing.
    """

    area: str
    status: Status
    detail: str
    advice: str = ""


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


def read_host(root: Path = Path("/"), *, load: Callable[[], float] | None = None) -> HostFacts:
    """Return what /proc and /sys under `root` say of the processor; see `examine_host`."""
    scaling = root / "sys/devices/system/cpu/cpu0/cpufreq"
    current, highest = (_read(scaling / f"{n}_freq") for n in ("scaling_cur", "cpuinfo_max"))
    frequency = None
    if current is not None and highest is not None and current.isdigit() and highest.isdigit():
        frequency = int(current) / int(highest) if int(highest) else None
    return HostFacts(
        os.cpu_count() or 1,
        (load or (lambda: os.getloadavg()[0]))(),
        _read(scaling / "scaling_governor"),
        frequency,
    )


def examine(python: str | None = None) -> list[Finding]:
    """Return everything there is to say about this machine's hardware and software.

    Args:
        python: The interpreter that is measured; this one by default.
    """
    path = which(python) if python else sys.executable
    versions = package_versions(path) if path else {}
    return [
        *examine_software(
            versions, path or str(python), asv_of_tracker=package_versions().get("asv")
        ),
        *examine_gpus(read_gpus()),
        *examine_host(Path("/")),
    ]


def examine_software(
    versions: Mapping[str, str | None], python: str, *, asv_of_tracker: str | None = None
) -> Iterator[Finding]:
    """Judge the versions found by the interpreter `python`.

    Args:
        versions: By package; empty where the interpreter does not run.
        python: Path of the interpreter.
        asv_of_tracker: Version of the asv beside the tracker, which runs the suites where there is
            one; the measured interpreter needs `asv_runner` alone then.
    """
    if not versions:
        yield Finding("python", "fail", f"{python} does not run", "give --python")
        return
    version = versions.get("python") or "?"
    yield Finding("python", "ok", f"{version} ({python})")
    needed = {"asv": asv_of_tracker or versions.get("asv")}
    for name, present in (needed | {"asv_runner": versions.get("asv_runner")}).items():
        if present:
            yield Finding(name, "ok", present)
        else:
            yield Finding(name, "fail", "not installed", f"{python} -m pip install {name}")
    for name in ("torch", "triton"):
        found = versions.get(name)
        if found:
            yield Finding(name, "ok", found)
        else:
            yield Finding(
                name, "warn", "not installed", "needed by the suites of the inference core only"
            )


def examine_gpus(report: GpuReport) -> Iterator[Finding]:
    """Judge what NVML says."""
    if report.error is not None or not report.gpus:
        yield Finding(
            "gpu",
            "warn",
            f"none ({report.error or 'NVML lists none'})",
            "GPU benchmarks will not run here; CPU suites will",
        )
        return
    yield Finding("driver", "ok", f"{report.driver}, CUDA {report.cuda}")
    for index, gpu in enumerate(report.gpus):
        yield from _one_gpu(index, gpu)


def _one_gpu(index: int, gpu: Gpu) -> Iterator[Finding]:
    area = f"gpu {index}"
    memory = f", {gpu.memory / 1e9:.0f} GB" if gpu.memory else ""
    yield Finding(area, "ok", f"{gpu.name}{memory}")
    if gpu.locked_clocks is None:
        yield Finding(f"{area} clocks", "warn", "clock policy unknown", "lock them if you may")
    elif gpu.locked_clocks:
        yield Finding(f"{area} clocks", "ok", f"set, SM at {gpu.sm_clock} MHz")
    else:
        yield Finding(
            f"{area} clocks",
            "warn",
            f"free to boost up to {gpu.max_sm_clock} MHz",
            f"nvidia-smi -i {index} --lock-gpu-clocks=<MHz> makes runs repeat better",
        )
    if gpu.persistence is False:
        yield Finding(
            f"{area} persistence",
            "warn",
            "off: the driver reloads between launches",
            f"nvidia-smi -i {index} -pm 1",
        )
    if gpu.processes:
        who = ", ".join(map(str, gpu.processes))
        yield Finding(
            f"{area} processes",
            "fail",
            f"in use by process {who}",
            "measure on a GPU of its own; wait, or end what is yours",
        )
    if gpu.throttle:
        yield Finding(
            f"{area} throttling",
            "fail",
            ", ".join(gpu.throttle),
            "let it cool, raise the power limit or lower the locked clocks",
        )


def examine_host(root: Path, *, load: Callable[[], float] | None = None) -> Iterator[Finding]:
    """Judge processor, load, memory and disk.

    Args:
        root: Where /proc and /sys are looked for.
        load: Returns the one-minute load average; the system's by default.
    """
    host = read_host(root, load=load)
    cores, governor, average = host.cores, host.governor, host.load
    yield Finding("cpu", "ok", f"{cpu_model() or 'unknown'}, {cores} logical cores")
    if governor is None:
        yield Finding("cpu governor", "ok", "not exposed (a virtual machine or container)")
    elif governor == "performance":
        yield Finding("cpu governor", "ok", governor)
    else:
        yield Finding(
            "cpu governor", "warn", governor, "cpupower frequency-set --governor performance"
        )
    smt = _read(root / "sys/devices/system/cpu/smt/active")
    if smt == "1":
        yield Finding(
            "smt", "warn", "on: siblings share a core", "pin benchmarks to one thread a core"
        )
    elif smt is not None:
        yield Finding("smt", "ok", "off")
    if average > 0.5 * cores:
        yield Finding(
            "load",
            "warn",
            f"{average:.1f} on {cores} cores",
            "other work is running; paired gates bear it, single runs do not",
        )
    else:
        yield Finding("load", "ok", f"{average:.1f} on {cores} cores")
    yield from _memory(root)
    free = shutil.disk_usage(Path.cwd()).free
    if free < _DISK_LOW:
        yield Finding(
            "disk", "warn", f"{free / 1e9:.1f} GB free", "worktrees and results need room"
        )
    else:
        yield Finding("disk", "ok", f"{free / 1e9:.1f} GB free")
    yield Finding("os", "ok", f"{platform.system()} {platform.release()}")


def _memory(root: Path) -> Iterator[Finding]:
    for line in (_read(root / "proc/meminfo") or "").splitlines():
        if line.startswith("MemAvailable:"):
            available = int(line.split()[1]) * 1024
            if available < _MEMORY_LOW:
                yield Finding(
                    "memory", "warn", f"{available / 1e9:.1f} GB available", "close other work"
                )
            else:
                yield Finding("memory", "ok", f"{available / 1e9:.1f} GB available")


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return None
