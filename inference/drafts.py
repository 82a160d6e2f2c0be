"""Guesses of the next tokens, from a request's earlier text or by a smaller model, so that one step may
yield several.

A step computes the guesses together with the last known token and samples a token at each place.
Guesses are accepted up to the first that differs from the sampled token; the token after the
accepted ones needs no further step. A sampled
token is a function of (logits, parameters, seed, position), so the output is the same with guesses
and without, at any temperature, up to the rounding of a batch of another shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from inference.errors import ConfigError

if TYPE_CHECKING:
    from inference.engine import LLM
    from inference.request import Request

__all__ = ["DraftModel", "Drafter", "PromptLookup", "PromptLookups", "accepted"]

_SIZES = (3, 2)  # tokens that must repeat; the longer first


class Drafter(Protocol):
    """What guesses for the requests of a step."""

    def guess(self, requests: Sequence[Request], most: Sequence[int]) -> list[list[int]]:
        """Return up to ``most`` tokens (at least 1) that may follow each request's last one."""
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...


class PromptLookup:
    """Guesses the tokens that followed the last earlier occurrence of the newest n-gram.

    Cheap, and often right where an output repeats its prompt: summaries, edits, code.

    Source:
        Saxena 2023, "Prompt lookup decoding"; the same idea in arXiv:2304.04487.
    """

    def __init__(self) -> None:
        self._follows: dict[tuple[int, ...], int] = {}  # n-gram to where its next token stands
        self._seen = 0  # tokens whose n-grams are known, but for those that end last

    def guess(self, tokens: Sequence[int], most: int) -> list[int]:
        """Return up to ``most`` tokens that may follow.

        Args:
            tokens: Prompt and output so far; of every call as long as before or longer.
            most: Tokens wanted.
        """
        end = len(tokens)
        for at in range(max(self._seen, 1), end):
            for size in _SIZES:
                if at >= size:
                    self._follows[tuple(tokens[at - size : at])] = at
        self._seen = end
        for size in _SIZES:
            at = self._follows.get(tuple(tokens[-size:]))
            if at is not None and end >= size:
                return list(tokens[at : at + most])
        return []


class PromptLookups:
    """Guesses by each request's own earlier text."""

    def guess(self, requests: Sequence[Request], most: Sequence[int]) -> list[list[int]]:
        """As of ``Drafter``."""
        guesses = []
        for request, count in zip(requests, most, strict=True):
            request.lookup = request.lookup or PromptLookup()
            guesses.append(request.lookup.guess(request.tokens, count))
        return guesses

    def close(self) -> None:
        """As of ``Drafter``: there is nothing to free."""


class DraftModel:
    """Guesses by a smaller model, or by the same one in fewer bits.

    It draws with each request's own seed and parameters, so the two models agree on a token as often
    at any temperature as their distributions overlap. All requests of a step are guessed for at once.
    Its cache finds a request's earlier text by its prefix, so a guess computes only what is new.

    Args:
        llm: The smaller model, an engine of its own.
        vocab_size: The vocabulary that it must have.
        max_model_len: Context that it must hold.

    Raises:
        ConfigError: It has another vocabulary, or a shorter context.

    Source:
        Leviathan et al. 2023, arXiv:2211.17192; the coupled draw is that of Daliri et al. 2025,
        arXiv:2408.07978.
    """

    def __init__(self, llm: LLM, *, vocab_size: int, max_model_len: int) -> None:
        self._llm = llm
        for what, has, needs in (
            ("vocabulary", llm.model.vocab_size, vocab_size),
            ("context", llm.max_model_len, max_model_len),
        ):
            if has < needs or (what == "vocabulary" and has != needs):
                llm.close()
                raise ConfigError(
                    f"EngineConfig.draft_model: {llm.model.name} has a {what} of {has} tokens, the "
                    f"model one of {needs}"
                )

    def guess(self, requests: Sequence[Request], most: Sequence[int]) -> list[list[int]]:
        """As of ``Drafter``."""
        params = [
            replace(
                request.params,
                max_tokens=count,
                seed=request.seed,
                stop=(),
                stop_token_ids=(),
                ignore_eos=True,
            )
            for request, count in zip(requests, most, strict=True)
        ]
        outputs = self._llm.generate([request.tokens for request in requests], params)
        return [output.token_ids for output in outputs]

    def close(self) -> None:
        """As of ``Drafter``."""
        self._llm.close()


def accepted(guesses: Sequence[int], sampled: Sequence[int]) -> int:
    """Return how many of the sampled tokens count: one more than guesses were right.

    Args:
        guesses: k of them.
        sampled: k + 1: the token for the place of each guess, and the one after.
    """
    for right, (guess, token) in enumerate(zip(guesses, sampled, strict=False)):
        if guess != token:
            return right + 1
    return len(sampled)
