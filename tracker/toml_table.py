"""Tables of pacekeeper.toml, whose values are checked as they are read."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tracker.errors import PolicyError, did_you_mean

__all__ = ["AT_LEAST_0", "INFINITY", "Table", "as_regex", "read_table"]

INFINITY = float("inf")
AT_LEAST_0 = -1e-12  # as the lower bound of a number: 0 is above it


class Table:
    """Reads the keys of one table; each method returns `{key: value}`, empty where the key is absent.

    Args:
        content: As TOML gives it.
        source: What messages call the table.
        known: The keys that it may have; None for any.

    Raises:
        PolicyError: Not a table, or an unknown key, with the nearest known one. Every method
            raises one that names the key and what it must be.
    """

    def __init__(self, content: object, source: str, known: Sequence[str] | None = None) -> None:
        if not isinstance(content, dict):
            raise PolicyError(f"{source} must be a table")
        self.content: Mapping[str, Any] = content
        self.source = source
        if known is not None:
            self.require_known(known)

    def require_known(self, known: Sequence[str]) -> None:
        """Raise unless every key is one of these."""
        for key in self.content:
            if key not in known:
                raise PolicyError(f"{self.source} unknown key {key!r}; {did_you_mean(key, known)}")

    def table(self, key: str, source: str, known: Sequence[str] | None = None) -> Table:
        """Return the table below `key`; an empty one where there is none."""
        content = self.content.get(key, {})
        if not isinstance(content, dict):
            raise PolicyError(f"{self.source} {key} must be a table")
        return Table(content, source, known)

    def text(self, key: str) -> dict[str, str]:
        for value in self._given(key):
            return {key: _text(value, self._name(key))}
        return {}

    def texts(self, key: str) -> dict[str, tuple[str, ...]]:
        """A text, or a list of texts."""
        for value in self._given(key):
            items = value if isinstance(value, list) else [value]
            return {key: tuple(_text(item, self._name(key)) for item in items)}
        return {}

    def flag(self, key: str) -> dict[str, bool]:
        for value in self._given(key):
            if not isinstance(value, bool):
                raise PolicyError(f"{self._name(key)} must be true or false")
            return {key: value}
        return {}

    def count(self, key: str) -> dict[str, int]:
        for value in self._given(key):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise PolicyError(f"{self._name(key)} must be a whole number, at least 1")
            return {key: value}
        return {}

    def choice(self, key: str, choices: Sequence[str]) -> dict[str, Any]:
        for value in self._given(key):
            if value not in choices:
                raise PolicyError(
                    f"{self._name(key)} must be one of {', '.join(choices)}, not {value!r}"
                )
            return {key: value}
        return {}

    def number(self, key: str, low: float, high: float) -> dict[str, float]:
        """A number above `low` (see `AT_LEAST_0`) and below `high`; NaN is none."""
        for value in self._given(key):
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if not is_number or not low < value < high:
                bounds = "" if low == -INFINITY else " above 0" if low == 0 else " of at least 0"
                bounds += f" and below {high:g}" if high < INFINITY else ""
                raise PolicyError(f"{self._name(key)} must be a number{bounds}, not {value!r}")
            return {key: float(value)}
        return {}

    def _given(self, key: str) -> list[Any]:
        return [self.content[key]] if key in self.content else []

    def _name(self, key: str) -> str:
        return f"{self.source} {key}"


def read_table(path: Path) -> Table:
    """Return the content of a file.

    Raises:
        PolicyError: No such file, or it is not TOML.
    """
    try:
        return Table(tomllib.loads(path.read_text(encoding="utf-8")), f"{path}:")
    except FileNotFoundError:
        raise PolicyError(f"{path}: no such policy file") from None
    except OSError as error:
        raise PolicyError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise PolicyError(f"{path}: not TOML, which is UTF-8: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"{path}: not TOML: {error}") from None


def as_regex(pattern: str, name: str) -> str:
    """Return `pattern`.

    Raises:
        PolicyError: It is no regular expression; the message calls it `name`.
    """
    try:
        re.compile(pattern)
    except re.error as error:
        raise PolicyError(f"{name}: {pattern!r} is no regular expression: {error}") from None
    return pattern


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise PolicyError(f"{name} must be a text, not {value!r}")
    return value
