"""A JSON object out of a file, or the reason why not."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from tracker.domain import Problem

# No result file is near this; one that is larger was not written by asv.
MAX_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class JsonObject:
    """A file's JSON object.

    Attributes:
        data: The object.
        digest: sha256 of the file's bytes, hex.
        odd_text: Whether a string may hold what a database refuses (NUL, a lone surrogate).
    """

    data: dict[str, Any]
    digest: str
    odd_text: bool


def read_object(path: Path) -> JsonObject | Problem:
    """Return the JSON object in `path`, with bare NaN and Infinity accepted."""
    name = str(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            return Problem(name, f"larger than {MAX_BYTES >> 20} MiB: not a result file")
        raw = path.read_bytes()
    except OSError as error:
        return Problem(name, f"cannot be read: {error.strerror or error}")
    if not raw.strip():
        return Problem(name, "empty file")
    try:
        data = _loads(raw)
    except UnicodeDecodeError:
        return Problem(name, "not text in UTF-8")
    except RecursionError:
        return Problem(name, "nested too deeply: not a result file")
    except json.JSONDecodeError as error:
        if error.pos >= len(error.doc.rstrip()) or "Unterminated" in error.msg:
            return Problem(name, "truncated JSON: the file ends in the middle")
        return Problem(name, f"not JSON: {error.msg} at line {error.lineno}")
    except ValueError as error:  # an integer with more digits than Python converts
        return Problem(name, f"not readable as JSON: {str(error).partition(';')[0]}")
    if not isinstance(data, dict):
        return Problem(name, f"not a result file: holds a {type(data).__name__}, not an object")
    lowered = raw.lower() if b"\\u" in raw else b""
    odd = b"\\u0000" in lowered or b"\\ud" in lowered
    return JsonObject(data, hashlib.sha256(raw).hexdigest(), odd)


def _loads(raw: bytes) -> Any:
    """Parse JSON; the fast parser refuses bare NaN and Infinity, which asv writes."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return json.loads(raw)


def is_storable(text: str) -> bool:
    """Return whether a database can hold `text`: no NUL, no lone surrogate."""
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
