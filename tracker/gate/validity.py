"""Whether a pair of launches may be compared: one complaint for each reason against it. Pure.

A pair with a complaint is dropped in both arms and measured again. A complaint that persists decides
the gate (the measurement is invalid, which is never a regression); one that comes and goes with
the machine only counts towards the limit on dropped pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Literal

from tracker.domain import Arm, Fingerprint, Launch
from tracker.gate.policy import SameWork
from tracker.measure.launch import LaunchResult

__all__ = ["BaseTokens", "Complaint", "pair_complaints", "pair_warnings"]

ComplaintKind = Literal[
    "code",
    "work",
    "fingerprint",
    "errors",
    "launch fails",
    "fails",
    "machine",
    "node",
]

# The digest of the generated tokens; compared unless the policy says that only counts matter.
_DIGEST = "tokens_sha256"
# How the work was done, not what it was: a lost prefix is a regression of its counter and of the
# first token's time, and must not hide behind an invalid measurement.
_HOW = "cached_tokens"
# What holds clocks down without a fault: load at the power limit, and what somebody has set.
_NORMAL = frozenset({"sw_power_cap", "sync_boost", "gpu_idle", "applications_clocks_setting"})
_MOSTLY_FREE = 0.05  # share of samples in which a GPU may be slowed down


@dataclass(frozen=True, slots=True)
class Complaint:
    """Why a pair cannot be used.

    Attributes:
        kind: What sort of reason; "machine" and "node" come and go, the others are expected to
            persist.
        subject: What it is about: scenarios, metrics, fields.
        text: A sentence for the report.
    """

    kind: ComplaintKind
    subject: tuple[str, ...]
    text: str

    @property
    def persists(self) -> bool:
        return self.kind not in ("machine", "node")

    @property
    def key(self) -> tuple[str, tuple[str, ...]]:
        return (self.kind, self.subject)


@dataclass(slots=True)
class BaseTokens:
    """Digests of the base's tokens so far: a base that disagrees with itself proves nothing."""

    digests: dict[str, set[str]] = field(default_factory=dict)

    def add(self, launches: Sequence[Launch]) -> None:
        for launch in launches:
            digest = _mapping(launch.header.get("work")).get(_DIGEST)
            if isinstance(digest, str):
                self.digests.setdefault(launch.benchmark, set()).add(digest)

    def varying(self) -> list[str]:
        """Return the scenarios whose tokens vary between launches of the base itself."""
        return sorted(name for name, base_tokens in self.digests.items() if len(base_tokens) > 1)


def pair_complaints(
    base: LaunchResult,
    head: LaunchResult,
    *,
    base_tokens: BaseTokens,
    environment: Mapping[str, Fingerprint],
    same_work: SameWork,
) -> list[Complaint]:
    """Return every reason against comparing these two launches.

    Args:
        base: A launch of the base commit.
        head: The launch of the head commit interleaved with it.
        base_tokens: What the base's launches produced, this one included.
        environment: Fingerprint per scenario of the first pair; empty at the first.
        same_work: Whether tokens must agree, or only their number.
    """
    complaints = [
        Complaint("code", (arm, fault.kind), f"{arm}: {fault.text}")
        for arm, launch in (("base", base), ("head", head))
        for fault in launch.faults
    ]
    complaints += _work(base, head, base_tokens, same_work)
    complaints += _environment(base, head, environment)
    complaints += _co_tenants(base, head)[0]
    for arm, launch in (("base", base), ("head", head)):
        complaints += _errors(arm, launch)
        complaints += _machine(arm, launch)
    return complaints


def pair_warnings(base: LaunchResult, head: LaunchResult, base_tokens: BaseTokens) -> list[str]:
    """Return what a reader of the verdict has to know of two launches that may be compared.

    What they did differently, and what could not be proved of the code that ran.
    """
    warnings = [_prefix_warning(base, head), _token_warning(base, head, base_tokens)]
    warnings += _co_tenants(base, head)[1]
    for note in dict.fromkeys((*base.notes, *head.notes)):
        arms = [arm for arm, one in (("base", base), ("head", head)) if note in one.notes]
        warnings.append(note if len(arms) == 2 else f"{arms[0]}: {note}")
    return [warning for warning in warnings if warning is not None]


def _prefix_warning(base: LaunchResult, head: LaunchResult) -> str | None:
    """Say that the arms found different parts of their prompts in the prefix cache, if they did."""
    differing = [
        f"{scenario}: {before.get(_HOW)} prompt tokens in base, {after.get(_HOW)} in head"
        for scenario, (before, after) in _work_of_both(base, head).items()
        if before.get(_HOW) != after.get(_HOW)
    ]
    if not differing:
        return None
    return (
        "prefix hits differ, and latencies with them (an exact counter of them decides whether that "
        f"is a regression): {'; '.join(differing)}"
    )


def _token_warning(base: LaunchResult, head: LaunchResult, base_tokens: BaseTokens) -> str | None:
    """Say that the commits generated other tokens, as many as before, if they did."""
    unsteady = base_tokens.varying()
    differing = [
        scenario
        for scenario, (before, after) in _work_of_both(base, head).items()
        if scenario not in unsteady and before.get(_DIGEST) != after.get(_DIGEST)
    ]
    if not differing:
        return None
    return (
        f"the commits generated different tokens, the same number of them, in {', '.join(differing)}; "
        'their times are compared ([gate] same_work = "tokens" refuses that)'
    )


def _work(
    base: LaunchResult, head: LaunchResult, base_tokens: BaseTokens, same_work: SameWork
) -> list[Complaint]:
    unsteady = base_tokens.varying()
    complaints: list[Complaint] = []
    for scenario, (before, after) in _work_of_both(base, head).items():
        differs: list[str] = []
        for key in sorted(before.keys() | after.keys()):
            if key == _HOW or before.get(key) == after.get(key):
                continue
            if key == _DIGEST:
                if same_work == "tokens" and scenario not in unsteady:
                    differs.append(
                        "the generated tokens are not the same, which [gate] same_work = "
                        '"tokens" does not allow'
                    )
            else:
                differs.append(f"{key} {before.get(key)} in base, {after.get(key)} in head")
        if differs:
            text = f"work differs in {scenario}: {'; '.join(differs)}"
            complaints.append(Complaint("work", (scenario,), text))
    return complaints


def _environment(
    base: LaunchResult, head: LaunchResult, first: Mapping[str, Fingerprint]
) -> list[Complaint]:
    changed: dict[str, tuple[object, object]] = {}
    for scenario, launches in _by_scenario(base, head).items():
        reference = first.get(scenario, launches[0].fingerprint)
        for launch in launches:
            for item in fields(Fingerprint):
                was, now = (getattr(of, item.name) for of in (reference, launch.fingerprint))
                if was != now:
                    changed[item.name] = (was, now)
    if not changed:
        return []
    text = ", ".join(f"{name} from {was} to {now}" for name, (was, now) in sorted(changed.items()))
    return [Complaint("fingerprint", tuple(sorted(changed)), f"the environment changed: {text}")]


def _errors(arm: Arm | str, launch: LaunchResult) -> list[Complaint]:
    rates = {
        header.benchmark: _mapping(header.header.get("metrics")).get("error_rate")
        for header in launch.launches
    }
    # Without artifacts the suites' own metric says it.
    rates |= {name: v for name, v in launch.values().items() if name.endswith("error_rate")}
    failing = {n: r for n, r in rates.items() if isinstance(r, int | float) and r > 0}
    if not failing:
        return []
    names = tuple(sorted(failing))
    worst = max(float(rate) for rate in failing.values())
    return [
        Complaint(
            "errors",
            (arm, *names),
            f"requests fail in {arm} ({', '.join(names)}: up to {worst:.2%}); timings of the rest "
            "prove nothing",
        )
    ]


def _machine(arm: str, launch: LaunchResult) -> list[Complaint]:
    """Complain of a GPU that was too hot, slowed down by its hardware, or failed: in both arms alike.

    Not of its power cap: a GPU under load runs at it, with either commit.
    """
    complaints: list[Complaint] = []
    for header in launch.launches:
        for number, gpu in _gpus(header).items():
            slowed = ", ".join(
                f"{reason} in {share:.0%} of the samples"
                for reason, share in _throttled(gpu).items()
                if reason not in _NORMAL and share > _MOSTLY_FREE
            )
            where = f"during {header.benchmark} in {arm}"
            if slowed:
                text = f"GPU {number} was throttled {where}: {slowed}"
                complaints.append(Complaint("machine", (header.benchmark, "throttled"), text))
            if _share(gpu.get("failed_samples"), gpu.get("samples")) > _MOSTLY_FREE:
                text = f"GPU {number} could not be read {where}: {gpu.get('problem')}"
                complaints.append(Complaint("machine", (header.benchmark, "GPU"), text))
    return complaints


def _co_tenants(base: LaunchResult, head: LaunchResult) -> tuple[list[Complaint], list[str]]:
    """Complain of other processes on a GPU in one arm only; warn of those in both."""
    complaints: list[Complaint] = []
    warnings: list[str] = []
    for scenario, launches in _by_scenario(base, head).items():
        of_base, of_head = (
            {
                n: bool(gpu["co_tenants"])
                for n, gpu in _gpus(launch).items()
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


def _gpus(header: Launch) -> dict[int, Mapping[str, object]]:
    """The telemetry of the GPUs that served the load, by number."""
    telemetry = _mapping(header.header.get("telemetry"))
    gpus = telemetry.get("gpus")  # without it: one GPU, of an earlier version
    entries = map(_mapping, gpus if isinstance(gpus, list) else [telemetry])
    return {n: gpu for n, gpu in enumerate(entries) if gpu.get("serves") is not False}


def _share(part: object, whole: object) -> float:
    known = isinstance(part, int) and isinstance(whole, int) and whole > 0
    return part / whole if known else 0.0  # type: ignore[operator]


def _throttled(gpu: Mapping[str, object]) -> dict[str, float]:
    """The share of samples in which each reason held the clocks down; 1 where only its name is kept."""
    shares = {
        reason: float(share)
        for reason, share in _mapping(gpu.get("throttled_share")).items()
        if isinstance(share, int | float)
    }
    reasons = gpu.get("throttle_reasons")
    return shares or dict.fromkeys(reasons if isinstance(reasons, list | tuple) else (), 1.0)


def _by_scenario(base: LaunchResult, head: LaunchResult) -> dict[str, tuple[Launch, Launch]]:
    """The artifacts of base and head of each scenario that both ran."""
    of_base, of_head = (
        {header.benchmark: header for header in launch.launches} for launch in (base, head)
    )
    return {
        name: (of_base[name], of_head[name]) for name in sorted(of_base.keys() & of_head.keys())
    }


def _work_of_both(
    base: LaunchResult, head: LaunchResult
) -> dict[str, tuple[Mapping[str, object], Mapping[str, object]]]:
    return {
        scenario: (_mapping(before.header.get("work")), _mapping(after.header.get("work")))
        for scenario, (before, after) in _by_scenario(base, head).items()
    }


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}
