"""The parts of a session, in the order they run."""

from __future__ import annotations

from types import ModuleType

from benchmarks.gpu import aa, engine, facts, kernels, suites

__all__ = ["PARTS"]

# Each module has cases(device) -> names, and run(case, context) -> (measurements, facts).
PARTS: dict[str, ModuleType] = {
    "facts": facts,
    "kernels": kernels,
    "engine": engine,
    "suites": suites,
    "aa": aa,
}
