"""Where a server is."""

from __future__ import annotations

from urllib.parse import urlsplit

__all__ = ["is_local"]

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


def is_local(url: str) -> bool:
    """Return whether a server is on this machine; another one's GPUs cannot be seen from here."""
    return urlsplit(url).hostname in _LOCAL
