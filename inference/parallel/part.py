"""Which part of each weight a rank holds: heads and feed-forward channels, cut evenly.

The matrices that come first in a block (q, k, v; gate, up) are cut by rows, the one that follows (out; down) by
columns, so that a block needs one sum over the ranks, at its end.

Source: Shoeybi et al. 2019, arXiv:1909.08053, section 3.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator

from torch import Tensor

from inference.architecture import ModelConfig
from inference.config import EngineConfig
from inference.errors import ConfigError
from inference.parallel.group import Group
from inference.parallel.matrices import JoinedMatrix, SummedMatrix
from inference.weights import ModelWeights

__all__ = ["Part", "Stage", "check_divides", "part_of"]

_BY_ROWS = re.compile(r"\.(q|k|v|gate|up)_proj\.(weight|bias)$")
_LAYER = re.compile(r"model\.layers\.(\d+)\.")
_BY_COLUMNS = re.compile(r"\.(o|down)_proj\.weight$")


class Part:
    """The weights of one rank.

    Args:
        group: Whose rank and number of ranks.
    """

    def __init__(self, group: Group) -> None:
        self._group = group

    def shapes(self, config: ModelConfig) -> ModelConfig:
        """Return the shapes of this rank's part; vocabulary and width are whole.

        Raises:
            ConfigError: Heads, key/value heads or feed-forward channels do not divide by the ranks.
        """
        size = self._group.size
        cut = {
            "num_kv_heads": "key/value heads",
            "num_heads": "heads",
            "intermediate_size": "feed-forward channels",
        }
        counts = {name: getattr(config, name) for name in cut}
        for name, count in counts.items():
            if count % size:
                fitting = [
                    str(n)
                    for n in range(1, config.num_kv_heads + 1)
                    if not any(c % n for c in counts.values())
                ]
                raise ConfigError(
                    f"EngineConfig.tensor_parallel is {size}, but the {count} {cut[name]} of "
                    f"{config.name} do not divide by it; use {' or '.join(fitting)}"
                )
        return dataclasses.replace(config, **{name: n // size for name, n in counts.items()})

    def slices(
        self, config: ModelConfig, tensors: Iterable[tuple[str, Tensor]]
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield the rank's part of each named tensor of a checkpoint of the whole model ``config``."""
        rank, size = self._group.rank, self._group.size
        for name, tensor in tensors:
            if _BY_ROWS.search(name):
                yield name, tensor.chunk(size)[rank]
            elif _BY_COLUMNS.search(name):
                yield name, tensor.chunk(size, dim=1)[rank]
            else:  # what follows a sum, the bias of o_proj too, is whole on every rank
                yield name, tensor

    def cut_vocabulary(self, weights: ModelWeights) -> ModelWeights:
        """Return weights whose head has the rank's rows only; of a tied embedding it is a view."""
        vocab = len(weights.embedding)
        rows = -(-vocab // self._group.size)
        head = weights.lm_head
        assert isinstance(head, Tensor), "cut before the matrices are packed"
        start = self._group.rank * rows
        own = head[start : start + rows]
        return dataclasses.replace(
            weights, lm_head=own if head is weights.embedding else own.clone()
        )

    def joined(self, weights: ModelWeights) -> ModelWeights:
        """Return the same weights with products that are summed and joined over the ranks.

        Args:
            weights: Of this rank, packed or not; **its layers are replaced**.
        """
        group = self._group
        for i, layer in enumerate(weights.layers):
            weights.layers[i] = dataclasses.replace(
                layer, out=SummedMatrix(layer.out, group), down=SummedMatrix(layer.down, group)
            )
        head = JoinedMatrix(weights.lm_head, len(weights.embedding), group)
        return dataclasses.replace(weights, lm_head=head)


class Stage:
    """The layers of one rank of a pipeline, and on rank 0 the embedding and the vocabulary.

    Args:
        group: Whose rank and number of ranks.
    """

    def __init__(self, group: Group) -> None:
        self._group = group

    def shapes(self, config: ModelConfig) -> ModelConfig:
        """Return the shapes of the rank's layers.

        Raises:
            ConfigError: The layers do not divide by the ranks.
        """
        size, layers = self._group.size, config.num_layers
        if layers % size:
            fitting = [str(n) for n in range(1, layers + 1) if layers % n == 0]
            raise ConfigError(
                f"EngineConfig.pipeline_parallel is {size}, but the {layers} layers of {config.name} do "
                f"not divide by it; use {' or '.join(fitting)}"
            )
        count = layers // size
        start = self._group.rank * count
        windows = config.sliding_windows[start : start + count]
        return dataclasses.replace(config, num_layers=count, sliding_windows=windows)

    def slices(
        self, config: ModelConfig, tensors: Iterable[tuple[str, Tensor]]
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield the tensors of the rank's layers, numbered from 0, and those of no layer."""
        count = config.num_layers // self._group.size
        start = self._group.rank * count
        for name, tensor in tensors:
            layer = _LAYER.match(name)
            if layer is None:
                yield name, tensor
            elif start <= (number := int(layer[1])) < start + count:
                yield f"model.layers.{number - start}.{name[layer.end() :]}", tensor

    def cut_vocabulary(self, weights: ModelWeights) -> ModelWeights:
        """Return weights without the vocabulary, but on rank 0."""
        if self._group.rank == 0:
            return weights
        row = weights.embedding[:1].clone()
        return dataclasses.replace(weights, embedding=row, lm_head=row)

    def joined(self, weights: ModelWeights) -> ModelWeights:
        """Return the weights as they are: a stage's products are whole."""
        return weights


def part_of(group: Group, config: EngineConfig) -> Part | Stage:
    """Return which part of the weights a rank has."""
    return Stage(group) if config.pipeline_parallel > 1 else Part(group)


def check_divides(model: ModelConfig, config: EngineConfig) -> None:
    """Raise ConfigError unless the model divides by the ranks."""
    part_of(Group(0, config.num_ranks), config).shapes(model)
