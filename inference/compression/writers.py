"""The formats that `inference.quantize` writes: what one matrix becomes in a file.

Each is a published format, so that other engines load it too: compressed-tensors for int8 and int4,
bitsandbytes for NF4, GPTQ for GPTQ.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from inference.compression.compensation import compensate
from inference.errors import ConfigError
from inference.ops.nf4_matrix import LEVELS, nf4_values

__all__ = ["FORMATS", "Format", "Values", "writer"]

FORMATS = ("int8", "int4", "nf4", "gptq")
_GROUPS = (128, 64, 32, 16, 8)  # of inputs that share a scale, the largest that divides every row
_BLOCK = 64  # of NF4
Parts = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Values:
    """A matrix in integers: ``(values - zeros) * scales``.

    Attributes:
        values: ``[out, in]`` uint8.
        zeros: ``[out, groups]`` uint8.
        scales: ``[out, groups]``, as stored.
    """

    values: Tensor
    zeros: Tensor
    scales: Tensor

    def split(self, rows: Sequence[int]) -> list[Values]:
        """Return the matrices of so many rows each."""
        columns = (each.split(list(rows)) for each in (self.values, self.zeros, self.scales))
        return [Values(*parts) for parts in zip(*columns, strict=True)]


@dataclass(frozen=True, slots=True)
class Format:
    """How a checkpoint's matrices are written.

    Attributes:
        config: ``quantization_config`` of its config.json.
        round: Rounds matrices of one input to integers, from ``[out, in]`` and ``x.T @ x`` of its inputs;
            None where ``encode`` takes the matrix as it is.
        encode: Makes the parts of one module, by their names after the module's.
        calibrated: Whether ``round`` reads the inputs.
    """

    config: dict[str, Any]
    encode: Callable[[Any], Parts]
    round: Callable[[Tensor, Tensor | None], Values] | None = None
    calibrated: bool = False


def writer(name: str, widths: set[int], *, group: int | None = None) -> Format:
    """Return a format for matrices of the given widths.

    Args:
        name: One of ``FORMATS``.
        widths: Inputs of the model's matrices.
        group: Inputs that share a scale, in int4 and GPTQ; None takes the largest of 128, 64, 32, 16
            and 8 that divides every width.

    Raises:
        ConfigError: The group divides not every width, or the format has none.
    """
    if name == "int8":
        _no_group(name, group)
        weights = {"num_bits": 8, "strategy": "channel", "symmetric": True}
        return Format(_compressed(weights), _encode_int8)
    if name == "nf4":
        _no_group(name, group)
        return Format(_NF4_CONFIG, _encode_nf4)
    group = group or next((size for size in _GROUPS if all(w % size == 0 for w in widths)), 0)
    if group < 1 or group % 8 or any(width % group for width in widths):
        raise ConfigError(
            f"format {name!r}: groups of {group} inputs do not fit rows of {sorted(widths)}; give a "
            "multiple of 8 that divides them all"
        )
    if name == "gptq":
        return Format(_gptq_config(group), _encode_gptq, partial(_compensated, group=group), True)
    weights = {"num_bits": 4, "strategy": "group", "group_size": group, "symmetric": True}
    return Format(_compressed(weights), _encode_int4, partial(_nearest, group=group))


class _Uniform:
    """Rounds to 16 values from the least to the largest weight of a group, 0 among them.

    Args:
        group: Inputs that share a scale.
        symmetric: From minus the largest magnitude to it instead.
    """

    def __init__(self, group: int, *, symmetric: bool = False) -> None:
        self.group = group
        self._symmetric = symmetric
        self._values: list[Tensor] = []
        self._zeros: list[Tensor] = []
        self._scales: list[Tensor] = []

    def fit(self, columns: Tensor, curvature: Tensor) -> None:
        low, high = columns.amin(1).clamp(max=0), columns.amax(1).clamp(min=0)
        if self._symmetric:
            high = torch.maximum(-low, high)
            low = -high
        # Rounded first to what is stored, so that weights are rounded to what they become.
        scale = ((high - low) / 15).clamp(min=2**-24).half()
        self._scales.append(scale)
        middle = torch.full_like(low, 8) if self._symmetric else (-low / scale.float()).round()
        self._zeros.append(middle.clamp(0, 15))

    def round(self, column: Tensor, place: int) -> Tensor:
        scale, zero = self._scales[-1].float(), self._zeros[-1]
        values = (column / scale).round().add_(zero).clamp_(0, 15)
        self._values.append(values.to(torch.uint8))
        return (values - zero) * scale

    def result(self) -> Values:
        """Return all that was rounded."""
        columns = (self._values, self._zeros, self._scales)
        values, zeros, scales = (torch.stack(column, dim=1) for column in columns)
        return Values(values, zeros.to(torch.uint8), scales)


def _nearest(weight: Tensor, product: Tensor | None, *, group: int) -> Values:
    rounding = _Uniform(group, symmetric=True)
    for i in range(weight.shape[1]):
        if i % group == 0:
            rounding.fit(weight[:, i : i + group], weight)
        rounding.round(weight[:, i], i % group)
    return rounding.result()


def _compensated(weight: Tensor, product: Tensor | None, *, group: int) -> Values:
    assert product is not None
    rounding = _Uniform(group)
    compensate(weight, product, rounding)
    return rounding.result()


def _words(values: Tensor, bits: int) -> Tensor:
    """Return unsigned values as int32 words, ``[rows, columns * bits / 32]``, the first in the low bits."""
    count = 32 // bits
    missing = -values.shape[1] % count
    padded = torch.nn.functional.pad(values.long(), (0, missing)).unflatten(1, (-1, count))
    return (padded << torch.arange(0, 32, bits)).sum(-1).to(torch.int32)


def _encode_int8(weight: Tensor) -> Parts:
    scale = weight.abs().amax(1, keepdim=True).div(127).clamp_(min=torch.finfo(torch.float32).tiny)
    values = (weight / scale).round_() + 128
    return {
        "weight_packed": _words(values, 8),
        "weight_scale": scale,
        "weight_shape": torch.tensor(weight.shape),
    }


def _encode_int4(rounded: Values) -> Parts:
    return {
        "weight_packed": _words(rounded.values, 4),
        "weight_scale": rounded.scales,
        "weight_shape": torch.tensor(rounded.values.shape),
    }


def _encode_gptq(rounded: Values) -> Parts:
    out, width = rounded.values.shape
    if out % 8:
        raise ConfigError(f"format 'gptq': a matrix of {out} outputs does not fit; they go by 8")
    group = width // rounded.scales.shape[1]
    return {
        "qweight": _words(rounded.values, 4).t(),
        # Less one: the convention of the format's first version, which every reader knows.
        "qzeros": _words((rounded.zeros.t().int() - 1) & 15, 4),
        "scales": rounded.scales.t(),
        "g_idx": (torch.arange(width) // group).to(torch.int32),
    }


def _encode_nf4(weight: Tensor) -> Parts:
    if weight.numel() % _BLOCK:
        raise ConfigError(
            f"format 'nf4': a matrix of {list(weight.shape)} is no multiple of {_BLOCK} weights"
        )
    values, largest = nf4_values(weight.reshape(-1, _BLOCK), _BLOCK)
    flat = values.flatten()
    state = {
        "quant_type": "nf4",
        "blocksize": _BLOCK,
        "dtype": "float32",
        "shape": list(weight.shape),
    }
    return {
        "weight": (flat[::2] << 4 | flat[1::2])[:, None],
        "weight.absmax": largest.flatten(),
        "weight.quant_map": LEVELS.clone(),
        "weight.quant_state.bitsandbytes__nf4": torch.tensor(
            list(json.dumps(state).encode()), dtype=torch.uint8
        ),
    }


def _no_group(name: str, group: int | None) -> None:
    if group is not None:
        raise ConfigError(f"format {name!r} has no group size; leave it out")


def _compressed(weights: dict[str, Any]) -> dict[str, Any]:
    group = {
        "targets": ["Linear"],
        "weights": {"type": "int", "dynamic": False, **weights},
        "input_activations": None,
        "output_activations": None,
    }
    return {
        "quant_method": "compressed-tensors",
        "format": "pack-quantized",
        "quantization_status": "compressed",
        "config_groups": {"group_0": group},
        "ignore": ["lm_head"],
    }


def _gptq_config(group: int) -> dict[str, Any]:
    return {
        "quant_method": "gptq",
        "bits": 4,
        "group_size": group,
        "desc_act": False,
        "sym": False,
        "lm_head": False,
        "checkpoint_format": "gptq",
    }


_NF4_CONFIG = {
    "quant_method": "bitsandbytes",
    "load_in_4bit": True,
    "load_in_8bit": False,
    "bnb_4bit_quant_type": "nf4",
    "bnb_4bit_use_double_quant": False,
    "bnb_4bit_compute_dtype": "float32",
    "bnb_4bit_quant_storage": "uint8",
    "llm_int8_skip_modules": ["lm_head"],
}
