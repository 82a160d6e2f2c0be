"""Whether this process was asked to end. Set by the signal handler, read between measurements.

Jobs are called by name with plain arguments, so the request reaches them through the process
itself, like the signal that makes it.
"""

from __future__ import annotations

import threading

__all__ = ["STOP"]

STOP = threading.Event()
