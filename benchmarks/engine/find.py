"""Suite classes by name."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import benchmarks
from tracker.errors import did_you_mean
from tracker.load.errors import ScenarioError
from tracker.load.scenario import Scenario
from tracker.load.suite import benchmark_name, labelled

__all__ = ["find_suite", "scenarios", "suites"]


def scenarios() -> dict[str, Scenario]:
    """Return every scenario by its class's name as asv has it: ``"bench_sweep.SweepTiny(8)"`` in a sweep."""
    return {
        label: scenario
        for name, cls in suites().items()
        for label, scenario in labelled(name, cls.work).items()
    }


def suites() -> dict[str, Any]:
    """Return every class that drives a load, by its name as asv has it."""
    found = {}
    for info in pkgutil.iter_modules(benchmarks.__path__, "benchmarks."):
        if not info.name.startswith("benchmarks.bench_"):
            continue
        module = importlib.import_module(info.name)
        for value in vars(module).values():
            if isinstance(value, type) and hasattr(value, "work"):
                found[benchmark_name(value)] = value
    return found


def find_suite(name: str) -> tuple[str, Any]:
    """Return the full name and the class of ``name``: ``bench_serving.TinyC4`` or ``TinyC4``.

    Raises:
        ScenarioError: There is none of that name, or several.
    """
    known = suites()
    if name in known:
        return name, known[name]
    matches = [full for full in known if full.rpartition(".")[2] == name]
    if len(matches) == 1:
        return matches[0], known[matches[0]]
    if matches:
        raise ScenarioError(f"{name} is several scenarios: {', '.join(sorted(matches))}")
    shorts = {full.rpartition(".")[2] for full in known}
    raise ScenarioError(f"no scenario {name!r}; {did_you_mean(name, sorted({*known, *shorts}))}")
