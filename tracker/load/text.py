"""Real text for models that have a tokenizer: passages of a small fixed corpus."""

from __future__ import annotations

import functools
import random
from pathlib import Path

__all__ = ["CORPUS", "text_of"]

CORPUS = Path(__file__).with_name("corpus.txt")


def text_of(words: int, rng: random.Random) -> str:
    """Return ``words`` consecutive words of the corpus from a random place, wrapping at its end.

    Args:
        words: >= 1. English text makes about 1.3 tokens of a word.
        rng: Chooses the place.
    """
    corpus = _corpus()
    start = rng.randrange(len(corpus))
    return " ".join(corpus[(start + i) % len(corpus)] for i in range(words))


@functools.cache
def _corpus() -> tuple[str, ...]:
    return tuple(CORPUS.read_text(encoding="utf-8").split())
