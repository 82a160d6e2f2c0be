"""Runs a model over whole texts, layer by layer, in float32 and outside an engine.

What changes weights runs each layer before it changes it, and again after: the next layer then sees what
it will see when the model is used.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from inference.architecture import ModelConfig
from inference.model import Decoder, KVCache
from inference.ops import OPS, OpSet
from inference.ops.attention import AttentionPlan
from inference.weights import MATRICES, LayerWeights, ModelWeights

__all__ = ["LayerRunner", "Quality", "Scores", "whole_text_plan"]


@dataclass(frozen=True, slots=True)
class Quality:
    """How well a model predicts a text.

    Attributes:
        perplexity: Of the text's own tokens.
        agreement: Share of the places where the likeliest token is the reference's; None without one.
    """

    perplexity: float
    agreement: float | None = None

    def __str__(self) -> str:
        agreement = "" if self.agreement is None else f", top-1 agreement {self.agreement:.1%}"
        return f"perplexity {self.perplexity:.3f}{agreement}"


@dataclass(frozen=True, slots=True)
class Scores:
    """What a model says at each place of some texts, one text after the other.

    Attributes:
        likeliest: ``[places]`` int64.
        logprobs: Of the token that comes there, ``[places]`` float32.
    """

    likeliest: Tensor
    logprobs: Tensor

    @classmethod
    def of(cls, logits: Tensor, tokens: Tensor) -> Scores:
        """Score one text.

        Args:
            logits: ``[T, vocab]``.
            tokens: ``[T]``, T >= 2.
        """
        logprobs = logits[:-1].float().log_softmax(-1).gather(1, tokens[1:, None])[:, 0]
        return cls(logits[:-1].argmax(-1), logprobs)

    @classmethod
    def together(cls, scores: Sequence[Scores]) -> Scores:
        """Return those of several texts as one."""
        return cls(
            torch.cat([score.likeliest for score in scores]),
            torch.cat([score.logprobs for score in scores]),
        )

    def quality(self, reference: Scores | None = None) -> Quality:
        """Return perplexity, and the agreement with the reference's likeliest tokens."""
        same = None if reference is None else self.likeliest == reference.likeliest
        return Quality(
            math.exp(-float(self.logprobs.mean())),
            None if same is None else float(same.float().mean()),
        )


def whole_text_plan(count: int, block_size: int, device: torch.device) -> AttentionPlan:
    """Return the plan of one text of 2 tokens or more, in the first blocks of a cache."""

    def row(values: Sequence[int]) -> Tensor:
        return torch.tensor(values, dtype=torch.int32, device=device)

    return AttentionPlan(
        query_starts=row([0, count]),
        context_lens=row([count]),
        block_tables=row(range(-(-count // block_size)))[None],
        block_size=block_size,
        host_query_starts=(0, count),
        host_context_lens=(count,),
        single_groups=(),
        num_single=0,
    )


class LayerRunner:
    """Computes single layers of a model over texts.

    Args:
        model: Shapes and flags.
        weights: Tensors, none packed.
        ops: The implementations to run; None takes the references.
    """

    def __init__(self, model: ModelConfig, weights: ModelWeights, ops: OpSet | None = None) -> None:
        self.model = model
        self.weights = weights
        device = weights.embedding.device.type
        self.ops = ops or OpSet(OPS, backend="reference", device=device)

    def embed(self, texts: Sequence[Tensor]) -> list[Tensor]:
        """Return what the first layer takes of each text, ``[T, hidden]``; a text has 2 tokens at least."""
        return [self.weights.embedding[text] for text in texts]

    @torch.inference_mode()
    def run(self, index: int, layer: LayerWeights, states: Sequence[Tensor]) -> list[Tensor]:
        """Return the states after a layer.

        Args:
            index: Its place in the model.
            layer: Its weights, which need not be the model's.
            states: Of each text, ``[T, hidden]``.
        """
        windows = (self.model.sliding_windows[index],)
        config = dataclasses.replace(self.model, num_layers=1, sliding_windows=windows)
        return [self._run(config, layer, state) for state in states]

    def _run(self, config: ModelConfig, layer: LayerWeights, state: Tensor) -> Tensor:
        count, device = len(state), state.device
        # A decoder of this one layer, whose embedding is what came before it.
        weights = ModelWeights(state, [layer], self.weights.norm, self.weights.lm_head)
        decoder = Decoder(config, weights, self.ops, max_position=count)
        shape = (1, 2, 1, count, config.num_kv_heads, config.head_dim)
        cache = KVCache(torch.zeros(shape, dtype=state.dtype, device=device))
        places = torch.arange(count, device=device)
        plan = whole_text_plan(count, count, device)
        after: Tensor = decoder.forward(places, places, places, cache, plan)
        return after

    def input_products(
        self, index: int, layer: LayerWeights, states: Sequence[Tensor]
    ) -> dict[str, Tensor]:
        """Return ``x.T @ x`` over all inputs ``x`` of each of a layer's matrices, ``[in, in]``."""
        observed = {name: _Observed(getattr(layer, name)) for name in MATRICES}
        self.run(index, dataclasses.replace(layer, **observed), states)
        return {name: matrix.product for name, matrix in observed.items()}

    @torch.inference_mode()
    def scores(self, states: Sequence[Tensor], texts: Sequence[Tensor]) -> Scores:
        """Return what the model says at each place, from the states after its last layer."""
        decoder = Decoder(self.model, self.weights, self.ops, max_position=1)
        pairs = zip(states, texts, strict=True)
        return Scores.together([Scores.of(decoder.logits(state), text) for state, text in pairs])

    def evaluate(self, texts: Sequence[Tensor]) -> Scores:
        """Return what the model says of texts as its weights are now."""
        states = self.embed(texts)
        for index, layer in enumerate(self.weights.layers):
            states = self.run(index, layer, states)
        return self.scores(states, texts)


class _Observed:
    """A matrix that adds up the products of its inputs."""

    def __init__(self, weight: Tensor) -> None:
        self._weight = weight
        self.shape = (weight.shape[0], weight.shape[1])
        self.num_bytes = self.num_bytes_read = weight.numel() * weight.element_size()
        self.product = weight.new_zeros((weight.shape[1],) * 2)

    def multiply(self, x: Tensor) -> Tensor:
        self.product += x.T @ x
        return F.linear(x, self._weight)
