"""A project's policy as values: what its gate judges, and how strictly. `policy_file` reads it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from tracker.alerts.config import AlertsConfig
from tracker.domain import BenchmarkInfo, Better, Kind
from tracker.errors import PolicyError
from tracker.execute.settings import ExecutorSettings
from tracker.gate.limits import DEFAULT_LIMITS, Limit
from tracker.measure.settings import MeasureSettings
from tracker.metrics import MetricRule, combined, described
from tracker.report.numbers import count_of

__all__ = ["MetricPolicy", "OnInconclusive", "Policy", "SameWork", "identity_of"]

OnInconclusive = Literal["pass", "block"]
SameWork = Literal["tokens", "counts"]

# What neither changes which launches are measured nor how their values are judged.
_NO_VERDICT = frozenset(
    {
        "name",
        "commit_url",
        "budget",
        "timeout",
        "on_inconclusive",
        "creep_budget",
        "creep_against",
        "seed",
    }
)


@dataclass(frozen=True, slots=True)
class MetricPolicy:
    """How one metric is judged. `better` None: shown, never judged."""

    better: Better | None
    kind: Kind
    step: float
    margin: float
    detect: float
    vote: bool


@dataclass(frozen=True, slots=True)
class Policy:
    """A project's policy; the defaults are those of a project without a file.

    Ratios are fractions (0.01 is 1 %), times are seconds.
    """

    name: str | None = None
    commit_url: str | None = None
    source: tuple[str, ...] = ()
    bench: tuple[str, ...] = ()
    alpha: float = 0.01
    margin: float = 0.01
    detect: float = 0.03
    max_pairs: int = 50
    budget: float | None = None
    timeout: float | None = None
    on_inconclusive: OnInconclusive = "pass"
    same_work: SameWork = "counts"
    metrics: tuple[MetricRule, ...] = ()
    creep_budget: float = 0.05
    creep_against: str = "v*"
    least_margin: float = 0.0  # of a gate against the last release, exact metrics included
    limits: tuple[Limit, ...] = field(default=DEFAULT_LIMITS)
    alerts: AlertsConfig = field(default=AlertsConfig())
    measure: MeasureSettings = field(default=MeasureSettings())
    executors: tuple[ExecutorSettings, ...] = ()

    def metric(self, name: str, benchmark: BenchmarkInfo) -> MetricPolicy:
        """Return how the metric `name` of `benchmark` is judged."""
        rule = combined(name, self.metrics)
        margin = self.margin if rule.margin is None else rule.margin
        detect = rule.detect
        if detect is None:
            # A margin raised above the common `detect` takes it along, at the common distance.
            raised = margin * self.detect / self.margin if self.margin else self.detect
            detect = max(self.detect, raised)
        if margin < self.least_margin:
            # Half of a commit's room between margin and detect: what adds up is measured more finely.
            room = ((1 + detect) / (1 + margin) - 1) / 2
            detect = (1 + self.least_margin) * (1 + room) - 1
            margin = self.least_margin
        if not margin < detect:
            raise PolicyError(
                f"metric {name}: margin {margin} must be below detect {detect}; set both in "
                "[gate.metrics]"
            )
        benchmark = described(name, benchmark, self.metrics)
        return MetricPolicy(
            better=benchmark.better,
            kind=benchmark.kind,
            step=benchmark.step,
            margin=margin,
            detect=detect,
            vote=rule.vote is not False,
        )

    def for_creep(self) -> Policy:
        """Return the policy by which the head is compared with the last release.

        The budget takes the place of every margin below it, with half of the room between margin
        and `detect` above it; limits are the other gate's.
        """
        return replace(self, least_margin=self.creep_budget, limits=())

    def limit(self, name: str, unit: str) -> Limit | None:
        """Return the absolute limit on the metric `name`, or None; stated ones come first."""
        return next((limit for limit in self.limits if limit.applies(name, unit)), None)

    @property
    def summary(self) -> str:
        """What a report says of the policy in one line."""
        return (
            f"alpha {self.alpha:g}, margin {self.margin:.1%}, detect {self.detect:.1%}, "
            f"at most {count_of(self.max_pairs, 'pair')}"
        )

    def as_dict(self) -> dict[str, object]:
        """Return what decides verdicts as plain values, for the store and for reports."""
        facts = asdict(self)
        del facts["alerts"], facts["executors"]  # decide no verdict, and may hold secrets
        facts["limits"] = {limit.pattern: limit.worst for limit in self.limits}
        facts["metrics"] = {
            rule.pattern: {
                key: value
                for key, value in asdict(rule).items()
                if key != "pattern" and value is not None
            }
            for rule in self.metrics
        }
        return {key: list(v) if isinstance(v, tuple) else v for key, v in facts.items()}


def identity_of(stored: Mapping[str, object]) -> str:
    """Return a digest of what changes a verdict in a policy as `Policy.as_dict` gives it.

    Two gates with one identity can be joined: pairs that were measured under the one are judged
    alike under the other. A key at its default counts as absent, so that a later version's new
    keys change no identity.

    Args:
        stored: The policy, and what else was stored with it (expected changes, suites, commit).
    """
    facts = _changed(json.loads(json.dumps(stored)), json.loads(json.dumps(Policy().as_dict())))
    facts = {key: value for key, value in facts.items() if key not in _NO_VERDICT}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _changed(facts: Mapping[str, Any], default: Mapping[str, Any]) -> dict[str, Any]:
    """What of `facts` is not at its default, tables key by key."""
    changed: dict[str, Any] = {}
    for key, value in facts.items():
        if isinstance(value, dict):
            value = _changed(value, default.get(key) or {})
            if not value:
                continue
        elif value == default.get(key):
            continue
        changed[key] = value
    return changed
