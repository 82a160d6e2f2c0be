"""Compile every kernel for an H100 as its large cases launch it; no GPU is needed.

Prints one JSON line a kernel: the op, the kernel's name, and how often its PTX holds the
instructions asked about. Run in a process of its own: Triton is told of a device that is not there.
"""

from __future__ import annotations

import functools
import importlib
import json
import sys
from typing import Any

import torch
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import JITFunction

from inference.ops import OPS
from inference.ops.triton import device
from inference.ops.triton.device import DeviceShape
from tests.inference.ops.cases import CASES, Draw

H100 = DeviceShape(num_sms=132, shared_bytes=232_448, interpreted=False)


class Hopper:
    """As much of a driver as compiling asks for."""

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", 90, 32)

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, _: int) -> int:
        return 0


class Shapes(Draw):
    """Tensors without memory: compiling reads shapes, dtypes and alignment."""

    def __init__(self) -> None:
        super().__init__(torch.bfloat16, torch.device("meta"))

    def normal(self, *shape: int) -> torch.Tensor:
        return torch.empty(shape, dtype=self.dtype, device=self.device)

    def angles(self, *shape: int) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.empty(shape, device=self.device), torch.empty(shape, device=self.device)

    def below(self, high: int, *shape: int) -> torch.Tensor:
        return torch.empty(shape, dtype=torch.int64, device=self.device)


def main(instructions: list[str]) -> None:
    compiled: list[Any] = []

    def compile_only(kernel: Any, grid: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> None:
            compiled.append(kernel.warmup(*args, grid=grid, **kwargs))

        return call

    driver.set_active(Hopper())
    JITFunction.__getitem__ = compile_only
    device.device_shape = functools.cache(lambda _: H100)  # before the kernels' modules import it
    for op in OPS:
        module, _, name = op.triton.partition(":")
        function = getattr(importlib.import_module(module), name)
        for case in CASES[op.name]:
            if case.large:
                args, kwargs = case.make(Shapes())
                compiled.clear()
                function(*args, **kwargs)
                for kernel in compiled:
                    ptx = kernel.asm["ptx"]
                    found = {i: ptx.count(i) for i in instructions}
                    print(json.dumps({"op": op.name, "case": case.name, "found": found}))


if __name__ == "__main__":
    main(sys.argv[1:])
