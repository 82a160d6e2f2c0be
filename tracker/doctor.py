"""Is this machine fit to measure, and if not, what to do about it.

Looks only: nothing is changed, and nothing heavy is imported.
"""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Literal

from tracker.diagnose import RULES, Facts, judge
from tracker.domain import QuarantinedGpu
from tracker.fingerprint import Gpu, GpuReport, cpu_model, package_versions, read_gpus
from tracker.host import read_blas, read_host, read_text

__all__ = [
    "Finding", "Status", "examine", "examine_gpus", "examine_host", "examine_now",
    "examine_quarantine", "examine_software",
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


def examine(python: str | None = None) -> list[Finding]:
    """Return everything there is to say about this machine's hardware and software.

    Args:
        python: The interpreter that is measured; this one by default.
    """
    path = which(python) if python else sys.executable
    gpus = read_gpus()
    versions = package_versions(path) if path else {}
    return [
        *examine_software(
            versions, path or str(python), asv_of_tracker=package_versions().get("asv")
        ),
        *examine_gpus(gpus),
        *examine_host(Path("/")),
        *examine_now(Facts(read_host(), read_blas(), gpus.gpus, gpus.cuda)),
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
        installed = versions.get(name)
        if installed:
            yield Finding(name, "ok", installed)
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


def examine_now(facts: Facts) -> Iterator[Finding]:
    """Judge what the machine does now by the rules of `tracker diagnose` that are the machine's.

    What is not known of a GPU that is not there is left out.
    """
    for rule in RULES:
        if rule.severity is None:
            continue
        answer = judge(rule, facts)
        if answer.advice is not None:
            detail = f"{answer.advice.figure} (limit: {answer.advice.limit})"
            yield Finding(rule.name, rule.severity, detail, answer.advice.action)
        elif answer.figure is not None:
            yield Finding(rule.name, "ok", answer.figure)
        elif facts.gpus or "GPU" not in rule.needs:
            yield Finding(rule.name, "ok", f"not known: needs {rule.needs}")


def examine_quarantine(
    quarantined: Iterable[QuarantinedGpu], here: Collection[str | None]
) -> Iterator[Finding]:
    """Name the GPUs whose launches do not count: a failure where one is in this machine.

    Args:
        quarantined: Of the store.
        here: UUIDs of this machine's GPUs.
    """
    for gpu in quarantined:
        yield Finding(
            "quarantine",
            "fail" if gpu.gpu in here else "warn",
            gpu.text,
            f"hide it (CUDA_VISIBLE_DEVICES) or repair it; then tracker doctor --release {gpu.gpu}",
        )


def examine_host(root: Path) -> Iterator[Finding]:
    """Judge processor, memory and disk.

    Args:
        root: Where /proc and /sys are looked for.
    """
    cores = read_host(root).cores
    yield Finding("cpu", "ok", f"{cpu_model() or 'unknown'}, {cores} logical cores")
    smt = read_text(root / "sys/devices/system/cpu/smt/active")
    if smt == "1":
        yield Finding(
            "smt", "warn", "on: siblings share a core", "pin benchmarks to one thread a core"
        )
    elif smt is not None:
        yield Finding("smt", "ok", "off")
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
    for line in (read_text(root / "proc/meminfo") or "").splitlines():
        if line.startswith("MemAvailable:"):
            available = int(line.split()[1]) * 1024
            if available < _MEMORY_LOW:
                yield Finding(
                    "memory", "warn", f"{available / 1e9:.1f} GB available", "close other work"
                )
            else:
                yield Finding("memory", "ok", f"{available / 1e9:.1f} GB available")
