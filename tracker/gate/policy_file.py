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
    same_work = "counts"              # or "tokens": the tokens themselves must not differ either

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

    [executors.h100]                  # docs/executors.md: where `tracker schedule` runs its jobs
    kind = "slurm"

    [limits]                          # what a user may experience; base units
    "ttft_p95" = 1.5                  # regular expression = the worst value allowed
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

from tracker.alerts.config import alerts_config
from tracker.domain import Better, Kind
from tracker.errors import PolicyError, UsageError
from tracker.execute.settings import executor_settings
from tracker.gate.limits import DEFAULT_LIMITS, Limit
from tracker.gate.policy import OnInconclusive, Policy, SameWork
from tracker.measure.settings import measure_settings
from tracker.metrics import MetricRule
from tracker.toml_table import AT_LEAST_0, INFINITY, Table, as_regex, read_table

__all__ = ["check_patterns", "load_policy", "parse_policy"]

POLICY_FILE = "pacekeeper.toml"


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
    return parse_policy(read_table(path).content, str(path))


def parse_policy(content: Mapping[str, Any], where: str = POLICY_FILE) -> Policy:
    """Check a policy's content and return it as values.

    Args:
        content: As TOML gives it.
        where: What messages call the file.

    Raises:
        PolicyError: An unknown key (with the nearest known one) or an impossible value.
    """
    known = ("project", "gate", "limits", "creep", "alerts", "measure", "executors")
    file = Table(content, f"{where}:", known)
    policy = Policy(
        **_project(file.table("project", f"{where}: [project]", ("name", "commit_url", "source"))),
        **_gate(file.table("gate", f"{where}: [gate]", _GATE_KEYS), where),
        **_creep(file.table("creep", f"{where}: [creep]", ("budget", "against"))),
        limits=(*_limits(file.table("limits", f"{where}: [limits]")), *DEFAULT_LIMITS),
        alerts=alerts_config(file.table("alerts", f"{where}: [alerts]")),
        measure=measure_settings(file.table("measure", f"{where}: [measure]")),
        executors=executor_settings(file.table("executors", f"{where}: [executors]")),
    )
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


_GATE_KEYS = (
    "bench", "alpha", "margin", "detect", "max_pairs", "budget", "timeout", "on_inconclusive",
    "same_work", "metrics",
)  # fmt: skip
_METRIC_KEYS = ("margin", "detect", "vote", "better", "kind", "unit", "step")


def _project(table: Table) -> dict[str, Any]:
    given = table.text("name") | table.text("commit_url")
    if "{commit}" not in given.get("commit_url", "{commit}"):
        raise PolicyError(f"{table.source} commit_url must hold {{commit}}")
    return given | table.texts("source")


def _gate(table: Table, where: str) -> dict[str, Any]:
    bench = table.texts("bench")
    for pattern in bench.get("bench", ()):
        as_regex(pattern, f"{table.source} bench")
    rules = table.table("metrics", f"{where}: [gate.metrics]").content
    return {
        **bench,
        **table.number("alpha", 0.0, 1.0),
        **table.number("margin", AT_LEAST_0, 1.0),
        **table.number("detect", 0.0, 10.0),
        **table.number("budget", 0.0, INFINITY),
        **table.number("timeout", 0.0, INFINITY),
        **table.count("max_pairs"),
        **table.choice("on_inconclusive", get_args(OnInconclusive)),
        **table.choice("same_work", get_args(SameWork)),
        "metrics": tuple(_rule(pattern, rule, where) for pattern, rule in rules.items()),
    }


def _rule(pattern: str, content: object, where: str) -> MetricRule:
    source = f'{where}: [gate.metrics."{pattern}"]'
    as_regex(pattern, source)
    table = Table(content, source, _METRIC_KEYS)
    given: dict[str, Any] = {
        **table.number("margin", AT_LEAST_0, 1.0),
        **table.number("detect", 0.0, 10.0),
        **table.number("step", AT_LEAST_0, INFINITY),
        **table.flag("vote"),
        **table.text("unit"),
        **table.choice("better", get_args(Better)),
        **table.choice("kind", get_args(Kind)),
    }
    return MetricRule(pattern, **given)


def _creep(table: Table) -> dict[str, Any]:
    given = table.number("budget", 0.0, 10.0) | table.text("against")
    return {f"creep_{key}": value for key, value in given.items()}


def _limits(table: Table) -> list[Limit]:
    worst: dict[str, float] = {}
    for pattern in table.content:
        as_regex(pattern, table.source)
        worst |= table.number(pattern, -INFINITY, INFINITY)
    return [Limit(pattern, value) for pattern, value in worst.items()]
