"""Implementations of each op, and the choice between them made once per engine.

Each op is a torch reference and, of the same signature, a Triton kernel and a function on NumPy
arrays, some of them compiled for the CPU. The reference runs on every device; it is the oracle of
the others' tests, and their documentation.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from inference.counters import Counter
from inference.errors import BackendUnavailable

__all__ = ["Op", "OpSet"]

Kernel = Callable[..., Any]
ON_ARRAYS = ("numpy", "compiled")  # backends whose ops of the layers take NumPy arrays


@dataclass(frozen=True, slots=True)
class Op:
    """One op.

    Attributes:
        name: What an ``OpSet`` calls it.
        reference: Its torch implementation.
        triton: Where its kernel is, ``"module:function"``, or None. Imported when it is chosen:
            an engine on a CPU neither needs Triton nor waits for its import.
        numpy: Whether ``numpy_ops`` has it. Only the sampler, outside the layers, takes tensors
            always.
    """

    name: str
    reference: Kernel
    triton: str | None = None
    numpy: bool = True

    def resolve(self, backend: str, device: str) -> tuple[str, Kernel]:
        """Return the name and function of the implementation to run.

        Args:
            backend: ``"auto"`` takes Triton on CUDA where there is a kernel, else the reference;
                ``"numpy"`` the function on arrays, for the sampler the reference; ``"compiled"``
                what is compiled of those.
            device: ``"cpu"`` or ``"cuda"``.

        Raises:
            BackendUnavailable: Triton is to run and this op has no kernel, or the package is not
                installed, or the device is a CPU and Triton's interpreter is off.
        """
        by_itself = backend == "auto" and device == "cuda" and self.triton is not None
        if backend == "triton" or by_itself:
            return "triton", self._load_triton(device)
        if backend == "compiled" and self.name in _compiled():
            return backend, _load(f"inference.ops.cpu.compiled_ops:{self.name}")
        if backend in ON_ARRAYS and self.numpy:
            return "numpy", _load(f"inference.ops.numpy_ops:{self.name}")
        return "reference", self.reference

    def _load_triton(self, device: str) -> Kernel:
        if self.triton is None:
            raise BackendUnavailable(
                f"op {self.name!r} has no triton kernel; use backend='auto' or 'reference'"
            )
        try:
            from triton import knobs
        except ImportError as error:
            raise BackendUnavailable(
                f"op {self.name!r}: the package triton is not installed; install it or use "
                "backend='reference'"
            ) from error
        if device == "cpu" and not knobs.runtime.interpret:
            raise BackendUnavailable(
                f"op {self.name!r}: Triton runs on a CPU in its interpreter only; set "
                "TRITON_INTERPRET=1 before Python starts (slow), or use backend='reference'"
            )
        return _load(self.triton)


def _compiled() -> list[str]:
    names: list[str] = importlib.import_module("inference.ops.cpu.compiled_ops").__all__
    return names


def _load(where: str) -> Kernel:
    module, _, function = where.partition(":")
    kernel: Kernel = getattr(importlib.import_module(module), function)
    return kernel


class OpSet:
    """The implementations one engine runs, as attributes named after the ops, each call counted.

    Attributes:
        backends: Op name to ``"reference"``, ``"triton"``, ``"numpy"`` or ``"compiled"``.
        calls: Op name to calls since the last reset.
    """

    def __init__(self, ops: Iterable[Op], *, backend: str, device: str) -> None:
        self.backends: dict[str, str] = {}
        self.calls: dict[str, int] = {}
        for op in ops:
            self.backends[op.name], kernel = op.resolve(backend, device)
            self.calls[op.name] = 0
            setattr(self, op.name, self._counted(op.name, kernel))

    def __getattr__(self, name: str) -> Kernel:
        # Reached only for names __init__ did not set; declares the type of those it did.
        raise AttributeError(f"no op {name!r}; known: {', '.join(self.calls)}")

    @property
    def on_arrays(self) -> bool:
        """Whether the ops of the layers take and return NumPy arrays."""
        return any(backend in ON_ARRAYS for backend in self.backends.values())

    def counters(self) -> list[Counter]:
        """Return the counter of each op's calls; ``calls`` is their owner."""
        return [
            Counter(f"op_calls.{name}", f"calls of the op `{name}`", attribute=name)
            for name in self.calls
        ]

    def _counted(self, name: str, kernel: Kernel) -> Kernel:
        calls = self.calls

        def call(*args: Any, **kwargs: Any) -> Any:
            calls[name] += 1
            return kernel(*args, **kwargs)

        return call
