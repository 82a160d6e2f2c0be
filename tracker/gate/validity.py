"""Whether a pair of launches may be compared: one complaint for each reason against it. Pure.

A pair with a complaint is dropped in both arms and measured again. A complaint that persists decides
the gate (the measurement is invalid, which is never a regression); one that comes and goes with
the machine only counts towards the limit on dropped pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tracker.causes import environment_changes
from tracker.domain import Arm, Fingerprint, Launch
from tracker.gate.complaint import Complaint, by_scenario, mapping
from tracker.gate.gpus import co_tenants, gpu_complaints
from tracker.gate.policy import SameWork
from tracker.measure.launch import LaunchResult

__all__ = ["BaseTokens", "pair_complaints", "pair_warnings"]

# The digest of the generated tokens; compared unless the policy says that only counts matter.
_DIGEST = "tokens_sha256"
# How the work was done, not what it was: a lost prefix is a regression of its counter and of the
# first token's time, and must not hide behind an invalid measurement.
_HOW = "cached_tokens"


@dataclass(slots=True)
class BaseTokens:
    """Digests of the base's tokens so far: a base that disagrees with itself proves nothing."""

    digests: dict[str, set[str]] = field(default_factory=dict)

    def add(self, launches: Sequence[Launch]) -> None:
        for launch in launches:
            digest = mapping(launch.header.get("work")).get(_DIGEST)
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
        Complaint("device", (fault.text,), fault.text)
        if fault.kind == "device"
        else Complaint("code", (arm, fault.kind), f"{arm}: {fault.text}")
        for arm, launch in (("base", base), ("head", head))
        for fault in launch.faults
    ]
    complaints += _work(base, head, base_tokens, same_work)
    complaints += _environment(base, head, environment)
    complaints += co_tenants(base, head)[0]
    for arm, launch in (("base", base), ("head", head)):
        complaints += _errors(arm, launch)
        complaints += gpu_complaints(arm, launch)
    return complaints


def pair_warnings(base: LaunchResult, head: LaunchResult, base_tokens: BaseTokens) -> list[str]:
    """Return what a reader of the verdict has to know of two launches that may be compared.

    What they did differently, and what could not be proved of the code that ran.
    """
    warnings = [_prefix_warning(base, head), _token_warning(base, head, base_tokens)]
    warnings += co_tenants(base, head)[1]
    for note in dict.fromkeys((*base.notes, *head.notes)):
        arms = [arm for arm, launch in (("base", base), ("head", head)) if note in launch.notes]
        warnings.append(note if len(arms) == 2 else f"{arms[0]}: {note}")
    return [warning for warning in warnings if warning is not None]


def _prefix_warning(base: LaunchResult, head: LaunchResult) -> str | None:
    """Warn where the arms had different parts of their prompts in the prefix cache."""
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
    for scenario, launches in by_scenario(base, head).items():
        reference = first.get(scenario, launches[0].fingerprint)
        for launch in launches:
            changed |= environment_changes(reference, launch.fingerprint)
    if not changed:
        return []
    text = ", ".join(f"{name} from {was} to {now}" for name, (was, now) in sorted(changed.items()))
    return [Complaint("fingerprint", tuple(sorted(changed)), f"the environment changed: {text}")]


def _errors(arm: Arm | str, launch: LaunchResult) -> list[Complaint]:
    rates = {
        header.benchmark: mapping(header.header.get("metrics")).get("error_rate")
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


def _work_of_both(
    base: LaunchResult, head: LaunchResult
) -> dict[str, tuple[Mapping[str, object], Mapping[str, object]]]:
    return {
        scenario: (mapping(before.header.get("work")), mapping(after.header.get("work")))
        for scenario, (before, after) in by_scenario(base, head).items()
    }
