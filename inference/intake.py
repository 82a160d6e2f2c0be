"""Turns prompts into requests that can run, or raises an error that names the faulty prompt."""

from __future__ import annotations

import operator
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from inference.blocks import BlockManager
from inference.config import SamplingParams
from inference.errors import CacheTooSmall, ConfigError, PromptError
from inference.request import Request

if TYPE_CHECKING:
    from inference.architecture import ModelConfig
    from inference.tokenizer import Tokenizer

__all__ = ["Intake", "Prompt"]

Prompt = str | Sequence[int]


class Intake:
    """Checks prompts against one engine's vocabulary, context and cache; numbers the requests.

    Args:
        model: Whose vocabulary the tokens are of.
        tokenizer: For prompts given as text; None refuses those.
        blocks: The cache a request must fit alone; only its sizes are read.
        max_model_len: Prompt plus output, in tokens.
        seed: Of the seeds drawn for requests that name none.
    """

    def __init__(
        self,
        *,
        model: ModelConfig,
        tokenizer: Tokenizer | None,
        blocks: BlockManager,
        max_model_len: int,
        seed: int,
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._blocks = blocks
        self._max_model_len = max_model_len
        self._seeds = random.Random(seed)
        self._next_id = 0

    def requests(
        self,
        prompts: Sequence[Prompt],
        params: SamplingParams | Sequence[SamplingParams] | None,
        submitted_ns: int,
        *,
        add_special_tokens: bool = True,
    ) -> list[Request]:
        """Make a request of every prompt, or raise for the first that cannot be run.

        Args:
            prompts: Texts, or lists of token ids.
            params: One for all, or one for each; the defaults if None.
            submitted_ns: When the caller handed them in.
            add_special_tokens: Whether texts get the special tokens that the tokenizer adds.

        Raises:
            PromptError: Empty, too long, out of the vocabulary, or text without a tokenizer.
            CacheTooSmall: With its output it exceeds the whole cache.
            ConfigError: Not as many params as prompts.
        """
        if isinstance(prompts, str):
            raise PromptError("prompts is one string; give a list of prompts")
        if params is None:
            params = SamplingParams()
        each = [params] * len(prompts) if isinstance(params, SamplingParams) else list(params)
        if len(each) != len(prompts):
            raise ConfigError(f"{len(prompts)} prompts but {len(each)} SamplingParams")
        # All are checked before the first draws a seed: a refused call changes no later one.
        checked = [
            (*self._check(i, prompt, own, add_special_tokens), own)
            for i, (prompt, own) in enumerate(zip(prompts, each, strict=True))
        ]
        return [self._request(*prompt_facts, submitted_ns) for prompt_facts in checked]

    def _check(
        self, index: int, prompt: Prompt, params: SamplingParams, add_special_tokens: bool
    ) -> tuple[list[int], int]:
        """Return the prompt's tokens, and the most that they and the output can be together."""
        tokens = self._tokens(index, prompt, add_special_tokens)
        if params.stop and self._tokenizer is None:
            raise PromptError(
                f"request {index}: stop strings need a tokenizer, and {self._model.name} has "
                "none; use stop_token_ids"
            )
        if len(tokens) >= self._max_model_len:
            raise PromptError(
                f"request {index}: the prompt has {len(tokens)} tokens and the context holds "
                f"{self._max_model_len}, one of them for output; shorten the prompt"
            )
        max_total = min(len(tokens) + params.max_tokens, self._max_model_len)
        # The last token is handed out and never attended to, so it needs no room.
        needed = self._blocks.blocks_for(max_total - 1)
        if needed > self._blocks.num_blocks:
            raise CacheTooSmall(
                f"request {index}: {len(tokens)} prompt tokens and up to "
                f"{max_total - len(tokens)} output tokens need {needed} blocks of "
                f"{self._blocks.block_size}, and the cache has {self._blocks.num_blocks}; raise "
                "num_blocks or kv_cache_bytes, or lower max_tokens"
            )
        return tokens, max_total

    def _request(
        self, tokens: list[int], max_total: int, params: SamplingParams, submitted_ns: int
    ) -> Request:
        request_id = self._next_id
        self._next_id += 1
        seed = self._seeds.getrandbits(63) if params.seed is None else params.seed
        return Request(request_id, tokens, len(tokens), max_total, params, seed, submitted_ns)

    def _tokens(self, index: int, prompt: Prompt, add_special_tokens: bool) -> list[int]:
        if isinstance(prompt, str):
            if self._tokenizer is None:
                raise PromptError(
                    f"request {index}: the prompt is text, and {self._model.name} has no "
                    "tokenizer; give token ids"
                )
            tokens = self._tokenizer.encode(prompt, add_special_tokens=add_special_tokens)
        else:
            try:
                # index, not int: 1.5 is no token.
                tokens = list(map(operator.index, prompt))
            except TypeError as error:
                raise PromptError(
                    f"request {index}: the prompt is neither text nor a list of token ids ({error})"
                ) from error
        if not tokens:
            raise PromptError(f"request {index}: the prompt is empty; give at least one token")
        vocab = self._model.vocab_size
        for token in (min(tokens), max(tokens)):
            if not 0 <= token < vocab:
                raise PromptError(
                    f"request {index}: token id {token} is outside the vocabulary [0, {vocab})"
                )
        return tokens
