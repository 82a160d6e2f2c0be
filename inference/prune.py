"""Leave weights out, and see what it costs: ``python -m inference.prune MODEL heads|2:4|relu [OUT]``.

``heads``  ranks the attention heads by what the model loses without each, prints the quality with ever more
           of them silent, and writes to OUT a model that has ``--remove`` query heads fewer in each group
           that shares a key head: a standard checkpoint, smaller and faster.
``2:4``    sets two of every four weights to zero, those that stay making up for it on calibration texts, and
           writes that to OUT. Dense products gain nothing by it; a GPU's sparse ones do.
``relu``   replaces SiLU by ReLU, and prints the loss beside the gain: the share of the inputs of the last
           product that are 0, whose weights need not be read. An experiment: nothing is written.

Texts come from files (``--calibrate``, ``--evaluate``), else from the model itself.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from inference.architecture import ModelConfig
from inference.compression.files import (
    copy_small_files,
    load_unquantized,
    save,
    stored_dtype,
    write_index,
)
from inference.compression.layerwise import LayerRunner, Scores
from inference.compression.pruning import (
    head_sensitivities,
    heads_to_keep,
    with_heads,
    with_two_of_four,
    without_heads,
)
from inference.compression.texts import add_text_arguments, read_texts
from inference.errors import ConfigError, InferenceError
from inference.ops import OPS, OpSet
from inference.ops.linear import linear
from inference.ops.matrix import Weight
from inference.weights import LayerWeights, ModelWeights, named_views

__all__ = ["head_curve", "main", "relu_experiment"]

_SHARES = (0.05, 0.1, 0.2, 0.3, 0.5)  # of all heads, silent


def head_curve(
    runner: LayerRunner, sensitivities: Tensor, evaluation: Sequence[Tensor], reference: Scores
) -> Iterator[tuple[float, Scores]]:
    """Yield shares of silent heads, the least sensitive first, and what the model then says.

    Args:
        runner: Of the whole model.
        sensitivities: ``[layers, heads]``.
        evaluation: Texts.
        reference: Scores with all heads.
    """
    model = runner.model
    order = sensitivities.flatten().argsort().tolist()
    yield 0.0, reference
    for share in _SHARES:
        silent: list[list[int]] = [[] for _ in range(model.num_layers)]
        for place in order[: round(share * len(order))]:
            silent[place // model.num_heads].append(place % model.num_heads)
        layers = [
            without_heads(layer, heads, model.head_dim)
            for layer, heads in zip(runner.weights.layers, silent, strict=True)
        ]
        yield share, _runner_of(model, runner.weights, layers).evaluate(evaluation)


def relu_experiment(
    model: ModelConfig, weights: ModelWeights, evaluation: Sequence[Tensor]
) -> tuple[Scores, float]:
    """Return what the model says with ReLU in place of SiLU, and the share of its activations that are 0."""
    counts = [0, 0]  # zeros, all

    def linear_relu_mul(x: Tensor, weight: Weight) -> Tensor:
        gate, up = linear(x, weight).chunk(2, dim=-1)
        gated = gate.relu() * up
        counts[0] += int((gated == 0).sum())
        counts[1] += gated.numel()
        return gated

    ops = OpSet(OPS, backend="reference", device="cpu")
    ops.linear_silu_mul = linear_relu_mul
    scores = LayerRunner(model, weights, ops).evaluate(evaluation)
    return scores, counts[0] / counts[1]


def _runner_of(
    model: ModelConfig, weights: ModelWeights, layers: list[LayerWeights]
) -> LayerRunner:
    return LayerRunner(model, dataclasses.replace(weights, layers=layers))


def _write(source: Path, destination: Path, runner: LayerRunner, changes: dict[str, Any]) -> None:
    copy_small_files(source, destination, changes)
    dtype = stored_dtype(runner.model)
    tensors = named_views(runner.weights, runner.model)
    path = destination / "model-00001-of-00001.safetensors"
    save({name: tensor.to(dtype) for name, tensor in tensors.items()}, path)
    write_index(destination, [path])


def _heads(args: argparse.Namespace) -> None:
    model, weights = load_unquantized(args.source)
    calibration, evaluation = read_texts(args, model)
    runner = LayerRunner(model, weights)
    reference = runner.evaluate(evaluation)
    sensitivities = head_sensitivities(runner, calibration)
    print("| heads silent | perplexity | top-1 agreement |\n|---:|---:|---:|")
    for share, scores in head_curve(runner, sensitivities, evaluation, reference):
        quality = scores.quality(reference)
        print(f"| {share:.0%} | {quality.perplexity:.3f} | {quality.agreement:.1%} |")
    if args.destination is None:
        return
    kept = heads_to_keep(sensitivities, model, remove=args.remove)
    layers = [
        with_heads(layer, heads, model) for layer, heads in zip(weights.layers, kept, strict=True)
    ]
    smaller = dataclasses.replace(model, num_heads=kept.shape[1])
    pruned = _runner_of(smaller, weights, layers)
    changes = {"num_attention_heads": smaller.num_heads, "head_dim": model.head_dim}
    _write(args.source, args.destination, pruned, changes)
    print(f"with {smaller.num_heads} of {model.num_heads} heads: ", end="")
    print(pruned.evaluate(evaluation).quality(reference))


def _two_of_four(args: argparse.Namespace) -> None:
    model, weights = load_unquantized(args.source)
    calibration, evaluation = read_texts(args, model)
    runner = LayerRunner(model, weights)
    reference = runner.evaluate(evaluation)
    print(f"before            {reference.quality(reference)}")
    largest = [with_two_of_four(layer, None) for layer in weights.layers]
    scores = _runner_of(model, weights, largest).evaluate(evaluation)
    print(f"largest kept      {scores.quality(reference)}")
    states = runner.embed(calibration)
    layers = []
    for index, layer in enumerate(weights.layers):
        pruned = with_two_of_four(layer, runner.input_products(index, layer, states))
        states = runner.run(index, pruned, states)
        layers.append(pruned)
    result = _runner_of(model, weights, layers)
    print(f"error compensated {result.evaluate(evaluation).quality(reference)}")
    if args.destination is not None:
        _write(args.source, args.destination, result, {})


def _relu(args: argparse.Namespace) -> None:
    if args.destination is not None:
        raise ConfigError("relu is an experiment and writes nothing; leave out OUT")
    model, weights = load_unquantized(args.source)
    _, evaluation = read_texts(args, model)
    reference = LayerRunner(model, weights).evaluate(evaluation)
    scores, zeros = relu_experiment(model, weights, evaluation)
    print(f"SiLU  {reference.quality(reference)}")
    print(f"ReLU  {scores.quality(reference)}; {zeros:.1%} of the activations are 0")


_TRANSFORMS = {"heads": _heads, "2:4": _two_of_four, "relu": _relu}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m inference.prune",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", type=Path, help="the checkpoint directory")
    parser.add_argument("transform", choices=_TRANSFORMS)
    parser.add_argument("destination", type=Path, nargs="?", help="the directory to write")
    parser.add_argument("--remove", type=int, default=1, help="query heads of each group (heads)")
    add_text_arguments(parser)
    args = parser.parse_args(argv)
    try:
        _TRANSFORMS[args.transform](args)
    except InferenceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
