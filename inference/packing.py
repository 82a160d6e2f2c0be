"""Packs the matrices of loaded weights for the products of an engine."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor

from inference.errors import BackendUnavailable
from inference.ops.both_ways import BothWays
from inference.ops.cpu.compilation import Library
from inference.ops.cpu.packed_matrix import PackedFloat, PackedInt4, PackedInt8, PackedNf4
from inference.ops.cpu_matrices import HalfMatrix, Int4Matrix, Int8Matrix, is_available
from inference.ops.grid import Grid
from inference.ops.matrix import Matrix
from inference.ops.nf4_matrix import Nf4Matrix
from inference.ops.scaled_matrix import ScaledMatrix
from inference.weights import MATRICES, ModelWeights

__all__ = ["pack"]


def pack(
    weights: ModelWeights,
    *,
    quantization: str | None,
    cpu_layout: bool,
    library: Library | None = None,
    grids: Mapping[str, Grid] | None = None,
) -> ModelWeights:
    """Return weights whose matrices are held as the engine multiplies by them.

    The embedding stays as it is. The vocabulary's matrix is packed like those of the layers; tied,
    it becomes a second copy of the embedding.

    Args:
        weights: Filled; **its layers are replaced** one by one, so that the model is never held
            twice.
        quantization: ``"int8"``, ``"int4"``, ``"nf4"``, ``"fp8"`` or None.
        cpu_layout: Without quantization, hold matrices as a CPU multiplies fastest by them:
            float32 as it lies but a tied vocabulary both ways, half precision packed.
        library: The compiled products, for which matrices are packed where they have one.
        grids: Of the weights that came from 4 bits, by their names in a checkpoint: ``"int4"`` takes
            them rather than fit its own.

    Raises:
        BackendUnavailable: The device has no product in these bits.
        ConfigError: A matrix has no shape for int4 or NF4.
    """
    embedding, head = weights.embedding, weights.lm_head
    make = _maker(quantization, embedding, cpu_layout=cpu_layout, library=library)
    if make is not None:
        known = grids if grids and quantization == "int4" else {}

        def packed(weight: Tensor, *names: str) -> Matrix:
            grid = Grid.of_rows([known.get(f"{name}.weight") for name in names])
            return make(weight) if grid is None else make(weight, grid)

        for i, layer in enumerate(weights.layers):
            matrices = {
                name: packed(getattr(layer, name), *(f"model.layers.{i}.{m}" for m in modules))
                for name, modules in MATRICES.items()
            }
            weights.layers[i] = dataclasses.replace(layer, **matrices)
        return dataclasses.replace(weights, lm_head=packed(head, "lm_head"))
    if cpu_layout and head is embedding:
        return dataclasses.replace(weights, lm_head=BothWays(embedding))
    return weights


def _maker(
    quantization: str | None, like: Tensor, *, cpu_layout: bool, library: Library | None
) -> Callable[..., Matrix] | None:
    """Return what turns a tensor, for int4 with its grid, into the matrix to hold; None holds the tensor."""
    compiled = {"int8": PackedInt8, "int4": PackedInt4, "nf4": PackedNf4}.get(quantization or "")
    if quantization is None and cpu_layout and like.dtype is not torch.float16:
        compiled = PackedFloat
    if library is not None and compiled is not None:
        return partial(compiled, library)
    on_cpu = like.device.type == "cpu"
    if quantization is None:
        half = cpu_layout and like.dtype is not torch.float32 and is_available()
        return HalfMatrix if half else None
    if quantization == "nf4":
        return Nf4Matrix
    if quantization == "fp8" or (quantization == "int8" and not on_cpu):
        return lambda weight: ScaledMatrix(weight, quantization)
    if not on_cpu:
        raise BackendUnavailable("quantization='int4' runs on a CPU only; use 'int8' or 'fp8'")
    if not is_available():
        raise BackendUnavailable(
            f"quantization={quantization!r}: this torch has no FBGEMM on this CPU; use 'fp8' or None"
        )
    return Int8Matrix if quantization == "int8" else Int4Matrix
