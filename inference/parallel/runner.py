"""The runners of rank 0: they give every step to the other ranks before computing their own part."""

from __future__ import annotations

from typing import Any

import torch

from inference.architecture import ModelConfig
from inference.batch import Batch
from inference.config import EngineConfig
from inference.ops import OpSet
from inference.parallel.part import part_of
from inference.parallel.ranks import CacheSizes, Ranks, StepInputs
from inference.parallel.stage import as_tensor
from inference.runner import Enqueued, ModelRunner
from inference.scheduler import Step
from inference.weights import ModelWeights

__all__ = ["PipelineRunner", "TensorParallelRunner", "runner_of"]


class TensorParallelRunner(ModelRunner):
    """As ``ModelRunner``, on rank 0's part of weights and cache.

    Steps neither overlap nor run as CUDA graphs: the other ranks get each step's inputs from the host.

    Args:
        model: The whole.
        weights: Of rank 0.
        ranks: The others; they are met here, once all have loaded.

    Raises:
        RankFailed: A rank could not load its part.
    """

    mend = "make a new LLM"

    def __init__(
        self,
        model: ModelConfig,
        weights: ModelWeights,
        ops: OpSet,
        config: EngineConfig,
        *,
        max_model_len: int,
        ranks: Ranks,
    ) -> None:
        own = part_of(ranks.group, config).shapes(model)
        super().__init__(own, weights, ops, config, max_model_len=max_model_len)
        self._ranks = ranks
        ranks.meet(CacheSizes(max_model_len, self.num_blocks))

    def is_alive(self) -> bool:
        """Whether every rank still computes."""
        return self._ranks.failure is None and super().is_alive()

    def close(self) -> None:
        """As of ``ModelRunner``; ends the other ranks."""
        self._ranks.close()
        super().close()

    def _enqueue(self, step: Step) -> Enqueued:
        try:
            return super()._enqueue(step)
        except Exception as error:
            # The others wait in the middle of this step, or are gone: there is no next one.
            raise self._ranks.failed(error) from error

    def _forward(self, batch: Batch) -> Any:
        self._ranks.send(StepInputs.of(batch))
        return super()._forward(batch)


class PipelineRunner(TensorParallelRunner):
    """The same where each rank has some of the layers; rank 0 has the first, and the vocabulary."""

    def _forward(self, batch: Batch) -> Any:
        hidden = as_tensor(super()._forward(batch))
        group = self._ranks.group
        group.pass_on(hidden)
        return self.decoder.held(group.receive(torch.empty_like(hidden)))


def runner_of(config: EngineConfig) -> type[TensorParallelRunner]:
    """Return the class of rank 0's runner."""
    return PipelineRunner if config.pipeline_parallel > 1 else TensorParallelRunner
