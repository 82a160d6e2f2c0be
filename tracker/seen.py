"""Which files are as they were when they were read whole: an ingest does not read those again."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from tracker.domain import SeenFile
from tracker.readers import Given

__all__ = ["Look", "Memory"]

_FRESH_NS = 2_000_000_000


class Look(NamedTuple):
    """A file as it is now.

    Attributes:
        path: Where it is.
        key: Digest of the path, and of what decides beside the content what the file becomes.
        now: Its size and time of change.
        before: As it was read before, if its content is still the same.
    """

    path: str
    key: str
    now: SeenFile
    before: SeenFile | None


class Memory:
    """What is known of files that were read whole, and what an ingest learns.

    Attributes:
        learned: By key; to be stored.
    """

    def __init__(self, given: Given, stored: Mapping[str, SeenFile]) -> None:
        self.learned: dict[str, SeenFile] = {}
        self._stored = stored
        facts = (given.commit, given.committed_at, given.machine, given.environment)
        self._given = repr(facts).encode("utf-8", "backslashreplace")
        # With other facts than the file's own, equal bytes would not be an equal run.
        known = stored.values() if facts == (None,) * 4 else ()
        self._by_content = {seen.content: seen for seen in known if seen.content is not None}

    def look(self, file: str | os.PathLike[str]) -> Look:
        """Return the file's state; its content is read where size or time have changed."""
        path = os.fspath(file)
        key = hashlib.sha256(os.fsencode(path) + b"\0" + self._given).hexdigest()
        try:
            stat = os.stat(path)  # noqa: PTH116 (a Path for each of 100,000 files is slow)
        except OSError:  # reading it will say why
            return Look(path, key, SeenFile(-1, 0), None)
        now, before = SeenFile(stat.st_size, stat.st_mtime_ns), self._stored.get(key)
        if before is not None and (before.size, before.mtime_ns) == (now.size, now.mtime_ns):
            return Look(path, key, now, before)
        if not self._by_content:
            return Look(path, key, now, None)
        try:
            content = hashlib.sha256(Path(path).read_bytes()).hexdigest()
        except OSError:
            return Look(path, key, now, None)
        before = self._by_content.get(content)
        look = Look(path, key, now, before)
        if before is not None:
            self.learn(look, before.num_results, content)
        return look

    def learn(self, look: Look, num_results: int, content: str | None) -> None:
        """Remember a file that was read whole and without a problem.

        A file that was just written may change again without a change of its time.
        """
        if time.time_ns() - look.now.mtime_ns > _FRESH_NS:
            stored = self._stored.get(look.key)
            row_id = None if stored is None else stored.row_id
            self.learned[look.key] = replace(
                look.now, num_results=num_results, content=content, row_id=row_id
            )
