"""What the telemetry of a launch says against comparing it: heat, failed GPUs, other processes. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from tracker.gate.complaint import Complaint, by_scenario, mapping
from tracker.measure.launch import LaunchResult
from tracker.quarantine import serving_gpus

__all__ = ["co_tenants", "gpu_complaints"]

# What holds clocks down without a fault: load at the power limit, and what somebody has set.
_NORMAL = frozenset({"sw_power_cap", "sync_boost", "gpu_idle", "applications_clocks_setting"})
_TOLERATED = 0.05  # share of samples in which a GPU may be slowed down, or not be read


def gpu_complaints(arm: str, launch: LaunchResult) -> list[Complaint]:
    """Complain of a GPU that was too hot, slowed down by its hardware, or failed: in both arms alike.

    Not of its power cap: a GPU under load runs at it, with either commit.
    """
    complaints: list[Complaint] = []
    for header in launch.launches:
        for number, gpu in serving_gpus(header.header).items():
            slowed = ", ".join(
                f"{reason} in {share:.0%} of the samples"
                for reason, share in _throttled(gpu).items()
                if reason not in _NORMAL and share > _TOLERATED
            )
            where = f"during {header.benchmark} in {arm}"
            if slowed:
                text = f"GPU {number} was throttled {where}: {slowed}"
                complaints.append(Complaint("machine", (header.benchmark, "throttled"), text))
            if _share(gpu.get("failed_samples"), gpu.get("samples")) > _TOLERATED:
                text = f"GPU {number} could not be read {where}: {gpu.get('problem')}"
                complaints.append(Complaint("machine", (header.benchmark, "GPU"), text))
    return complaints


def co_tenants(base: LaunchResult, head: LaunchResult) -> tuple[list[Complaint], list[str]]:
    """Complain of other processes on a GPU in one arm only; warn of those in both."""
    complaints: list[Complaint] = []
    warnings: list[str] = []
    for scenario, launches in by_scenario(base, head).items():
        of_base, of_head = (
            {
                n: bool(gpu["co_tenants"])
                for n, gpu in serving_gpus(launch.header).items()
                if gpu.get("co_tenants") is not None
            }
            for launch in launches
        )
        for number in sorted(of_base.keys() & of_head.keys()):
            text = f"other processes were on GPU {number} during {scenario}"
            if of_base[number] != of_head[number]:
                arm = "base" if of_base[number] else "head"
                subject = (scenario, "co-tenants")
                complaints.append(Complaint("machine", subject, f"{text} in {arm} only"))
            elif of_base[number]:
                warnings.append(f"{text}, in both commits")
    return complaints, warnings


def _share(part: object, whole: object) -> float:
    """`part` of `whole`; 0 where they are no numbers."""
    if isinstance(part, int) and isinstance(whole, int) and whole > 0:
        return part / whole
    return 0.0


def _throttled(gpu: Mapping[str, object]) -> dict[str, float]:
    """The share of samples in which each reason held the clocks down; 1 where only its name is kept."""
    shares = {
        reason: float(share)
        for reason, share in mapping(gpu.get("throttled_share")).items()
        if isinstance(share, int | float)
    }
    reasons = gpu.get("throttle_reasons")
    return shares or dict.fromkeys(reasons if isinstance(reasons, list | tuple) else (), 1.0)
