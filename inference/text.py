"""Decodes one request's tokens into text that only grows, and finds its stop strings."""

from __future__ import annotations

from collections.abc import Sequence

from inference.tokenizer import Tokenizer

__all__ = ["REPLACEMENT", "TextStream"]

REPLACEMENT = "\ufffd"  # what decoding yields for a character whose bytes are not all there yet
_MAX_PIECES = 4  # tokens that the bytes of one character can be spread over


class TextStream:
    """The text of one request, token by token.

    Text is released once it can no longer change: a character when all of its bytes are there,
    and the beginning of a stop string when it turns out to be none. Special tokens have no text
    of their own; a stop string that is, or holds, the text of one is found all the same.

    Only a few tokens are decoded again for each: those since the last complete character, and no
    more of them than one character can be spread over. The cost of a token does not grow with
    the output, whatever bytes it holds.

    Args:
        tokenizer: Decodes.
        stop: Strings that end the text, which ends before them.
    """

    def __init__(self, tokenizer: Tokenizer, stop: Sequence[str] = ()) -> None:
        self._tokenizer = tokenizer
        self._stop = stop
        self._tokens: list[int] = []
        self._begin = 0  # decoded from here, so that the joint before _done reads right
        self._done = 0  # tokens whose text is in _raw
        self._raw = ""  # text with that of special tokens, whole characters only
        self._special: list[tuple[int, int]] = []  # where in _raw those of special tokens stand
        self._searched = 0  # characters of _raw known to complete no stop string
        self._released = 0  # characters of _raw that are in _pieces
        self._end: int | None = None  # where _raw ends for good
        self._pieces: list[str] = []
        self._num_taken = 0

    @property
    def text(self) -> str:
        """All text released so far."""
        self._release()
        return "".join(self._pieces)

    def take(self) -> str:
        """Return the text released since the last call."""
        self._release()
        new = "".join(self._pieces[self._num_taken :])
        self._num_taken = len(self._pieces)
        return new

    def add(self, token: int) -> bool:
        """Take one more token; return whether a stop string is complete, which ends the text."""
        special = self._tokenizer.special.get(token)
        if special is not None:
            self._settle_pending()
            self._special.append((len(self._raw), len(self._raw) + len(special)))
            self._raw += special
            return self._search(self._raw)
        self._tokens.append(token)
        before = len(self._decode(self._done))
        new = self._decode(len(self._tokens))[before:]
        whole = new.rstrip(REPLACEMENT)
        if self._search(self._raw + whole):
            return True
        if new and new == whole:
            self._settle(new, len(self._tokens))
        elif len(self._tokens) - self._done > _MAX_PIECES:
            if new:
                # Too many for one character: all but its possible beginning are invalid bytes.
                end = len(self._tokens) - (_MAX_PIECES - 1)
                self._settle(self._decode(end)[before:], end)
            else:
                # Tokens without text, and never to have any.
                del self._tokens[self._done :]
        return False

    def finish(self) -> None:
        """Release the text that was held back, since no token follows."""
        if self._end is None:
            self._settle_pending()
            self._end = len(self._raw)

    def _decode(self, end: int) -> str:
        return self._tokenizer.decode(self._tokens[self._begin : end])

    def _settle(self, new: str, end: int) -> None:
        self._raw += new
        self._begin, self._done = self._done, end

    def _settle_pending(self) -> None:
        if self._done < len(self._tokens):
            before = len(self._decode(self._done))
            self._settle(self._decode(len(self._tokens))[before:], len(self._tokens))

    def _search(self, raw: str) -> bool:
        found = [
            at
            for stop in self._stop
            if (at := raw.find(stop, max(0, self._searched - len(stop) + 1))) >= 0
        ]
        self._searched = len(raw)
        if not found:
            return False
        self._raw, self._end = raw, min(found)
        return True

    def _release(self) -> None:
        """Move what cannot change any more from ``_raw`` to ``_pieces``, special tokens left out."""
        end = self._end
        if end is None:
            end = len(self._raw) - self._held_back()
        start = self._released
        if end <= start:
            return
        while self._special and self._special[0][1] <= end:
            begin, start_again = self._special.pop(0)
            self._pieces.append(self._raw[start:begin])
            start = start_again
        if self._special and self._special[0][0] < end:  # a stop string begins inside of it
            self._pieces.append(self._raw[start : self._special[0][0]])
        else:
            self._pieces.append(self._raw[start:end])
        self._released = end

    def _held_back(self) -> int:
        """Return the length of the longest end of ``_raw`` that a stop string may begin with."""
        longest = max((len(stop) for stop in self._stop), default=1) - 1
        for length in range(min(longest, len(self._raw) - self._released), 0, -1):
            tail = self._raw[-length:]
            if any(stop.startswith(tail) for stop in self._stop):
                return length
        return 0
