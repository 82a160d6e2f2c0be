"""The parts of a session, in the order they run."""

from __future__ import annotations

from types import ModuleType

from benchmarks.gpu import aa, engine, explain, facts, kernels, scenarios, suites, telemetry

__all__ = ["PARTS"]

# Each module has cases(device) -> names, and run(case, context) -> (measurements, facts); a LIMIT of seconds
# where the part must end sooner than others.
PARTS: dict[str, ModuleType] = {
    "facts": facts,
    "kernels": kernels,
    "engine": engine,
    "telemetry": telemetry,
    "scenarios": scenarios,
    "explain": explain,
    "suites": suites,
    "aa": aa,
}
