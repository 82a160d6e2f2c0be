"""Turn a GGUF file into a checkpoint directory: ``python -m inference.convert SRC.gguf DEST``.

The weights are dequantized once and stored as safetensors, so that every later start reads them
as they are. Needs the ``gguf`` package.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from inference.architecture import ModelConfig
from inference.config import DTYPES
from inference.errors import InferenceError
from inference.gguf_file import gguf_config, gguf_tensors

__all__ = ["convert"]


def convert(source: Path, destination: Path, *, dtype: torch.dtype = torch.float32) -> None:
    """Write a whole checkpoint into ``destination``: one that other engines load as well.

    That is ``config.json``, ``generation_config.json``, ``model.safetensors`` and the tokenizer's
    files.

    Args:
        source: A GGUF file of a supported family, quantized or not.
        destination: Created if need be; files of the same names are overwritten.
        dtype: Of the stored weights.

    Raises:
        CheckpointError: The source is missing, unreadable or of an unsupported family.
    """
    from safetensors.torch import save_file
    from transformers import AutoTokenizer, GenerationConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    config = gguf_config(source)
    # Refuse now what the engine would refuse later.
    ModelConfig.from_hf(config.to_dict(), name=source.stem)
    config.dtype = dtype
    # Other engines choose their model class by it.
    config.architectures = [MODEL_FOR_CAUSAL_LM_MAPPING_NAMES[config.model_type]]
    tensors = {name: tensor.to(dtype) for name, tensor in gguf_tensors(source)}
    destination.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(destination)
    GenerationConfig.from_model_config(config).save_pretrained(destination)
    save_file(tensors, destination / "model.safetensors", metadata={"format": "pt"})
    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    tokenizer.save_pretrained(destination)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m inference.convert", description=__doc__)
    parser.add_argument("source", type=Path, help="the .gguf file")
    parser.add_argument("destination", type=Path, help="the directory to write")
    parser.add_argument("--dtype", choices=DTYPES[1:], default="float32")
    args = parser.parse_args(argv)
    try:
        convert(args.source, args.destination, dtype=getattr(torch, args.dtype))
    except InferenceError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
