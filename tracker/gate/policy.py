"""`pacekeeper.toml`: what a project's gate judges, and how strictly.

::

    [project]
    name = "my-engine"                # else asv's project name
    commit_url = "https://…/{commit}" # else from the git remote
    source = ["lib"]                  # directories of a commit that go on the module path, where
                                      # its layout and packaging metadata do not say so

    [gate]
    bench = "bench_serving"           # regular expression, or a list of them
    alpha = 0.01                      # chance that any metric is falsely called a regression
    margin = 0.01                     # a slowdown below this is not relevant
    detect = 0.03                     # a slowdown of this size is found
    max_pairs = 50
    budget = 1800                     # seconds; the gate stops asking for pairs after it
    timeout = 600                     # seconds for one launch
    on_inconclusive = "pass"          # or "block": exit code 3
    same_work = "tokens"              # or "counts": tokens may differ, their number may not

    [gate.metrics."ttft"]             # regular expression on a metric's name; the last match wins
    margin = 0.02
    detect = 0.05
    vote = true                       # false: shown, never blocks
    better = "lower"                  # where the suite does not say; histories heed it, too
    kind = "exact"                    # judged without noise
    unit = "tokens/s"                 # a name; converts nothing
    step = 0.0

    [creep]
    budget = 0.05                     # slowdown since the last release that is allowed in all
    against = "v*"                    # its tag, as a glob; none reachable: no budget

    [alerts]                          # docs/alerts.md
    console = true
    webhook = "$PACEKEEPER_WEBHOOK"   # or the URL itself
    min_effect = 0.01
    max_age_days = 30

    [limits]                          # what a user may experience; base units
    "ttft_p95" = 1.5                  # regular expression = the worst value allowed
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from tracker.alerts.config import AlertsConfig, alerts_config
from tracker.domain import BenchmarkInfo, Better, Kind
from tracker.errors import PolicyError, UsageError, did_you_mean
from tracker.measure.settings import MeasureSettings, measure_settings
from tracker.metrics import MetricRule, combined, described
from tracker.report.numbers import count_of

__all__ = [
    "DEFAULT_LIMITS",
    "Limit",
    "MetricRule",
    "Policy",
    "check_patterns",
    "load_policy",
    "parse_policy",
]

POLICY_FILE = "pacekeeper.toml"

OnInconclusive = Literal["pass", "block"]
SameWork = Literal["tokens", "counts"]


@dataclass(frozen=True, slots=True)
class Limit:
    """The worst value a metric may have, whatever it was before.

    Attributes:
        pattern: Regular expression searched in the metric's name.
        worst: In the metric's base unit.
        unit: Applies to metrics of these units only; empty for any.
        stated: Whether the project asked for it. One that it did not ask for warns rather than
            blocks where the base breaks it too.
    """

    pattern: str
    worst: float
    unit: tuple[str, ...] = ()
    stated: bool = True

    def applies(self, metric: str, unit: str) -> bool:
        return bool(re.search(self.pattern, metric)) and (not self.unit or unit in self.unit)


# What a reader of a chat feels: the first token within two seconds, then faster than reading.
DEFAULT_LIMITS = (
    Limit(r"(?i)(^|[._])ttft(_p50|_median)?($|\()", 2.0, ("s", "seconds"), stated=False),
    Limit(r"(?i)(^|[._])(tpot|itl)(_p50|_median)?($|\()", 0.5, ("s", "seconds"), stated=False),
    Limit(r"(?i)(^|[._])error_rate($|\()", 0.005, stated=False),
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
    same_work: SameWork = "tokens"
    metrics: tuple[MetricRule, ...] = ()
    creep_budget: float = 0.05
    creep_against: str = "v*"
    least_margin: float = 0.0  # of a gate against the last release, exact metrics included
    limits: tuple[Limit, ...] = field(default=DEFAULT_LIMITS)
    alerts: AlertsConfig = field(default=AlertsConfig())
    measure: MeasureSettings = field(default=MeasureSettings())

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
            # Half of the room that a commit has: what adds up is to be told more finely.
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
        """Return the policy by which the head is held against the last release.

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
        plain: dict[str, object] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name == "alerts":
                continue  # decides no verdict, and may hold a secret
            if item.name == "measure":
                value = asdict(value)
            if item.name == "metrics":
                value = {
                    rule.pattern: {
                        f.name: getattr(rule, f.name)
                        for f in fields(rule)
                        if f.name != "pattern" and getattr(rule, f.name) is not None
                    }
                    for rule in value
                }
            elif item.name == "limits":
                value = {limit.pattern: limit.worst for limit in value}
            elif isinstance(value, tuple):
                value = list(value)
            plain[item.name] = value
        return plain


def load_policy(path: Path | None = None, *, start: Path | None = None) -> Policy:
    """Read a policy file.

    Args:
        path: The file, which must exist; else `pacekeeper.toml` in `start`, if there is one.
        start: A directory; the current one by default.

    Raises:
        PolicyError: No such file, not TOML, or a key or value that means nothing; names it.
    """
    if path is None:
        path = (start or Path.cwd()) / POLICY_FILE
        if not path.exists():
            return Policy()
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PolicyError(f"{path}: no such policy file") from None
    except OSError as error:
        raise PolicyError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise PolicyError(f"{path}: not TOML, which is UTF-8: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"{path}: not TOML: {error}") from None
    return parse_policy(content, str(path))


_GATE_KEYS = (
    "bench",
    "alpha",
    "margin",
    "detect",
    "max_pairs",
    "budget",
    "timeout",
    "on_inconclusive",
    "same_work",
    "metrics",
)
_METRIC_KEYS = ("margin", "detect", "vote", "better", "kind", "unit", "step")


def parse_policy(content: Mapping[str, Any], where: str = POLICY_FILE) -> Policy:
    """Check a policy's content and return it as values.

    Args:
        content: As TOML gives it.
        where: What messages call the file.

    Raises:
        PolicyError: An unknown key (with the nearest known one) or an impossible value.
    """
    _known(content, ("project", "gate", "limits", "creep", "alerts", "measure"), where, "")
    project = _table(content, "project", where)
    _known(project, ("name", "commit_url", "source"), where, "[project] ")
    gate = _table(content, "gate", where)
    _known(gate, _GATE_KEYS, where, "[gate] ")
    given: dict[str, Any] = {}
    for key in ("name", "commit_url"):
        if key in project:
            given[key] = _text(project[key], f"{where}: [project] {key}")
    if (url := given.get("commit_url")) is not None and "{commit}" not in url:
        raise PolicyError(f"{where}: [project] commit_url must hold {{commit}}")
    if "source" in project:
        given["source"] = _texts(project["source"], f"{where}: [project] source")
    if "bench" in gate:
        given["bench"] = _texts(gate["bench"], f"{where}: [gate] bench")
        for pattern in given["bench"]:
            _regex(pattern, f"{where}: [gate] bench")
    for key, low, high in (("alpha", 0.0, 1.0), ("margin", -1e-12, 1.0), ("detect", 0.0, 10.0)):
        if key in gate:
            given[key] = _number(gate[key], f"{where}: [gate] {key}", low, high)
    for key in ("budget", "timeout"):
        if key in gate:
            given[key] = _number(gate[key], f"{where}: [gate] {key}", 0.0, float("inf"))
    if "max_pairs" in gate:
        if not _is_int(gate["max_pairs"]) or gate["max_pairs"] < 1:
            raise PolicyError(f"{where}: [gate] max_pairs must be a whole number, at least 1")
        given["max_pairs"] = gate["max_pairs"]
    for key, choices in (("on_inconclusive", OnInconclusive), ("same_work", SameWork)):
        if key in gate:
            given[key] = _choice(gate[key], get_args(choices), f"{where}: [gate] {key}")
    rules = _table(gate, "metrics", f"{where}: [gate]")
    given["metrics"] = tuple(_rule(pattern, rule, where) for pattern, rule in rules.items())
    creep = _table(content, "creep", where)
    _known(creep, ("budget", "against"), where, "[creep] ")
    if "budget" in creep:
        given["creep_budget"] = _number(creep["budget"], f"{where}: [creep] budget", 0.0, 10.0)
    if "against" in creep:
        given["creep_against"] = _text(creep["against"], f"{where}: [creep] against")
    limits = _table(content, "limits", where)
    stated = tuple(
        Limit(
            _regex(pattern, f"{where}: [limits]"),
            _number(worst, f"{where}: [limits] {pattern!r}", float("-inf"), float("inf")),
        )
        for pattern, worst in limits.items()
    )
    given["limits"] = (*stated, *DEFAULT_LIMITS)
    given["alerts"] = alerts_config(_table(content, "alerts", where), source=f"{where}: [alerts]")
    measure = _table(content, "measure", where)
    given["measure"] = measure_settings(measure, source=f"{where}: [measure]")
    policy = Policy(**given)
    if not policy.margin < policy.detect:
        raise PolicyError(
            f"{where}: [gate] margin {policy.margin} must be below detect {policy.detect}"
        )
    return policy


def check_patterns(patterns: Iterable[str]) -> None:
    """Raise unless every `--bench` of a command line is a regular expression.

    Raises:
        UsageError: Naming the one that is not.
    """
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            raise UsageError(f"--bench {pattern!r} is no regular expression: {error}") from None


def _rule(pattern: str, rule: object, where: str) -> MetricRule:
    label = f'{where}: [gate.metrics."{pattern}"]'
    _regex(pattern, label)
    if not isinstance(rule, dict):
        raise PolicyError(f"{label} must be a table")
    _known(rule, _METRIC_KEYS, where, f'[gate.metrics."{pattern}"] ')
    given: dict[str, Any] = {}
    for key, low, high in (
        ("margin", -1e-12, 1.0),
        ("detect", 0.0, 10.0),
        ("step", -1e-12, float("inf")),
    ):
        if key in rule:
            given[key] = _number(rule[key], f"{label} {key}", low, high)
    if "vote" in rule:
        if not isinstance(rule["vote"], bool):
            raise PolicyError(f"{label} vote must be true or false")
        given["vote"] = rule["vote"]
    if "unit" in rule:
        given["unit"] = _text(rule["unit"], f"{label} unit")
    for key, choices in (("better", Better), ("kind", Kind)):
        if key in rule:
            given[key] = _choice(rule[key], get_args(choices), f"{label} {key}")
    return MetricRule(pattern, **given)


def _known(table: Mapping[str, Any], known: tuple[str, ...], where: str, label: str) -> None:
    for key in table:
        if key not in known:
            mend = did_you_mean(key, known)
            raise PolicyError(f"{where}: {label}unknown key {key!r}; {mend}")


def _table(content: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    table = content.get(key, {})
    if not isinstance(table, dict):
        raise PolicyError(f"{where}: {key} must be a table")
    return table


def _text(value: object, label: str) -> str:
    if not isinstance(value, str) or not value:
        raise PolicyError(f"{label} must be a text, not {value!r}")
    return value


def _texts(value: object, label: str) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    return tuple(_text(item, label) for item in values)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: object, label: str, low: float, high: float) -> float:
    """A number strictly between the bounds; NaN is none."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not low < value < high:
        bounds = "" if low == float("-inf") else " above 0" if low == 0 else " of at least 0"
        bounds += f" and below {high:g}" if high < float("inf") else ""
        raise PolicyError(f"{label} must be a number{bounds}, not {value!r}")
    return float(value)


def _choice(value: object, choices: tuple[str, ...], label: str) -> Any:
    if value not in choices:
        raise PolicyError(f"{label} must be one of {', '.join(choices)}, not {value!r}")
    return value


def _regex(pattern: str, label: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise PolicyError(f"{label}: {pattern!r} is no regular expression: {error}") from None
    return pattern
