"""Text to tokens and back, and the search for stop strings in text that arrives in pieces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

__all__ = ["StopChecker", "Tokenizer", "load_tokenizer"]

_REPLACEMENT = "\ufffd"  # what decoding yields for a character whose bytes are not all there yet
_MAX_PIECES = 4  # tokens that the bytes of one character can be spread over
_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")


class Tokenizer(Protocol):
    """What the engine needs of a tokenizer."""

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a prompt, special ones included as the model expects them."""
        ...

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens, special ones left out."""
        ...


class _HubTokenizer:
    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def encode(self, text: str) -> list[int]:
        return list(self.inner.encode(text))

    def decode(self, tokens: Sequence[int]) -> str:
        # Clean-up would drop spaces before punctuation: the text must be the tokens' own.
        return str(
            self.inner.decode(
                list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        )


def load_tokenizer(directory: Path, *, gguf_file: str | None = None) -> Tokenizer | None:
    """Return the tokenizer of a checkpoint directory, or None where it has none.

    Args:
        directory: Holds the tokenizer's files, or the GGUF file.
        gguf_file: Name of that file, whose header holds the tokenizer.
    """
    if gguf_file is None and not any((directory / name).exists() for name in _FILES):
        return None
    # Slow to import, and not needed by engines that take token ids.
    from transformers import AutoTokenizer

    extra = {} if gguf_file is None else {"gguf_file": gguf_file}
    return _HubTokenizer(AutoTokenizer.from_pretrained(directory, **extra))


class StopChecker:
    """Decodes one request's output token by token and looks for its stop strings.

    Only a few tokens are decoded again for each: those since the last complete character, and no
    more of them than one character can be spread over. The cost of a token does not grow with
    the output, whatever bytes it holds.
    """

    def __init__(self, tokenizer: Tokenizer, stop: Sequence[str]) -> None:
        self._tokenizer = tokenizer
        self._stop = stop
        self._tokens: list[int] = []
        self._text = ""
        self._begin = 0  # decoded from here, so that the joint before _done reads right
        self._done = 0  # tokens whose text is in _text
        self._searched = 0  # characters known to complete no stop string

    @property
    def text(self) -> str:
        """The text so far, without a character whose bytes are not all there yet."""
        return self._text

    def add(self, token: int) -> str | None:
        """Take one more token.

        Returns:
            The text before the first stop string once one is complete, else None.
        """
        self._tokens.append(token)
        before = len(self._decode(self._done))
        new = self._decode(len(self._tokens))[before:]
        whole = new.rstrip(_REPLACEMENT)
        found = self._find(self._text + whole)
        if found is not None:
            return found
        if new and new == whole:
            self._settle(new, len(self._tokens))
        elif len(self._tokens) - self._done > _MAX_PIECES:
            if new:
                # Too many for one character: all but its possible beginning are invalid bytes.
                end = len(self._tokens) - (_MAX_PIECES - 1)
                self._settle(self._decode(end)[before:], end)
            else:
                # Special tokens, say: without text, and never to have any.
                del self._tokens[self._done :]
        return None

    def _decode(self, end: int) -> str:
        return self._tokenizer.decode(self._tokens[self._begin : end])

    def _settle(self, new: str, end: int) -> None:
        self._text += new
        self._begin, self._done = self._done, end

    def _find(self, text: str) -> str | None:
        found = [
            at
            for stop in self._stop
            if (at := text.find(stop, max(0, self._searched - len(stop) + 1))) >= 0
        ]
        self._searched = len(text)
        return text[: min(found)] if found else None
