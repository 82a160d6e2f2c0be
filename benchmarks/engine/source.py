"""The engine under measurement: imported late, and checked to be the right commit's."""

from __future__ import annotations

import importlib
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from tracker.errors import MeasurementError

__all__ = ["Imported", "SourceMismatchError", "check_source", "import_engine"]


class SourceMismatchError(MeasurementError):
    """``inference`` was not imported from the tree that is to be measured."""


@dataclass(frozen=True, slots=True)
class Imported:
    """The engine's package.

    Attributes:
        module: ``inference``.
        path: The directory it was imported from.
        seconds: What importing it (and torch with it) cost; None where torch was there already.
    """

    module: ModuleType
    path: Path
    seconds: float | None


def import_engine() -> Imported:
    """Import ``inference``, and torch with it, and return the package.

    torch is imported here by name: the engine puts it off until one is made, and the target
    pins its threads before that.

    Raises:
        SourceMismatchError: ``PACEKEEPER_SOURCE`` is set and the package is not inside it.
    """
    cold = "torch" not in sys.modules and "inference" not in sys.modules
    before = time.perf_counter()
    module = importlib.import_module("inference")
    importlib.import_module("torch")
    seconds = time.perf_counter() - before if cold else None
    path = Path(str(module.__file__)).resolve().parent
    expected = os.environ.get("PACEKEEPER_SOURCE")
    if expected:
        check_source(path, Path(expected))
    return Imported(module, path, seconds)


def check_source(imported: Path, expected: Path) -> None:
    """Raise unless the package at ``imported`` is the one in the tree ``expected``.

    Raises:
        SourceMismatchError: It is not; names both.
    """
    if imported.resolve() != (expected / "inference").resolve():
        raise SourceMismatchError(
            f"inference was imported from {imported}, but PACEKEEPER_SOURCE says to measure "
            f"{expected}; put that tree first on PYTHONPATH (asv: ASV_PYTHONPATH)"
        )
