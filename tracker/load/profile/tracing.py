"""One tracer on this thread at a time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def traced_by(tracer: Callable[[FrameType, str, Any], Any]) -> Iterator[None]:
    """Have this thread's calls traced while the context is open."""
    previous = sys.gettrace()
    sys.settrace(tracer)
    try:
        yield
    finally:
        sys.settrace(previous)
