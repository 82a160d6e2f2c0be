"""The tensors by which quantized checkpoints store one matrix, widened to the matrix.

Each function takes the *parts* of a module, by the names that they have in a file after the module's
own, and returns a `Widened`. Nothing here reads a file or a config.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from inference.errors import CheckpointError
from inference.ops.grid import Grid
from inference.ops.nf4_matrix import LEVELS

__all__ = [
    "Parts",
    "Widened",
    "awq",
    "block_scaled",
    "gptq",
    "nf4",
    "pack_quantized",
    "unpack",
]

Parts = Mapping[str, Tensor]

# Of the eight values in an AWQ word, from its low bits: which output each of eight outputs is.
_AWQ_PLACES = [0, 4, 1, 5, 2, 6, 3, 7]


@dataclass(frozen=True, slots=True)
class Widened:
    """A matrix in float32, ``[out, in]``, and the grid on which it lies where int4 can hold that."""

    weight: Tensor
    grid: Grid | None = None


def unpack(words: Tensor, bits: int) -> Tensor:
    """Return the unsigned values of ``bits`` bits in int32 words, ``[rows, words * 32 / bits]``; low bits first."""
    shifts = torch.arange(0, 32, bits, device=words.device)
    return ((words[..., None] >> shifts) & (2**bits - 1)).flatten(-2)


def gptq(parts: Parts, *, bits: int, group: int, zero_offset: int) -> Widened:
    """Widen a module of a GPTQ checkpoint.

    Args:
        parts: ``qweight`` ``[in * bits / 32, out]``, ``qzeros`` ``[groups, out * bits / 32]``, ``scales``
            ``[groups, out]``, and ``g_idx`` ``[in]``, the group of each input, where there is one.
        bits: 2, 4 or 8.
        group: Inputs of a group; -1: all.
        zero_offset: What is added to a stored zero point: 1 in the format's first version.
    """
    values = unpack(parts["qweight"].t(), bits)
    zeros = ((unpack(parts["qzeros"], bits) + zero_offset) & (2**bits - 1)).t()
    width = values.shape[1]
    in_order = torch.arange(width) // (width if group == -1 else group)
    group_of = parts["g_idx"].long() if "g_idx" in parts else in_order
    return _uniform(
        values,
        parts["scales"].t(),
        zeros,
        group_of,
        bits=bits,
        ordered=torch.equal(group_of, in_order),
    )


def awq(parts: Parts, *, group: int) -> Widened:
    """Widen a module of an AWQ checkpoint of 4 bits in the layout ``gemm``.

    Args:
        parts: ``qweight`` ``[in, out / 8]``, ``qzeros`` ``[groups, out / 8]``, ``scales`` ``[groups, out]``.
        group: Inputs of a group; -1: all.
    """

    def by_output(words: Tensor) -> Tensor:
        return unpack(words, 4).unflatten(1, (-1, 8))[..., _AWQ_PLACES].flatten(1).t()

    values = by_output(parts["qweight"])
    width = values.shape[1]
    group_of = torch.arange(width) // (width if group == -1 else group)
    return _uniform(values, parts["scales"].t(), by_output(parts["qzeros"]), group_of, bits=4)


def pack_quantized(parts: Parts) -> Widened:
    """Widen a module of a compressed-tensors checkpoint whose integers are packed.

    Args:
        parts: ``weight_packed`` ``[out, in * bits / 32]``, ``weight_scale`` ``[out, groups]``,
            ``weight_shape``; where there are any, ``weight_zero_point`` ``[out * bits / 32, groups]``
            and ``weight_g_idx`` ``[in]``.

    Raises:
        CheckpointError: Neither 4 nor 8 bits.
    """
    packed, scales = parts["weight_packed"], parts["weight_scale"]
    out, width = parts["weight_shape"].tolist()
    fits = [bits for bits in (4, 8) if packed.shape[1] == -(-width * bits // 32)]
    if len(fits) != 1:
        raise CheckpointError(
            f"weight_packed of {list(packed.shape)} holds [{out}, {width}] in neither 4 nor 8 bits"
        )
    (bits,) = fits
    values = unpack(packed, bits)[:, :width]
    scales = scales.reshape(out if scales.numel() > 1 else 1, -1).expand(out, -1)
    if "weight_zero_point" in parts:
        zeros = unpack(parts["weight_zero_point"].t(), bits).t()[:out]
    else:
        zeros = torch.full_like(scales, 2 ** (bits - 1), dtype=torch.int32)
    in_order = torch.arange(width) // -(-width // scales.shape[1])
    group_of = parts["weight_g_idx"].long() if "weight_g_idx" in parts else in_order
    return _uniform(
        values, scales, zeros, group_of, bits=bits, ordered=torch.equal(group_of, in_order)
    )


def block_scaled(parts: Parts, *, block: tuple[int, int] | None = None) -> Widened:
    """Widen a module that stores one number of 8 bits for each weight.

    Args:
        parts: ``weight`` ``[out, in]``, int8 or float8; ``weight_scale`` or ``weight_scale_inv``, one for
            the matrix, each row, each group of a row or each block; ``weight_zero_point`` like it, where
            there is one.
        block: Rows and columns that share a scale; None: as many of each as divide evenly.
    """
    weight = parts["weight"]
    scales = parts.get("weight_scale", parts.get("weight_scale_inv"))
    assert scales is not None
    wide = weight.float()
    if "weight_zero_point" in parts:
        wide = wide - _spread(parts["weight_zero_point"].float(), weight.shape, block)
    return Widened(wide * _spread(scales.float(), weight.shape, block))


def nf4(parts: Parts) -> Widened:
    """Widen a module of a bitsandbytes checkpoint in NF4.

    Args:
        parts: ``weight``, uint8, two values a byte, the first in the high half; ``weight.absmax``, the
            largest of each block; ``weight.quant_state.bitsandbytes__nf4``, JSON; and where the largest
            ones are quantized too, ``weight.nested_absmax`` and ``weight.nested_quant_map``.

    Raises:
        CheckpointError: The state is no JSON, or lacks a key.
    """
    try:
        state = json.loads(bytes(parts["weight.quant_state.bitsandbytes__nf4"].tolist()))
        shape, block = [int(n) for n in state["shape"]], int(state["blocksize"])
        largest = parts["weight.absmax"]
        if "weight.nested_absmax" in parts:
            each = (
                parts["weight.nested_absmax"]
                .float()
                .repeat_interleave(int(state["nested_blocksize"]))
            )
            widened = parts["weight.nested_quant_map"].float()[largest.long()]
            largest = widened * each[: len(largest)] + float(state["nested_offset"])
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"its quant_state cannot be read ({error!r})") from error
    packed = parts["weight"].flatten()
    values = LEVELS[torch.stack((packed >> 4, packed & 15), dim=1).flatten().long()]
    of_each = largest.float().repeat_interleave(block)
    count = shape[0] * shape[1]
    return Widened((values[:count] * of_each[:count]).view(shape))


def _uniform(
    values: Tensor,
    scales: Tensor,
    zeros: Tensor,
    group_of: Tensor,
    *,
    bits: int,
    ordered: bool = True,
) -> Widened:
    """Widen ``(values - zeros) * scales``.

    Args:
        values: ``[out, in]``.
        scales: ``[out, groups]``.
        zeros: As ``scales``.
        group_of: Each input's group, ``[in]``.
        bits: Of a value.
        ordered: Whether groups follow one another.

    Raises:
        CheckpointError: The shapes do not fit together, or a group has no scale.
    """
    out, width = values.shape
    groups = scales.shape[1]
    if (
        len(scales) != out
        or zeros.shape != scales.shape
        or len(group_of) != width
        or not 0 <= int(group_of.min()) <= int(group_of.max()) == groups - 1
    ):
        raise CheckpointError(
            f"values of {[out, width]}, scales of {list(scales.shape)} and zero points of "
            f"{list(zeros.shape)} (outputs first) do not fit the group size"
        )
    scales, zeros = scales.float(), zeros.float()
    weight = (values - zeros[:, group_of]) * scales[:, group_of]
    grid = None
    if bits == 4 and ordered and width % groups == 0:
        steps = scales.masked_fill(scales == 0, 1.0)  # all its weights are 0 then
        grid = Grid(width // groups, steps, -zeros * scales)
    return Widened(weight, grid)


def _spread(values: Tensor, shape: torch.Size, block: tuple[int, int] | None) -> Tensor:
    """Return one value for each weight from one for each block of them.

    Raises:
        CheckpointError: They do not cover the matrix evenly.
    """
    if values.numel() == 1:
        return values.reshape(1, 1)
    table = values[:, None] if values.ndim == 1 else values
    sides = []
    for size, count, side in zip(shape, table.shape, block or (None, None), strict=True):
        # A scale for each row, or one for all of them, whatever the blocks are.
        each = 1 if count == size else size if count == 1 else side or -(-size // count)
        if -(-size // each) != count or (side is None and size % count):
            raise CheckpointError(
                f"scales of {list(values.shape)} do not cover a matrix of {list(shape)}"
            )
        sides.append(torch.arange(size) // each)
    rows, columns = sides
    return table[rows][:, columns]
