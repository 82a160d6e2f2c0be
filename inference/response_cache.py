"""Outputs of earlier requests, for prompts that are asked again word for word. No tensors.

Only what must come out the same is kept: greedy requests, and sampled ones that name their seed. What is given
again is the tokens; the request's own end conditions and text follow from them as they did the first time.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace

from inference.config import SamplingParams
from inference.counters import Counter
from inference.request import Request

__all__ = ["ResponseCache"]

_Key = tuple[tuple[int, ...], SamplingParams]


class ResponseCache:
    """The least recently asked outputs go first when there is no room.

    Args:
        max_tokens: Tokens of prompts and outputs held at most.

    Attributes:
        hits, misses: Of requests that may be answered from here, since the last reset.
        num_tokens: Held now.
    """

    COUNTERS = (
        Counter("response_cache_hits", "requests answered by an earlier output", attribute="hits"),
        Counter(
            "response_cache_misses",
            "requests whose output may be kept, and was not there",
            attribute="misses",
        ),
    )

    def __init__(self, max_tokens: int) -> None:
        self._max_tokens = max_tokens
        self._outputs: OrderedDict[_Key, tuple[int, ...]] = OrderedDict()
        self.hits = self.misses = 0
        self.num_tokens = 0

    def find(self, request: Request) -> tuple[int, ...] | None:
        """Return the tokens of an equal request's output; None where there is none."""
        if not _is_repeatable(request.params):
            return None
        key = _key(request)
        output = self._outputs.get(key)
        if output is None:
            self.misses += 1
            return None
        self.hits += 1
        self._outputs.move_to_end(key)
        return output

    def keep(self, request: Request) -> None:
        """Keep the output of a request that ended by itself, by a stop or by its length."""
        key = _key(request)
        size = len(request.tokens)
        if not _is_repeatable(request.params) or key in self._outputs or size > self._max_tokens:
            return
        self._outputs[key] = tuple(request.output_tokens)
        self.num_tokens += size
        while self.num_tokens > self._max_tokens:
            (prompt, _), output = self._outputs.popitem(last=False)
            self.num_tokens -= len(prompt) + len(output)


def _is_repeatable(params: SamplingParams) -> bool:
    """Whether an equal request has the same output; log probabilities are not kept."""
    return (params.temperature == 0.0 or params.seed is not None) and params.logprobs is None


def _key(request: Request) -> _Key:
    params = request.params
    if params.temperature == 0.0:  # nothing is drawn
        params = replace(params, seed=None)
    return tuple(request.tokens[: request.num_prompt]), params
