"""Pairs of implementations, and the choice between them made once per engine.

Each op is a torch reference and, where one is written, a Triton kernel of the same signature. The
reference is the CPU path, the oracle of the kernel's tests, and the documentation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from inference.errors import BackendUnavailable

__all__ = ["Op", "OpSet"]

Kernel = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Op:
    """One op: its name, its torch reference, its Triton kernel or None."""

    name: str
    reference: Kernel
    triton: Kernel | None = None

    def resolve(self, backend: str, device: str) -> tuple[str, Kernel]:
        """Return the name and function of the implementation to run.

        Args:
            backend: ``"auto"`` takes Triton on CUDA where there is a kernel, else the reference.
            device: ``"cpu"`` or ``"cuda"``.

        Raises:
            BackendUnavailable: ``"triton"`` was asked for and this op has no kernel.
        """
        if backend == "triton" and self.triton is None:
            raise BackendUnavailable(
                f"op {self.name!r} has no triton kernel; use backend='auto' or 'reference'"
            )
        use_triton = backend == "triton" or (backend == "auto" and device == "cuda")
        if use_triton and self.triton is not None:
            return "triton", self.triton
        return "reference", self.reference


class OpSet:
    """The implementations one engine runs, as attributes named after the ops, each call counted.

    Attributes:
        backends: Op name to ``"reference"`` or ``"triton"``.
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

    def reset_counters(self) -> None:
        """Set every call count to 0."""
        for name in self.calls:
            self.calls[name] = 0

    def _counted(self, name: str, kernel: Kernel) -> Kernel:
        calls = self.calls

        def call(*args: Any, **kwargs: Any) -> Any:
            calls[name] += 1
            return kernel(*args, **kwargs)

        return call
