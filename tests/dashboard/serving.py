"""A real `tracker dashboard` process on a free port."""

import os
import re
import select
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass

TIMEOUT = 60  # seconds until it must have printed its URL


@dataclass
class Dashboard:
    url: str
    port: int
    process: subprocess.Popen


@contextmanager
def serve(store_url, *, cwd=None, port=0):
    """Start the command on `store_url`, yield it once it serves, and end it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tracker", "--db", store_url, "dashboard", "--port", str(port),
         "--no-browser"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=cwd,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:
        line = _first_line(process)
        port = int(re.search(r"http://127\.0\.0\.1:(\d+)/", line)[1])
        yield Dashboard(f"http://127.0.0.1:{port}", port, process)
    finally:
        process.terminate()
        process.wait(timeout=20)
        process.stdout.close()


def _first_line(process):
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        ready, _, _ = select.select([process.stdout], [], [], 0.5)
        if ready:
            return process.stdout.readline()
        assert process.poll() is None, f"tracker dashboard ended with {process.returncode}"
    raise AssertionError(f"tracker dashboard printed no URL within {TIMEOUT} s")
