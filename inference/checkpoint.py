"""Loads a model from a preset, a checkpoint directory or a GGUF file."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from inference.architecture import ModelConfig, token_id_tuple
from inference.compression.scheme import read_scheme, widened
from inference.config import EngineConfig
from inference.errors import CheckpointError
from inference.files import read_json
from inference.gguf_file import gguf_config, gguf_tensors
from inference.ops import OpSet
from inference.ops.cpu.compilation import Library
from inference.ops.cpu.compilation import load as load_library
from inference.ops.grid import Grid
from inference.packing import pack
from inference.presets import PRESETS, preset
from inference.tokenizer import Tokenizer, load_tokenizer
from inference.weights import (
    ModelWeights,
    allocate,
    dummy_tensors,
    fill_dummy,
    has_own_head,
    load,
    safetensors,
)

if TYPE_CHECKING:
    from inference.parallel.group import Group
    from inference.parallel.part import Part, Stage

__all__ = ["Model", "describe_model", "describe_source", "load_for_engine", "load_model"]

Model = tuple[ModelConfig, ModelWeights, Tokenizer | None]


def describe_model(source: str | Path) -> ModelConfig:
    """Return the shapes and flags of a preset or checkpoint directory, reading no weight.

    `tie_embeddings` is what ``config.json`` says; `load_model` asks the weights as well.

    Raises:
        ConfigError: Neither a preset nor an existing path.
        CheckpointError: No usable ``config.json``.
    """
    path = Path(source)
    # A preset wins over a directory of the same name: give ./tiny to mean the directory.
    if str(source) in PRESETS or not path.exists():
        return preset(str(source)) if _names_preset(source) else _missing(path)
    file = path / "config.json"
    if not file.is_file():
        raise CheckpointError(f"{path}: no config.json in it")
    config = ModelConfig.from_hf(read_json(file), name=path.name)
    generation = path / "generation_config.json"
    if generation.is_file():
        # Chat models list there the end-of-turn tokens that config.json leaves out.
        eos = token_id_tuple(read_json(generation).get("eos_token_id"))
        if eos:
            config = dataclasses.replace(config, eos_token_ids=eos)
    return config


def describe_source(source: str | Path) -> ModelConfig:
    """As `describe_model`, of a ``.gguf`` file, too."""
    path = Path(source)
    return _describe_gguf(path) if path.suffix.lower() == ".gguf" else describe_model(source)


def load_for_engine(
    source: str | Path,
    config: EngineConfig,
    ops: OpSet,
    *,
    dtype: torch.dtype,
    device: torch.device,
    group: Group | None = None,
) -> Model:
    """Return what an engine with these settings and ops loads; errors as of `load_model`.

    Args:
        group: Of the rank whose part is loaded; None: the whole model.
    """
    part = None
    if group is not None:
        from inference.parallel.part import part_of

        part = part_of(group, config)
    on_cpu = device.type == "cpu" and ops.backends["linear"] != "triton"
    return load_model(
        source,
        dtype=dtype,
        device=device,
        seed=config.seed,
        quantization=config.quantization,
        cpu_layout=config.enable_cpu_layout and on_cpu,
        library=load_library() if "compiled" in ops.backends.values() else None,
        part=part,
    )


def load_model(
    source: str | Path,
    *,
    dtype: torch.dtype,
    device: torch.device,
    seed: int,
    quantization: str | None = None,
    cpu_layout: bool = False,
    library: Library | None = None,
    part: Part | Stage | None = None,
) -> Model:
    """Return description, weights and tokenizer (None for presets and bare directories).

    Args:
        source: Preset name, checkpoint directory, or path of a ``.gguf`` file.
        dtype: Weights are converted to it.
        device: Weights are placed there.
        seed: Of a preset's dummy weights.
        quantization: Bits of the matrices; None keeps ``dtype``. A quantized checkpoint is widened to
            ``dtype`` as it is read; of one in 4 bits ``"int4"`` then holds the values that it had.
        cpu_layout: Hold the matrices as a CPU multiplies fastest by them.
        library: The compiled products, for which the matrices are packed then; None without.
        part: Of the weights, to be loaded alone; None: all.

    Raises:
        ConfigError: Neither a preset nor an existing path.
        CheckpointError: The checkpoint is missing, incomplete or not supported.
        BackendUnavailable: The device has no product in these bits.
    """
    path = Path(source)
    is_gguf = path.suffix.lower() == ".gguf"
    config = describe_source(source)
    if not is_gguf and str(source) not in PRESETS and config.tie_embeddings:
        # As transformers does: what the file holds counts, whatever config.json says of it.
        config = dataclasses.replace(config, tie_embeddings=not has_own_head(path))
    long_rows = cpu_layout and library is None and dtype is torch.float32 and quantization is None
    shapes = config if part is None else part.shapes(config)
    weights = allocate(shapes, dtype=dtype, device=device, long_rows=long_rows)
    tokenizer: Tokenizer | None = None
    grids: dict[str, Grid] = {}
    tensors: Iterable[tuple[str, Tensor]] | None
    if is_gguf:
        tensors = gguf_tensors(path)
        tokenizer = load_tokenizer(path.parent, gguf_file=path.name)
    elif str(source) in PRESETS:
        tensors = None if part is None else dummy_tensors(config, like=weights.norm, seed=seed)
    else:
        scheme, tensors = read_scheme(path), safetensors(path)
        if scheme is not None:
            tensors = widened(tensors, scheme, grids)
        tokenizer = load_tokenizer(path)
    if tensors is None:
        fill_dummy(weights, seed=seed)
    else:
        load(weights, shapes, tensors if part is None else part.slices(config, tensors))
    if part is not None:
        weights = part.cut_vocabulary(weights)
        grids.clear()  # of whole matrices
    packed = pack(
        weights, quantization=quantization, cpu_layout=cpu_layout, library=library, grids=grids
    )
    return config, packed if part is None else part.joined(packed), tokenizer


def _names_preset(source: str | Path) -> bool:
    return isinstance(source, str) and "/" not in source and "\\" not in source


def _missing(path: Path) -> ModelConfig:
    raise CheckpointError(f"{path}: no such checkpoint directory")


def _describe_gguf(path: Path) -> ModelConfig:
    return ModelConfig.from_hf(gguf_config(path).to_dict(), name=path.stem)
