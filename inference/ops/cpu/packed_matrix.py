"""Weight matrices in panels of some outputs, for the compiled products.

``products.cpp`` reads these layouts; every class here is one, and the product that belongs to it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inference.ops.cpu.compilation import Library
from inference.ops.grid import Grid
from inference.ops.nf4_matrix import block_of, nf4_values

__all__ = ["PackedFloat", "PackedInt4", "PackedInt8", "PackedMatrix", "PackedNf4"]


class PackedMatrix:
    """What the packed matrices share.

    Args:
        library: The compiled products.
        shape: ``(out, in)``.
        arrays: What is held, each once.
    """

    def __init__(self, library: Library, shape: tuple[int, int], *arrays: NDArray[Any]) -> None:
        self.shape = shape
        self.num_bytes = self.num_bytes_read = sum(array.nbytes for array in arrays)
        self._library = library
        self._arrays = arrays  # kept: the pointers below are into them
        self._pointers = [array.ctypes.data for array in arrays]
        self._width = library.panel_width
        self._panels = -(-shape[0] // self._width)

    def multiply(self, x: Tensor) -> Tensor:
        """Return ``x @ weight.T``, ``[T, out]``, computed in float32."""
        wide = x.float().contiguous().numpy()
        return torch.from_numpy(self.multiply_array(wide)).to(x.dtype)

    def multiply_array(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return ``x @ weight.T`` for contiguous ``[T, in]``; a view where no panel ends with ``out``."""
        product = np.empty((len(x), self._panels * self._width), np.float32)
        self._fill(np.ascontiguousarray(x), product)
        return product[:, : self.shape[0]]

    def _fill(self, x: NDArray[np.float32], product: NDArray[np.float32]) -> None:
        raise NotImplementedError


class PackedFloat(PackedMatrix):
    """A matrix in float32 or bfloat16, multiplied in float32.

    Args:
        library: The compiled products.
        weight: ``[out, in]``, float32 or bfloat16 (held in float32 where ``in`` is odd).

    Cost:
        As ``linear`` at the bytes of its dtype.
    """

    def __init__(self, library: Library, weight: Tensor) -> None:
        if weight.dtype is torch.bfloat16 and weight.shape[1] % 2 == 0:
            values = _panels(library, weight.contiguous().view(torch.int16).numpy(), of=2)
            self._product = library.bfloat16_product
        else:
            values = _panels(library, weight.float().contiguous().numpy())
            self._product = library.float32_product
        super().__init__(library, tuple(weight.shape), values)

    def _fill(self, x: NDArray[np.float32], product: NDArray[np.float32]) -> None:
        self._product(x.ctypes.data, *x.shape, self._pointers[0], self._panels, product.ctypes.data)


class PackedInt8(PackedMatrix):
    """A matrix in int8 with one scale per output, multiplied in integers.

    An activation enters as two rows of 7 bits, a coarse one and what it leaves over, so that about
    14 bits of it count and only the weight's rounding shows. Each row is scaled by its own largest
    value; what else is in a batch changes no result.

    Args:
        library: The compiled products.
        weight: ``[out, in]``.

    Cost:
        As ``linear`` at 1 byte a weight and twice the FLOPs, plus 4 bytes an output.
    """

    def __init__(self, library: Library, weight: Tensor) -> None:
        wide = weight.float().numpy()
        # A row of zeros needs some scale, and keeps its zeros with any.
        tiny = np.finfo(np.float32).tiny
        scales = np.maximum(np.abs(wide).max(1) / np.float32(127), tiny)
        values = (np.rint(wide / scales[:, None]) + 128).astype(np.uint8)
        self._padded = -(-wide.shape[1] // 4) * 4
        values = _columns(values, self._padded, fill=128)
        super().__init__(
            library,
            tuple(weight.shape),
            _panels(library, values, of=4, fill=128),
            _rows(library, scales, fill=0),
        )

    def _fill(self, x: NDArray[np.float32], product: NDArray[np.float32]) -> None:
        values, scales = self._pointers
        rows = len(x)
        work = np.empty(2 * rows * self._padded + 12 * rows, np.int8)
        self._library.int8_product(
            *(x.ctypes.data, *x.shape, self._padded, values),
            *(scales, self._panels, work.ctypes.data, product.ctypes.data),
        )


class PackedInt4(PackedMatrix):
    """A matrix in int4, on a grid of 16 values for each group of a row, rounded to nearest.

    Activations are rounded to 8 bits in the same groups.

    Args:
        library: The compiled products.
        weight: ``[out, in]``.
        grid: What its values are rounded to, where the groups are of a multiple of 8; None fits one.

    Raises:
        ConfigError: ``in`` is no multiple of 32, and there is no grid.

    Cost:
        As ``linear`` at half a byte a weight, plus 4 bytes a group.
    """

    def __init__(self, library: Library, weight: Tensor, grid: Grid | None = None) -> None:
        out, width = weight.shape
        if grid is None or grid.group % 8:
            grid = Grid.fit(weight)
        self._group = grid.group
        values = grid.values(weight).view(out, -1, 2, 4).numpy()
        halves = (values[:, :, 0] | values[:, :, 1] << 4).reshape(out, -1)
        pairs = torch.stack((grid.steps, grid.lows), dim=-1).bfloat16()  # [out, groups, 2]
        super().__init__(
            library,
            (out, width),
            _panels(library, halves, of=4),
            _panels(library, pairs.view(torch.int16).numpy().reshape(out, -1), of=2),
        )

    def _fill(self, x: NDArray[np.float32], product: NDArray[np.float32]) -> None:
        values, pairs = self._pointers
        rows, width = x.shape
        work = np.empty(rows * width + 8 * rows * (width // self._group), np.int8)
        self._library.int4_product(
            *(x.ctypes.data, rows, width, self._group, values),
            *(pairs, self._panels, work.ctypes.data, product.ctypes.data),
        )


class PackedNf4(PackedMatrix):
    """A matrix in NF4, multiplied in float32.

    Args:
        library: The compiled products.
        weight: ``[out, in]``.

    Raises:
        ConfigError: ``in`` is no multiple of 32.

    Cost:
        As ``linear`` at half a byte a weight, plus 4 bytes a block of a row.
    """

    def __init__(self, library: Library, weight: Tensor) -> None:
        out, width = weight.shape
        self._block = block_of(weight)
        values, largest = nf4_values(weight, self._block)
        eights = values.view(out, -1, 8).numpy().astype(np.uint32) << np.arange(0, 32, 4)
        super().__init__(
            library,
            (out, width),
            _panels(library, eights.sum(-1, dtype=np.uint32)),
            _panels(library, largest.numpy()),
        )

    def _fill(self, x: NDArray[np.float32], product: NDArray[np.float32]) -> None:
        values, largest = self._pointers
        self._library.nf4_product(
            *(x.ctypes.data, *x.shape, self._block, values),
            *(largest, self._panels, product.ctypes.data),
        )


def _rows(library: Library, values: NDArray[Any], *, fill: int) -> NDArray[Any]:
    """Return the values with rows of ``fill`` after them, to a multiple of a panel."""
    missing = -len(values) % library.panel_width
    return np.pad(values, [(0, missing)] + [(0, 0)] * (values.ndim - 1), constant_values=fill)


def _columns(values: NDArray[Any], width: int, *, fill: int) -> NDArray[Any]:
    missing = width - values.shape[1]
    return np.pad(values, [(0, 0), (0, missing)], constant_values=fill) if missing else values


def _panels(library: Library, values: NDArray[Any], *, of: int = 1, fill: int = 0) -> NDArray[Any]:
    """Return ``[out, width]`` as ``[out / panel, width / of, panel, of]``, contiguous."""
    padded = _rows(library, values, fill=fill)
    width = library.panel_width
    panels = padded.reshape(len(padded) // width, width, -1, of)
    return np.ascontiguousarray(panels.transpose(0, 2, 1, 3))
