"""How readers recognize files, and documents that are not one JSON value."""

from __future__ import annotations

import json
import re
from typing import Any

__all__ = ["has_keys", "json_lines"]


def has_keys(head: bytes, *keys: str) -> bool:
    """Return whether each key occurs as a key of a JSON object in the text."""
    return all(re.search(rb'"%b"\s*:' % re.escape(key.encode()), head) for key in keys)


def json_lines(text: str) -> list[Any]:
    """Return the values of a JSON document: a list's items, or those that stand one after another.

    Raises:
        json.JSONDecodeError: Anything else follows a value.
    """
    decoder, values, at = json.JSONDecoder(), [], 0
    text = text.rstrip()
    while at < len(text):
        value, at = decoder.raw_decode(text, at)
        values.append(value)
        while at < len(text) and text[at].isspace():
            at += 1
    if len(values) == 1 and isinstance(values[0], list):
        return values[0]
    return values
