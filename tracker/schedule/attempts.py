"""Counts failed measurements of each commit, so that a broken commit is not tried for ever."""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["MAX_ATTEMPTS", "Attempts"]

MAX_ATTEMPTS = 3


class Attempts:
    """Failed attempts by commit, in a small JSON file that outlives the process.

    A file that cannot be read counts as empty: the price is three more attempts.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def exhausted(self, commit: str) -> bool:
        return self._read().get(commit, 0) >= MAX_ATTEMPTS

    def unfinished(self) -> frozenset[str]:
        """Commits that failed and have attempts left."""
        return frozenset(commit for commit, count in self._read().items() if count < MAX_ATTEMPTS)

    def failed(self, commit: str) -> int:
        """Count one more failure; return how many there are."""
        counts = self._read()
        counts[commit] = counts.get(commit, 0) + 1
        self._write(counts)
        return counts[commit]

    def succeeded(self, commit: str) -> None:
        counts = self._read()
        if counts.pop(commit, None) is not None:
            self._write(counts)

    def _read(self) -> dict[str, int]:
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        if not isinstance(content, dict):
            return {}
        return {str(key): value for key, value in content.items() if isinstance(value, int)}

    def _write(self, counts: dict[str, int]) -> None:
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps(counts, indent=1), encoding="utf-8")
        fresh.replace(self._path)
