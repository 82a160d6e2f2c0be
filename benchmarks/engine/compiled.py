"""What Triton made of each kernel that ran in this process: registers, spills, shared memory, the tuner's choice."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

__all__ = ["compiled_kernels"]

_METADATA = ("shared", "num_warps", "num_stages")


def compiled_kernels(package: str) -> dict[str, dict[str, int | str]]:
    """Return facts by the kernel's name; of several compilations those that use most registers.

    Empty where nothing was compiled: on a CPU, in Triton's interpreter, or without Triton. A fact that
    Triton does not tell is absent.

    Args:
        package: Whose modules hold the kernels: ``"inference"``.
    """
    found: dict[str, dict[str, int | str]] = {}
    for function, choices in _functions(package):
        for binary in _binaries(function):
            facts: dict[str, int | str] = {
                "registers": getattr(binary, "n_regs", None) or 0,
                "spills": getattr(binary, "n_spills", None) or 0,
            }
            if not facts["registers"]:  # compiled and never loaded
                continue
            metadata = getattr(binary, "metadata", None)
            facts |= {n: v for n in _METADATA if (v := getattr(metadata, n, None)) is not None}
            if choices:
                facts["tuned"] = "; ".join(choices)
            name = str(getattr(binary, "name", None) or getattr(function, "__name__", "?"))
            if int(facts["registers"]) >= int(found.get(name, {}).get("registers", 0)):
                found[name] = facts
    return found


def _functions(package: str) -> Iterator[tuple[Any, list[str]]]:
    """Yield each jitted function of the package's modules, with what an autotuner chose for it."""
    seen: set[int] = set()
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] != package or module is None:
            continue
        for value in list(vars(module).values()):
            choices: list[str] = []
            while not hasattr(value, "device_caches") and hasattr(value, "fn"):
                cache = getattr(value, "cache", None)  # Autotuner's: key to configuration
                if isinstance(cache, dict):
                    choices += dict.fromkeys(str(choice) for choice in cache.values())
                value = value.fn
            if hasattr(value, "device_caches") and id(value) not in seen:
                seen.add(id(value))
                yield value, choices


def _binaries(function: Any) -> Iterator[Any]:
    for entry in list(function.device_caches.values()):
        kernels = entry[0] if isinstance(entry, tuple) else entry
        if isinstance(kernels, dict):
            yield from kernels.values()
