"""Weights set to zero or left out: attention heads, and two of every four weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from inference.architecture import ModelConfig
from inference.compression.compensation import compensate
from inference.compression.layerwise import LayerRunner
from inference.errors import ConfigError
from inference.weights import MATRICES, LayerWeights

__all__ = [
    "head_sensitivities",
    "heads_to_keep",
    "prune_two_of_four",
    "with_heads",
    "with_two_of_four",
    "without_heads",
]


def head_sensitivities(runner: LayerRunner, texts: Sequence[Tensor]) -> Tensor:
    """Return how many nats a token each attention head is worth.

    Each head is left out alone, and the rest of the model run again.

    Args:
        runner: Of the model; no weight is changed.
        texts: To predict.

    Returns:
        ``[layers, heads]`` float32: the mean loss of log probability without the head; below 0 where the
        texts are better predicted without it.

    Cost:
        layers·heads/2 passes over the texts.

    Source:
        Michel et al. 2019, arXiv:1905.10650, section 3.
    """
    layers, model = runner.weights.layers, runner.model
    states = [runner.embed(texts)]  # before each layer
    for index, layer in enumerate(layers):
        states.append(runner.run(index, layer, states[-1]))
    whole = runner.scores(states.pop(), texts).logprobs.mean()
    losses = torch.empty(model.num_layers, model.num_heads)
    for index, layer in enumerate(layers):
        for head in range(model.num_heads):
            after = runner.run(index, without_heads(layer, [head], model.head_dim), states[index])
            for later in range(index + 1, len(layers)):
                after = runner.run(later, layers[later], after)
            losses[index, head] = whole - runner.scores(after, texts).logprobs.mean()
    return losses


def without_heads(layer: LayerWeights, heads: Sequence[int], head_dim: int) -> LayerWeights:
    """Return a layer of the same shapes in which nothing reads what some query heads attend to."""
    out = layer.out.clone() if isinstance(layer.out, Tensor) else layer.out
    for head in heads:
        out[:, head * head_dim : (head + 1) * head_dim] = 0.0
    return dataclasses.replace(layer, out=out)


def heads_to_keep(sensitivities: Tensor, model: ModelConfig, *, remove: int) -> Tensor:
    """Return the most sensitive query heads of each group that shares a key and value.

    A decoder of standard shapes has as many of them in each group and layer.

    Args:
        sensitivities: ``[layers, heads]``.
        model: Shapes.
        remove: Query heads to leave out of each group.

    Returns:
        ``[layers, heads - kv_heads * remove]`` int64, rising.

    Raises:
        ConfigError: A group has no more than so many.
    """
    group = model.num_heads // model.num_kv_heads
    if not 0 < remove < group:
        raise ConfigError(
            f"cannot remove {remove} of the {group} query heads that share a key head in {model.name}"
        )
    groups = sensitivities.unflatten(1, (model.num_kv_heads, group))
    kept = groups.topk(group - remove, dim=-1).indices.sort(-1).values
    return (kept + torch.arange(model.num_kv_heads)[:, None] * group).flatten(1)


def with_heads(layer: LayerWeights, kept: Tensor, model: ModelConfig) -> LayerWeights:
    """Return a layer with some of its query heads only.

    Args:
        layer: Tensors.
        kept: The heads, ``[kept]`` int64, as of ``heads_to_keep``.
        model: Shapes of the layer.
    """
    dim = model.head_dim
    channels = (kept[:, None] * dim + torch.arange(dim)).flatten()
    # The rows of k and v come after those of q.
    key_value = torch.arange(
        model.num_heads * dim, (model.num_heads + 2 * model.num_kv_heads) * dim
    )
    rows = torch.cat((channels, key_value))
    bias = layer.qkv_bias
    return dataclasses.replace(
        layer,
        qkv=layer.qkv[rows],
        qkv_bias=None if bias is None else bias[rows],
        out=layer.out[:, channels],
    )


class _TwoOfFour:
    """Sets the two weights of every four inputs to zero whose loss costs least."""

    group = 4

    def fit(self, columns: Tensor, curvature: Tensor) -> None:
        cost = columns.square() * curvature
        lost = cost.topk(2, dim=1, largest=False).indices
        self._mask = torch.ones_like(columns).scatter_(1, lost, 0.0)

    def round(self, column: Tensor, place: int) -> Tensor:
        return column * self._mask[:, place]


def prune_two_of_four(weight: Tensor, product: Tensor | None = None) -> Tensor:
    """Return a matrix with at most two of every four weights of a row.

    Args:
        weight: ``[out, in]``.
        product: ``x.T @ x`` of its inputs, **written**: the weights that stay make up for the others
            (SparseGPT). None keeps the larger ones as they are.

    Raises:
        ConfigError: ``in`` is no multiple of 4.
    """
    if weight.shape[1] % 4:
        raise ConfigError(f"2:4 does not fit rows of {weight.shape[1]}; they go by 4")
    if product is not None:
        return compensate(weight, product, _TwoOfFour())
    fours = weight.unflatten(1, (-1, 4))
    lost = fours.abs().topk(2, dim=-1, largest=False).indices
    return fours.scatter(-1, lost, 0.0).flatten(1)


def with_two_of_four(layer: LayerWeights, products: dict[str, Tensor] | None) -> LayerWeights:
    """Return a layer whose four matrices are pruned to two of four; ``products`` by their names, or None."""
    products = products or {}
    pruned = {n: prune_two_of_four(getattr(layer, n), products.get(n)) for n in MATRICES}
    return dataclasses.replace(layer, **pruned)
