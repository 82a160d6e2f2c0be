"""Write a checkpoint in fewer bits: ``python -m inference.quantize MODEL OUT --format gptq``.

The layers' matrices are rounded, one layer after the other; embedding, norms, biases and the vocabulary's
matrix stay as they are. ``gptq`` makes up for each rounding error on calibration texts (``--calibrate``, or
what the model itself writes). Perplexity and top-1 agreement before and after are printed, on texts that
it was not calibrated on (``--evaluate``, or other ones of the model's own). Each layer is a file that is
whole or absent: the same command again goes on where an interrupted one ended.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from inference.architecture import ModelConfig
from inference.checkpoint import describe_model
from inference.compression.files import (
    copy_small_files,
    load_unquantized,
    save,
    stored_dtype,
    write_index,
)
from inference.compression.layerwise import LayerRunner, Quality
from inference.compression.scheme import read_scheme, widened
from inference.compression.texts import add_text_arguments, read_texts
from inference.compression.writers import FORMATS, Format, writer
from inference.errors import ConfigError, InferenceError
from inference.files import read_json
from inference.weights import MATRICES, ModelWeights, matrix_rows, named_views

__all__ = ["quantize"]

_JOB = "quantize.json"


def quantize(
    source: Path,
    destination: Path,
    *,
    form: Format,
    calibration: Sequence[Tensor],
    evaluation: Sequence[Tensor],
) -> tuple[Quality, Quality]:
    """Write a checkpoint directory with its layers' matrices in another format.

    Args:
        source: A checkpoint directory, not quantized.
        destination: Made if need be; layers that an earlier call with the same arguments left there
            are kept.
        form: The format.
        calibration: Tokens of each text, 2 or more; read where the format is calibrated.
        evaluation: As ``calibration``.

    Returns:
        Quality before and after.

    Raises:
        CheckpointError: The source is not supported, or quantized.
        ConfigError: A matrix does not fit the format, or the destination holds another job's layers.
    """
    from safetensors.torch import load_file

    model, weights = load_unquantized(source)
    _begin(source, destination, form, calibration)
    scheme = read_scheme(destination)
    assert scheme is not None
    runner = LayerRunner(model, weights)
    before = runner.evaluate(evaluation)
    states, judged = runner.embed(calibration if form.calibrated else ()), runner.embed(evaluation)
    views = named_views(weights, model)
    shards = [destination / f"layer-{index:05d}.safetensors" for index in range(model.num_layers)]
    for index, (layer, shard) in enumerate(zip(weights.layers, shards, strict=True)):
        if not shard.is_file():
            products = runner.input_products(index, layer, states) if form.calibrated else {}
            save(_layer_parts(model, weights, index, form, products), shard)
        # From the file: what is judged, and what the next layer is calibrated on, is what was written.
        for name, weight in widened(load_file(shard).items(), scheme, {}):
            views[name].copy_(weight)
        states, judged = runner.run(index, layer, states), runner.run(index, layer, judged)
    rest = destination / "rest.safetensors"
    outer = {n: t for n, t in views.items() if not n.startswith("model.layers.")}
    save({name: tensor.to(stored_dtype(model)) for name, tensor in outer.items()}, rest)
    write_index(destination, [rest, *shards])
    return before.quality(), runner.scores(judged, evaluation).quality(before)


def _layer_parts(
    model: ModelConfig,
    weights: ModelWeights,
    index: int,
    form: Format,
    products: dict[str, Tensor],
) -> dict[str, Tensor]:
    """Return the tensors of one layer's file."""
    at = f"model.layers.{index}."
    tensors: dict[str, Tensor] = {}
    for matrix, modules in MATRICES.items():
        weight, rows = getattr(weights.layers[index], matrix), matrix_rows(model)[matrix]
        if form.round is None:
            pieces = list(weight.split(rows))
        else:
            whole = form.round(weight, products.get(matrix))
            pieces = whole.split(rows)
        for module, piece in zip(modules, pieces, strict=True):
            for part, tensor in form.encode(piece).items():
                tensors[f"{at}{module}.{part}"] = tensor
    quantized = {f"{at}{module}.weight" for modules in MATRICES.values() for module in modules}
    for name, tensor in named_views(weights, model).items():
        if name.startswith(at) and name not in quantized:
            tensors[name] = tensor.to(stored_dtype(model))
    return tensors


def _begin(source: Path, destination: Path, form: Format, calibration: Sequence[Tensor]) -> None:
    """Write all but the weights.

    Raises:
        ConfigError: Layers of another job are there.
    """
    read = [text.tolist() for text in calibration] if form.calibrated else []
    job = {
        "source": str(source.resolve()),
        "config": form.config,
        "calibration": hashlib.sha256(json.dumps(read).encode()).hexdigest(),
    }
    path = destination / _JOB
    if path.is_file() and read_json(path) != job:
        raise ConfigError(
            f"{destination}: holds layers of another job ({_JOB}); remove them or name another place"
        )
    copy_small_files(source, destination, {"quantization_config": form.config})
    path.write_text(json.dumps(job) + "\n", encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m inference.quantize", description=__doc__)
    parser.add_argument("source", type=Path, help="the checkpoint directory")
    parser.add_argument("destination", type=Path, help="the directory to write")
    parser.add_argument("--format", choices=FORMATS, required=True)
    parser.add_argument("--group", type=int, help="inputs that share a scale (int4, gptq)")
    add_text_arguments(parser)
    args = parser.parse_args(argv)
    try:
        before, after = _run(args)
    except InferenceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"before  {before}\nafter   {after}\n{args.destination}")
    return 0


def _run(args: argparse.Namespace) -> tuple[Quality, Quality]:
    model = describe_model(args.source)
    widths = {model.hidden_size, model.num_heads * model.head_dim, model.intermediate_size}
    form = writer(args.format, widths, group=args.group)
    calibration, evaluation = read_texts(args, model, calibrated=form.calibrated)
    return quantize(
        args.source, args.destination, form=form, calibration=calibration, evaluation=evaluation
    )


if __name__ == "__main__":
    sys.exit(main())
