"""Guesses of the next tokens from a request's earlier text, so that one step may yield several.

A step computes the guesses together with the last known token and samples a token at each place.
Guesses are accepted up to the first that differs from the sampled token; the token after the
accepted ones needs no further step. A sampled
token is a function of (logits, parameters, seed, position), so the output is the same with guesses
and without, at any temperature, up to the rounding of a batch of another shape.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["PromptLookup", "accepted"]

_SIZES = (3, 2)  # tokens that must repeat; the longer first


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
