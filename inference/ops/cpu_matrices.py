"""Weight matrices that torch's CPU products in few bits hold packed.

One row of activations is bound by the weight's bytes: half the bytes are most of half the time.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from torch import Tensor

from inference.errors import ConfigError
from inference.ops.grid import GROUPS, Grid

__all__ = ["HalfMatrix", "Int4Matrix", "Int8Matrix", "is_available"]

_STEPS = 63  # either side of 0: two products of 7 and 8 bits add up in int16 without saturating
_FINE = 2 * _STEPS  # fine steps in one coarse step, since what is left over is half of one at most


def is_available() -> bool:
    """Whether torch was built with FBGEMM, whose products these are, and this CPU runs it."""
    return "fbgemm" in torch.backends.quantized.supported_engines


class HalfMatrix:
    """A matrix in float16, multiplied in float32.

    Holds bfloat16 weights too: of those between 6e-5 and 65504 no bit is lost, smaller ones are
    off by less than 3e-8.

    Args:
        weight: ``[out, in]``.

    Cost:
        As ``linear`` at 2 bytes a weight.
    """

    def __init__(self, weight: Tensor) -> None:
        self.shape = tuple(weight.shape)
        self._packed = torch.ops.quantized.linear_prepack_fp16(weight.float(), None)

    @property
    def num_bytes(self) -> int:
        """Bytes held."""
        return 2 * self.shape[0] * self.shape[1]

    num_bytes_read = num_bytes

    def multiply(self, x: Tensor) -> Tensor:
        """Return ``x @ weight.T``, ``[T, out]``."""
        product = torch.ops.quantized.linear_dynamic_fp16(x.float(), self._packed)
        return product.to(x.dtype)


class Int8Matrix:
    """A matrix in int8 with one scale per output, multiplied in integers.

    An activation enters as two rows of 7 bits, a coarse one and what it leaves over, so that about
    14 bits of it count and only the weight's rounding shows. The second row is nearly free: the
    product is bound by the weight. Each row is scaled by its own largest value; what else is in a
    batch changes no result.

    Args:
        weight: ``[out, in]``.

    Cost:
        As ``linear`` at 1 byte a weight and twice the FLOPs, plus 4 bytes an output.
    """

    def __init__(self, weight: Tensor) -> None:
        self.shape = tuple(weight.shape)
        wide = weight.float()
        # A row of zeros needs some scale, and keeps its zeros with any.
        scales = wide.abs().amax(1).div(127).clamp_(min=torch.finfo(torch.float32).tiny)
        rounded = wide.div(scales[:, None]).round_().to(torch.int8)
        zeros = torch.zeros(len(wide), dtype=torch.int64)
        with warnings.catch_warnings():
            # torch plans to drop tensors of quantized dtypes; FBGEMM's packing takes no others yet.
            warnings.filterwarnings("ignore", "torch.quantize_per_tensor", UserWarning)
            values = torch._make_per_channel_quantized_tensor(rounded, scales.double(), zeros, 0)
        self._packed = torch.ops.quantized.linear_prepack(values, None)

    @property
    def num_bytes(self) -> int:
        """Bytes held."""
        return self.shape[0] * (self.shape[1] + 4)

    num_bytes_read = num_bytes

    def multiply(self, x: Tensor) -> Tensor:
        """Return ``x @ weight.T``, ``[T, out]``."""
        # In NumPy: these calls take a fraction of torch's time beside a product.
        wide = x.float().numpy()
        scale = np.maximum.reduce(np.abs(wide), axis=-1, keepdims=True)
        scale /= _STEPS
        np.maximum(scale, 1e-30, out=scale)
        count = len(wide)
        rows = np.empty((2 * count, wide.shape[1]), np.float32)
        coarse, fine = rows[:count], rows[count:]
        np.divide(wide, scale, out=coarse)  # rounded to whole steps around 64 by the product
        np.subtract(coarse, np.rint(coarse), out=fine)
        fine *= _FINE
        both = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(
            torch.from_numpy(rows), 1.0, 64, self._packed
        )
        first, second = both.numpy()[:count], both.numpy()[count:]
        second /= _FINE
        second += first
        second *= scale
        return torch.from_numpy(second).to(x.dtype)


class Int4Matrix:
    """A matrix in int4, on a grid of 16 values for each group of a row, rounded to nearest.

    A quarter of bfloat16's memory; on a CPU with AVX2 alone unpacking takes the time that reading
    less saves.

    Args:
        weight: ``[out, in]``.
        grid: What its values are rounded to, where its groups are of one of these sizes; None fits one.

    Raises:
        ConfigError: ``out`` is no multiple of 16, or ``in`` none of 32.

    Cost:
        As ``linear`` at half a byte a weight, plus 4 bytes a group.
    """

    def __init__(self, weight: Tensor, grid: Grid | None = None) -> None:
        out, width = weight.shape
        self.shape = (out, width)
        if out % 16:
            raise ConfigError(
                f"quantization='int4': a matrix of {out} x {width} does not fit; rows go by 16. "
                "Use 'int8'"
            )
        if grid is None or grid.group not in GROUPS:
            grid = Grid.fit(weight)
        self._group = grid.group
        self._packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(
            grid.values(weight).to(torch.int32), 1
        )
        # Value 8 stands for the second of a pair, [groups, out, 2].
        pairs = torch.stack((grid.steps, grid.lows + 8 * grid.steps), dim=-1)
        self._pairs = pairs.transpose(0, 1).to(torch.bfloat16).contiguous()

    @property
    def num_bytes(self) -> int:
        """Bytes held."""
        return self.shape[0] * self.shape[1] // 2 + 2 * self._pairs.numel()

    num_bytes_read = num_bytes

    def multiply(self, x: Tensor) -> Tensor:
        """Return ``x @ weight.T``, ``[T, out]``, from activations rounded to bfloat16."""
        product = torch.ops.aten._weight_int4pack_mm_for_cpu(
            x.to(torch.bfloat16), self._packed, self._group, self._pairs
        )
        return product.to(x.dtype)
