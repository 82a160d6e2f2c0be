"""Files of a checkpoint directory, read or refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from inference.errors import CheckpointError

__all__ = ["read_json", "refuse_pointer"]

_POINTER = b"version https://git-lfs.github.com/spec/"


def refuse_pointer(path: Path) -> None:
    """Raise where a file is empty, or what git leaves in the place of one that it did not fetch.

    Raises:
        CheckpointError: It is; or it cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(len(_POINTER))
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from error
    if not head:
        raise CheckpointError(f"{path}: the file is empty; download it again")
    if head == _POINTER:
        raise CheckpointError(f"{path}: a Git LFS pointer, not the file; run `git lfs pull`")


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file.

    Raises:
        CheckpointError: Not readable, empty, an LFS pointer, cut off, or not an object.
    """
    refuse_pointer(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:  # of ValueError: not JSON, not UTF-8
        raise CheckpointError(f"{path}: not JSON ({error})") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: holds no JSON object")
    return content
