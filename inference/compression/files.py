"""A checkpoint directory made from another one: its small files, its weights file by file, its index."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from inference.architecture import ModelConfig
from inference.checkpoint import load_model
from inference.compression.scheme import read_scheme
from inference.errors import CheckpointError
from inference.files import read_json
from inference.weights import ModelWeights

__all__ = ["copy_small_files", "load_unquantized", "save", "stored_dtype", "write_index"]


def load_unquantized(source: Path) -> tuple[ModelConfig, ModelWeights]:
    """Return a checkpoint's model in float32, as tensors.

    Raises:
        CheckpointError: Not a checkpoint directory, not supported, or quantized.
    """
    if not (source / "config.json").is_file():
        raise CheckpointError(f"{source}: no checkpoint directory; convert a .gguf file first")
    if read_scheme(source) is not None:
        raise CheckpointError(f"{source}: is quantized; give the checkpoint it was made from")
    model, weights, _ = load_model(source, dtype=torch.float32, device=torch.device("cpu"), seed=0)
    return model, weights


def stored_dtype(model: ModelConfig) -> torch.dtype:
    """Return the dtype of a checkpoint's weights."""
    dtype: torch.dtype = getattr(torch, model.dtype or "float32")
    return dtype


def copy_small_files(source: Path, destination: Path, changes: Mapping[str, Any]) -> None:
    """Make the directory, with tokenizer and configs, and some keys of config.json changed."""
    destination.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        if file.suffix in (".json", ".txt", ".model", ".jinja") and "safetensors" not in file.name:
            shutil.copyfile(file, destination / file.name)
    config = read_json(source / "config.json") | dict(changes)
    (destination / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def save(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write a safetensors file, whole or not at all."""
    from safetensors.torch import save_file

    partial = path.with_suffix(".partial")
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(whole, partial, metadata={"format": "pt"})
    partial.replace(path)


def write_index(destination: Path, files: Sequence[Path]) -> None:
    """Write which of its files holds each tensor of a checkpoint."""
    from safetensors import safe_open

    places: dict[str, str] = {}
    for file in files:
        with safe_open(file, framework="pt") as opened:
            places |= dict.fromkeys(opened.keys(), file.name)
    size = sum(file.stat().st_size for file in files)
    index = {"metadata": {"total_size": size}, "weight_map": places}
    path = destination / "model.safetensors.index.json"
    path.write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
