"""The functions of one source tree, numbered as a tracer meets them."""

from __future__ import annotations

import linecache
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import CodeType
from typing import Any


class SourceTree:
    """The functions of one source tree, numbered as they are met.

    Args:
        root: Directory of the tree; code in files outside of it is not the tree's.
        places: Relative directories or files of it that count; all when empty.
    """

    def __init__(self, root: Path, places: Sequence[str] = ()) -> None:
        self._root = f"{root.resolve()}{os.sep}"
        self._prefixes = tuple(f"{self._root}{place}" for place in places or ("",))
        self.codes: list[CodeType] = []  # keeps them alive, so that an id stays theirs
        self._numbers: dict[int, int] = {}
        self._outside: list[CodeType] = []

    def number_of(self, code: CodeType) -> int:
        """Return a function's number; -1 for one outside of the tree."""
        try:
            return self._numbers[id(code)]  # the hash of a code object reads all of it
        except KeyError:
            inside = code.co_filename.startswith(self._prefixes)
            number = self._numbers[id(code)] = len(self.codes) if inside else -1
            (self.codes if inside else self._outside).append(code)
            return number

    def described(self, sites: Iterable[tuple[int, int]]) -> list[dict[str, Any]]:
        """Return every function as JSON values, with the lines of the call sites in it.

        Args:
            sites: Pairs of a function's number and the offset of a call in its byte code.
        """
        offsets: dict[int, set[int]] = {}
        for number, offset in sites:
            offsets.setdefault(number, set()).add(offset)
        return [
            {
                "file": self._relative(code),
                "function": getattr(code, "co_qualname", code.co_name),
                "line": code.co_firstlineno,
                "sites": {
                    str(offset): [line := _line_at(code, offset), self._text(code, line)]
                    for offset in sorted(offsets.get(number, ()))
                },
            }
            for number, code in enumerate(self.codes)
        ]

    def text(self, number: int, line: int) -> str:
        """Return the stripped text of a line in a function's file."""
        return self._text(self.codes[number], line)

    def _relative(self, code: CodeType) -> str:
        return code.co_filename.removeprefix(self._root).replace(os.sep, "/")

    def _text(self, code: CodeType, line: int) -> str:
        return linecache.getline(code.co_filename, line).strip()


def _line_at(code: CodeType, offset: int) -> int:
    for start, end, line in code.co_lines():
        if start <= offset < end and line is not None:
            return line
    return code.co_firstlineno
