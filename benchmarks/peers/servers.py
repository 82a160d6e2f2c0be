"""How each server is started, and when it is ready. One at a time, on one thread."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.engine.models import SMOLLM2, locate
from benchmarks.peers import environments
from tracker.errors import MeasurementError

__all__ = ["MOCK", "SERVERS", "PeerServer", "running"]

START_SECONDS = 600.0
STOP_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class PeerServer:
    """One server.

    Attributes:
        name: Of the table's row.
        command: Sets it up if need be, and returns the command that serves SmolLM2 on a port.
        variables: Of its environment, beside ours.
    """

    name: str
    command: Callable[[int], Sequence[str]]
    variables: Mapping[str, str] = field(default_factory=dict)


def _ours(port: int) -> Sequence[str]:
    model = locate(SMOLLM2)
    options = ["--max-model-len", "2048", "--max-num-seqs", "32", "--num-threads", "1"]
    name = ["--served-model-name", "smollm2", "--dtype", "float32"]
    return [sys.executable, "-m", "inference.serve", model, "--port", str(port), *name, *options]


def _vllm(port: int) -> Sequence[str]:
    options = ["--dtype", "float32", "--max-model-len", "2048", "--max-num-seqs", "32"]
    address = ["--host", "127.0.0.1", "--port", str(port), "--served-model-name", "smollm2"]
    return [str(environments.vllm()), "serve", locate(SMOLLM2), *address, *options]


def _llama_cpp(port: int) -> Sequence[str]:
    server, gguf = environments.llama_cpp()
    options = ["--threads", "1", "--parallel", "8", "--ctx-size", "16384", "--metrics"]
    address = ["--host", "127.0.0.1", "--port", str(port), "--alias", "smollm2"]
    return [str(server), "--model", str(gguf), *address, *options]


def _mock(port: int) -> Sequence[str]:
    times = ["--ttft-ms", "50", "--itl-ms", "10", "--output-tokens", "32"]
    address = ["--host", "127.0.0.1", "--port", str(port), "--model", "mock"]
    return [str(environments.guidellm()), "mock-server", *address, *times]


_OFFLINE = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
SERVERS = (
    PeerServer("Pacekeeper", _ours, _OFFLINE),
    PeerServer(
        "vLLM 0.32 (CPU)",
        _vllm,
        {**_OFFLINE, "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "0"},
    ),
    PeerServer("llama.cpp", _llama_cpp, _OFFLINE),
)
MOCK = PeerServer("guidellm's mock", _mock, _OFFLINE)


@contextlib.contextmanager
def running(server: PeerServer) -> Iterator[str]:
    """Start ``server``, yield its URL when it is ready, and end it with all it started.

    Raises:
        MeasurementError: It cannot be set up or does not start; with the end of its log.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = server.command(port)
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile(mode="w+") as log:
        process = subprocess.Popen(
            command,
            env={**os.environ, **server.variables},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + START_SECONDS
            while not _serves(url):
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    last = " / ".join(log.read().strip().splitlines()[-5:])
                    raise MeasurementError(f"{server.name} did not start: {last}")
                time.sleep(0.5)
            yield url
        finally:
            _end(process)


def _serves(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/v1/models", timeout=5) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _end(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
