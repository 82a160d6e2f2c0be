"""Everything beside the code that can move a number, read from this machine.

Nothing heavy is imported: versions come from package metadata, the GPU from NVML.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import warnings
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from tracker.domain import Fingerprint

__all__ = ["PACKAGES", "Gpu", "GpuReport", "collect", "cpu_model", "package_versions", "read_gpus"]

PACKAGES = ("torch", "triton", "asv", "asv_runner", "numpy", "transformers")

_SCRIPT = """
import json, platform, sys
from importlib import metadata
found = {"python": platform.python_version()}
for name in sys.argv[1:]:
    try:
        found[name] = metadata.version(name)
    except metadata.PackageNotFoundError:
        found[name] = None
print(json.dumps(found))
"""


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU as NVML sees it; None is what it would not say.

    Attributes:
        name: Marketing name.
        memory: Bytes.
        persistence: Whether the driver stays loaded between processes.
        locked_clocks: Whether application or locked clocks are set; None where unknown.
        sm_clock: Current SM clock, MHz.
        max_sm_clock: Highest SM clock, MHz.
        processes: Process ids that hold a context.
        throttle: Names of reasons for which its clocks are held down now.
        uuid: As ``nvidia-smi -L`` prints it.
        compute: Compute capability: "9.0".
        ecc_errors: Uncorrected memory errors since the driver was loaded.
        power_limit, default_power_limit: Watts.
        pcie_width, max_pcie_width: Lanes.
    """

    name: str
    memory: int | None = None
    persistence: bool | None = None
    locked_clocks: bool | None = None
    sm_clock: int | None = None
    max_sm_clock: int | None = None
    processes: tuple[int, ...] = ()
    throttle: tuple[str, ...] = ()
    uuid: str | None = None
    compute: str | None = None
    ecc_errors: int | None = None
    power_limit: float | None = None
    default_power_limit: float | None = None
    pcie_width: int | None = None
    max_pcie_width: int | None = None


@dataclass(frozen=True, slots=True)
class GpuReport:
    """What NVML says; `error` says why it says nothing."""

    gpus: tuple[Gpu, ...] = ()
    driver: str | None = None
    cuda: str | None = None
    error: str | None = None


def collect(python: str | None = None) -> Fingerprint:
    """Return the fingerprint of a measurement made here with the interpreter `python`.

    What cannot be read is None.
    """
    versions = package_versions(python)
    gpu = read_gpus()
    first = gpu.gpus[0] if gpu.gpus else None
    clocks = None
    if first is not None and first.locked_clocks is not None:
        clocks = "locked" if first.locked_clocks else "free"
    threads = os.environ.get("OMP_NUM_THREADS", "")
    return Fingerprint(
        gpu_model=first.name if first else None,
        gpu_count=len(gpu.gpus) if gpu.gpus else None,
        driver=gpu.driver,
        cuda=gpu.cuda,
        torch=versions.get("torch"),
        triton=versions.get("triton"),
        asv=versions.get("asv"),
        asv_runner=versions.get("asv_runner"),
        python=versions.get("python"),
        cpu=cpu_model(),
        num_cpu=os.cpu_count(),
        os=f"{platform.system()} {platform.release()}",
        threads=int(threads) if threads.isdigit() else None,
        clocks_policy=clocks,
    )


def package_versions(python: str | None = None) -> dict[str, str | None]:
    """Return the versions of `PACKAGES` and of Python itself; None where not installed.

    Args:
        python: Another interpreter to ask; this one by default.
    """
    if python is not None and Path(python) != Path(sys.executable):
        try:
            done = subprocess.run(
                [python, "-c", _SCRIPT, *PACKAGES],
                capture_output=True,
                text=True,
                check=True,
                timeout=60,
            )
            versions: dict[str, str | None] = json.loads(done.stdout)
        except (OSError, subprocess.SubprocessError, ValueError):
            return {}
        return versions
    here: dict[str, str | None] = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            here[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            here[name] = None
    return here


def cpu_model() -> str | None:
    """Return the processor's name from /proc/cpuinfo, or None."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or None


def read_gpus() -> GpuReport:
    """Ask NVML about every GPU. Never raises: a machine without one says so in `error`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pynvml
    except ImportError:
        return GpuReport(error="nvidia-ml-py is not installed")
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return GpuReport(error=str(error))
    try:
        version = int(pynvml.nvmlSystemGetCudaDriverVersion_v2())
        count = int(pynvml.nvmlDeviceGetCount())
        return GpuReport(
            gpus=tuple(_gpu(pynvml.nvmlDeviceGetHandleByIndex(i)) for i in range(count)),
            driver=str(pynvml.nvmlSystemGetDriverVersion()),
            cuda=f"{version // 1000}.{version % 1000 // 10}",
        )
    except pynvml.NVMLError as error:
        return GpuReport(error=str(error))
    finally:
        pynvml.nvmlShutdown()


# Reasons that hold clocks down under load; idling is none of them.
_THROTTLE = (
    ("nvmlClocksEventReasonSwPowerCap", "power cap"),
    ("nvmlClocksThrottleReasonHwSlowdown", "hardware slowdown"),
    ("nvmlClocksEventReasonSwThermalSlowdown", "thermal (software)"),
    ("nvmlClocksThrottleReasonHwThermalSlowdown", "thermal (hardware)"),
    ("nvmlClocksThrottleReasonHwPowerBrakeSlowdown", "power brake"),
)


def _gpu(handle: object) -> Gpu:
    import pynvml

    def ask(name: str, *args: object) -> object | None:
        try:
            answer: object = getattr(pynvml, name)(handle, *args)
        except (pynvml.NVMLError, AttributeError):
            return None
        return answer

    memory = ask("nvmlDeviceGetMemoryInfo")
    sm = pynvml.NVML_CLOCK_SM
    highest, current = ask("nvmlDeviceGetMaxClockInfo", sm), ask("nvmlDeviceGetClockInfo", sm)
    applied = ask("nvmlDeviceGetApplicationsClock", sm)
    default = ask("nvmlDeviceGetDefaultApplicationsClock", sm)
    reasons = ask("nvmlDeviceGetCurrentClocksEventReasons")
    running = ask("nvmlDeviceGetComputeRunningProcesses")
    persistence = ask("nvmlDeviceGetPersistenceMode")
    mask = reasons if isinstance(reasons, int) else 0
    uuid = ask("nvmlDeviceGetUUID")
    compute = ask("nvmlDeviceGetCudaComputeCapability")
    errors = ask(
        "nvmlDeviceGetTotalEccErrors",
        pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, pynvml.NVML_VOLATILE_ECC,
    )  # fmt: skip
    limits = [ask(f"nvmlDeviceGetPowerManagement{name}") for name in ("Limit", "DefaultLimit")]
    watts = [limit / 1000.0 if isinstance(limit, int) else None for limit in limits]
    lanes = [ask(f"nvmlDeviceGet{name}PcieLinkWidth") for name in ("Curr", "Max")]
    width, most = (count if isinstance(count, int) else None for count in lanes)
    total = getattr(memory, "total", None)
    return Gpu(
        name=str(ask("nvmlDeviceGetName")),
        memory=int(total) if total is not None else None,
        persistence=bool(persistence) if persistence is not None else None,
        locked_clocks=applied != default if applied is not None and default is not None else None,
        sm_clock=current if isinstance(current, int) else None,
        max_sm_clock=highest if isinstance(highest, int) else None,
        processes=tuple(p.pid for p in running) if isinstance(running, list) else (),
        throttle=tuple(label for name, label in _THROTTLE if mask & int(getattr(pynvml, name, 0))),
        uuid=uuid.decode() if isinstance(uuid, bytes) else str(uuid) if uuid is not None else None,
        compute=".".join(map(str, compute)) if isinstance(compute, list | tuple) else None,
        ecc_errors=errors if isinstance(errors, int) else None,
        power_limit=watts[0],
        default_power_limit=watts[1],
        pcie_width=width,
        max_pcie_width=most,
    )
