"""The models that suites name, and whether this machine can run one."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from tracker.load.errors import UnavailableError
from tracker.load.scenario import Model

__all__ = [
    "QWEN3_0_6B",
    "QWEN3_8B",
    "SMOLLM2",
    "TINY",
    "cache_directory",
    "locate",
    "require_device",
    "require_weights",
]


TINY = Model("tiny")
SMOLLM2 = Model("smollm2-135m-instruct", weights="cache")
QWEN3_0_6B = Model("qwen3-0.6b", device="cuda")
QWEN3_8B = Model("qwen3-8b", device="cuda")


def cache_directory() -> Path:
    """Return where converted weights live: ``$PACEKEEPER_CACHE``, else ``~/.cache/pacekeeper``."""
    named = os.environ.get("PACEKEEPER_CACHE")
    return Path(named).expanduser() if named else Path.home() / ".cache" / "pacekeeper"


def locate(model: Model) -> str:
    """Return what to call ``LLM`` with: the preset's name or the checkpoint's directory.

    torch is not imported, so that the import can be timed after this; ``require_device`` asks it.

    Raises:
        UnavailableError: No CUDA driver, or the weights were never fetched.
    """
    if model.device == "cuda" and not _has_driver():
        raise UnavailableError(f"{model.name} needs a CUDA device and this machine has no driver")
    if model.weights == "dummy":
        return model.name
    directory = cache_directory() / model.name
    require_weights(directory)
    return str(directory)


def require_weights(directory: Path) -> None:
    """Raise UnavailableError unless a checkpoint lies there."""
    if not (directory / "config.json").is_file():
        raise UnavailableError(
            f"no weights at {directory}; `python -m benchmarks.fetch_smollm` fetches them"
        )


def require_device(model: Model) -> None:
    """Raise unless torch can use the model's device; imports torch for a CUDA model.

    Raises:
        UnavailableError: torch finds no CUDA device.
    """
    if model.device != "cuda":
        return
    import torch

    if not torch.cuda.is_available():
        raise UnavailableError(f"{model.name} needs a CUDA device and torch finds none")


def _has_driver() -> bool:
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True
