"""The registry of the engine's counters.

Each owner (scheduler, blocks, ops, ...) declares its counters as ``COUNTERS`` beside the plain
attributes that it adds to, so that counting costs an attribute's increment and a new counter touches
its owner alone. ``LLM.counters``, ``LLM.reset_counters`` and the table of ``docs/metrics.md`` follow.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

__all__ = ["Counter", "Counters"]


@dataclass(frozen=True, slots=True)
class Counter:
    """One number that an owner keeps.

    Attributes:
        name: Its key in ``LLM.counters()``.
        description: What it counts, for the documentation.
        attribute: Of the owner (of a dict: its key); None is ``name``.
        reset: What a reset sets it to: a number, or the owner's attribute of that name; None
            leaves it alone.
    """

    name: str
    description: str
    attribute: str | None = None
    reset: int | str | None = 0

    @property
    def key(self) -> str:
        """Where the owner keeps it."""
        return self.attribute or self.name


class Counters:
    """The counters of one engine, in the order they were registered."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[Any, Counter]] = {}

    def register(self, owner: Any, counters: Iterable[Counter]) -> None:
        """Add counters of ``owner``.

        Args:
            owner: Has each counter's attribute, or is a dict of them; None: the engine has no such
                part, and its counters stay 0.
            counters: What it keeps.

        Raises:
            ValueError: A name is taken.
            AttributeError, KeyError: The owner does not keep one of them.
        """
        for counter in counters:
            if counter.name in self._entries:
                raise ValueError(f"counter {counter.name!r} is registered twice")
            _value(owner, counter)
            self._entries[counter.name] = (owner, counter)

    def declared(self) -> list[Counter]:
        """Return every registered counter."""
        return [counter for _, counter in self._entries.values()]

    def read(self) -> dict[str, int]:
        """Return every counter's value by name."""
        return {name: _value(owner, counter) for name, (owner, counter) in self._entries.items()}

    def reset(self) -> None:
        """Start every counter anew that is not a size."""
        for owner, counter in self._entries.values():
            start = counter.reset
            if owner is None or start is None:
                continue
            value = getattr(owner, start) if isinstance(start, str) else start
            if isinstance(owner, dict):
                owner[counter.key] = value
            else:
                setattr(owner, counter.key, value)

    def clear(self) -> None:
        """Forget the owners, so that their memory can be free."""
        self._entries.clear()


def _value(owner: Any, counter: Counter) -> int:
    if owner is None:
        return 0
    value: int = owner[counter.key] if isinstance(owner, dict) else getattr(owner, counter.key)
    return value
