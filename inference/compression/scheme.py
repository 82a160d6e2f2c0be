"""Which format a quantized checkpoint has, by its config; and the stream of its tensors, widened.

What a config says that would change the arithmetic is supported or refused, never ignored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from inference.compression import formats
from inference.compression.formats import Parts, Widened
from inference.errors import CheckpointError, did_you_mean
from inference.files import read_json
from inference.ops.grid import Grid

__all__ = ["Scheme", "read_scheme", "widened"]

_FLOAT8 = (torch.float8_e4m3fn,)


@dataclass(frozen=True, slots=True)
class Scheme:
    """How the quantized matrices of a checkpoint are stored.

    Attributes:
        name: For messages.
        required: Names of the tensors that every such matrix has.
        optional: Names that it may have.
        widen: Makes the matrix of them.
        dtypes: Of a part called ``weight``; a tensor of another dtype is a weight as it is.
    """

    name: str
    required: frozenset[str]
    optional: frozenset[str]
    widen: Callable[[Parts], Widened]
    dtypes: tuple[torch.dtype, ...] = ()

    def split(self, name: str, tensor: Tensor) -> tuple[str, str] | None:
        """Return module and part of a tensor's name; None of one that is no part of a matrix."""
        at = name.find(".weight.") + 1 or name.rfind(".") + 1
        module, part = name[: max(at - 1, 0)], name[at:]
        if part not in self.required | self.optional:
            return None
        if part == "weight" and tensor.dtype not in self.dtypes:
            return None
        return module, part


def read_scheme(directory: Path) -> Scheme | None:
    """Return how a checkpoint directory stores its matrices; None: as they are.

    Raises:
        CheckpointError: A format, or a variant of one, that is not supported; the message names it.
    """
    raw = read_json(directory / "config.json").get("quantization_config")
    older = directory / "quantize_config.json"  # before the config held it
    if raw is None and older.is_file():
        raw = {"quant_method": "gptq"} | read_json(older)
    if not raw:
        return None
    if not isinstance(raw, Mapping):
        raise CheckpointError(f"{directory}: quantization_config is no object")
    method = raw.get("quant_method")
    if method not in _READERS:
        raise CheckpointError(
            f"{directory}: quantization {method!r} is not supported"
            f"{did_you_mean(str(method), _READERS)}"
        )
    try:
        return _READERS[method](raw)
    except _Unsupported as error:
        raise CheckpointError(f"{directory}: {method} with {error} is not supported") from None


def widened(
    tensors: Iterable[tuple[str, Tensor]], scheme: Scheme, grids: dict[str, Grid]
) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of a checkpoint with each quantized matrix in float32, as ``NAME.weight``.

    A matrix is widened when all its parts are there, so that few are in memory at a time.

    Args:
        tensors: As the files hold them, in any order.
        scheme: The checkpoint's.
        grids: **Written**: the grid of each weight that int4 can hold as it is.

    Raises:
        CheckpointError: Parts of a matrix are missing or do not fit together.
    """
    parts: dict[str, dict[str, Tensor]] = defaultdict(dict)

    def widen(module: str) -> tuple[str, Tensor]:
        missing = scheme.required - parts[module].keys()
        if missing:
            raise CheckpointError(f"{module}: {scheme.name} without {', '.join(sorted(missing))}")
        try:
            matrix = scheme.widen(parts.pop(module))
        except (CheckpointError, RuntimeError, IndexError) as error:
            raise CheckpointError(f"{module}: {scheme.name}: {error}") from error
        name = f"{module}.weight"
        if matrix.grid is not None:
            grids[name] = matrix.grid
        return name, matrix.weight

    for name, tensor in tensors:
        place = scheme.split(name, tensor)
        if place is None:
            yield name, tensor
            continue
        module, part = place
        parts[module][part] = tensor
        if parts[module].keys() == scheme.required | scheme.optional:
            yield widen(module)
    for module in list(parts):  # those without an optional part
        yield widen(module)


class _Unsupported(Exception):  # noqa: N818
    """What of a config is not supported; becomes a CheckpointError that names the checkpoint."""


def _require(raw: Mapping[str, Any], key: str, *allowed: Any, default: Any = None) -> Any:
    value = raw.get(key, default)
    if value not in allowed:
        raise _Unsupported(f"{key}={value!r} (supported: {', '.join(map(repr, allowed))})")
    return value


def _group_size(raw: Mapping[str, Any], *keys: str) -> int:
    size = next((raw[key] for key in keys if raw.get(key) is not None), None)
    if isinstance(size, bool) or not isinstance(size, int) or not (size == -1 or size > 0):
        raise _Unsupported(f"{keys[0]}={size!r} (a number of inputs, or -1 for all)")
    return size


def _block(raw: Mapping[str, Any], key: str) -> tuple[int, int] | None:
    """Return rows and columns of a block, or None where the config names none."""
    block = raw.get(key)
    if block is None:
        return None
    if not (isinstance(block, list) and [type(side) for side in block] == [int, int]):
        raise _Unsupported(f"{key}={block!r} (rows and columns)")
    return block[0], block[1]


def _gptq(raw: Mapping[str, Any]) -> Scheme:
    bits = _require(raw, "bits", 2, 4, 8)
    version = _require(raw, "checkpoint_format", "gptq", "gptq_v2", default="gptq")
    _require(raw, "is_marlin_format", False, None)
    if raw.get("dynamic"):
        raise _Unsupported("dynamic, bits that differ from module to module,")
    widen = partial(
        formats.gptq,
        bits=bits,
        group=_group_size(raw, "group_size"),
        zero_offset=0 if version == "gptq_v2" else 1,
    )
    return _of("GPTQ", {"qweight", "qzeros", "scales"}, {"g_idx"}, widen)


def _awq(raw: Mapping[str, Any]) -> Scheme:
    _require({"bits": raw.get("bits", raw.get("w_bit"))}, "bits", 4)
    _require({"version": str(raw.get("version", "gemm")).lower()}, "version", "gemm")
    _require(raw, "zero_point", True, default=True)
    widen = partial(formats.awq, group=_group_size(raw, "group_size", "q_group_size"))
    return _of("AWQ", {"qweight", "qzeros", "scales"}, set(), widen)


def _compressed_tensors(raw: Mapping[str, Any]) -> Scheme:
    for key in ("kv_cache_scheme", "transform_config"):
        if raw.get(key):
            raise _Unsupported(key)
    if (sparsity := raw.get("sparsity_config")) and sparsity.get("format", "dense") != "dense":
        raise _Unsupported(f"sparsity_config of format {sparsity['format']!r}")
    kinds = ("pack-quantized", "int-quantized", "float-quantized", "naive-quantized")
    kind = _require(raw, "format", *kinds)
    blocks: set[tuple[int, int] | None] = set()
    for group in raw.get("config_groups", {}).values():
        weights = group.get("weights") or {}
        _require(weights, "num_bits", 4, 8)
        _require(weights, "type", "int", "float", default="int")
        _require(weights, "strategy", "tensor", "channel", "group", "block", default="tensor")
        if group.get("output_activations"):
            raise _Unsupported("output_activations")
        blocks.add(_block(weights, "block_structure"))
    if len(blocks) > 1:
        raise _Unsupported("block_structure that differs from group to group")
    # Scales of activations: they stay as wide as they are here.
    unread = {"input_scale", "input_zero_point"}
    if kind == "pack-quantized":
        return _of(
            "compressed-tensors",
            {"weight_packed", "weight_scale", "weight_shape"},
            {"weight_zero_point", "weight_g_idx", *unread},
            formats.pack_quantized,
        )
    return _of(
        "compressed-tensors",
        {"weight", "weight_scale"},
        {"weight_zero_point", *unread},
        partial(formats.block_scaled, block=next(iter(blocks), None)),
        (torch.int8, *_FLOAT8),
    )


def _fp8(raw: Mapping[str, Any]) -> Scheme:
    _require(raw, "fmt", "e4m3", default="e4m3")
    block = _block(raw, "weight_block_size")
    return _of(
        "fp8",
        {"weight", "weight_scale_inv" if block else "weight_scale"},
        {"input_scale"},
        partial(formats.block_scaled, block=block),
        _FLOAT8,
    )


def _bitsandbytes(raw: Mapping[str, Any]) -> Scheme:
    _require(raw, "load_in_8bit", False, None)
    _require(raw, "bnb_4bit_quant_type", "nf4")
    _require(raw, "bnb_4bit_quant_storage", "uint8", default="uint8")
    return _of(
        "NF4",
        {"weight", "weight.absmax", "weight.quant_state.bitsandbytes__nf4"},
        {"weight.quant_map", "weight.nested_absmax", "weight.nested_quant_map"},
        formats.nf4,
        (torch.uint8,),
    )


def _of(
    name: str,
    required: set[str],
    optional: set[str],
    widen: Callable[[Parts], Widened],
    dtypes: tuple[torch.dtype, ...] = (),
) -> Scheme:
    return Scheme(name, frozenset(required), frozenset(optional), widen, dtypes)


_READERS: dict[Any, Callable[[Mapping[str, Any]], Scheme]] = {
    "gptq": _gptq,
    "awq": _awq,
    "compressed-tensors": _compressed_tensors,
    "fp8": _fp8,
    "bitsandbytes": _bitsandbytes,
}
