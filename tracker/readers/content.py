"""How readers recognize files and take them apart."""

from __future__ import annotations

import re

__all__ = ["has_keys"]


def has_keys(head: bytes, *keys: str) -> bool:
    """Return whether each key occurs as a key of a JSON object in the text."""
    return all(re.search(rb'"%b"\s*:' % re.escape(key.encode()), head) for key in keys)
