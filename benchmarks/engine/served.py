"""The engine behind its own HTTP server, in a process of its own, as the target of a load."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.engine.models import locate
from benchmarks.engine.source import check_source
from tracker.errors import MeasurementError
from tracker.load.drive import Drive
from tracker.load.errors import UnavailableError
from tracker.load.records import LoadRequest
from tracker.load.scenario import Scenario
from tracker.load.target import Observation, OpenTarget, Target

__all__ = ["Served", "Server"]

START_SECONDS = 300.0
STOP_SECONDS = 20.0


class Server:
    """``python -m inference.serve`` with the model and engine of one scenario; ``stop`` it.

    Attributes:
        url: Where it serves.

    Raises:
        UnavailableError: This machine lacks the model or uvicorn; or this commit has no server.
        SourceMismatchError: The engine is not that of ``PACEKEEPER_SOURCE``.
        MeasurementError: The server does not start; with the end of what it wrote.
    """

    def __init__(self, scenario: Scenario) -> None:
        model = locate(scenario.model)
        engine = find_spec("inference")
        if find_spec("inference.serve") is None or engine is None:
            raise UnavailableError("this commit has no inference.serve")
        if find_spec("uvicorn") is None:
            raise UnavailableError("no uvicorn here; pip install 'pacekeeper[serve]'")
        if os.environ.get("PACEKEEPER_SOURCE"):
            check_source(Path(str(engine.origin)).parent, Path(os.environ["PACEKEEPER_SOURCE"]))
        settings = {"seed": scenario.seed, "device": scenario.model.device, **scenario.engine}
        # Closed with the server.
        self._log = tempfile.TemporaryFile(mode="w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", "inference.serve", model, "--port", "0", *_flags(settings)],
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        try:
            self.url = self._address()
        except BaseException:
            self.stop()
            raise

    def _address(self) -> str:
        """Return the server's URL when it is ready."""
        timer = threading.Timer(START_SECONDS, self._process.kill)
        timer.start()
        assert self._process.stdout is not None
        try:
            line = self._process.stdout.readline()
        finally:
            timer.cancel()
        if line.startswith("serving "):
            return line.rsplit(" ", 1)[1].strip()
        self._log.seek(0)
        last = self._log.read().strip().splitlines()[-3:]
        raise MeasurementError(f"inference.serve did not start: {' / '.join(last)}")

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._log.close()


class Served:
    """A server of its own for one scenario; a ``tracker.load.target.Target``. Raises as `Server`."""

    def __init__(self, scenario: Scenario) -> None:
        self._server = Server(scenario)
        try:
            self._target = _connected(self._server.url, scenario)
        except BaseException:
            self._server.stop()
            raise
        self.vocab_size = self._target.vocab_size
        self.gpus, self.num_serving = self._target.gpus, self._target.num_serving

    @classmethod
    @contextlib.contextmanager
    def kept(cls) -> Iterator[OpenTarget]:
        """Yield what connects scenarios to one server, started for the first of them."""
        servers: list[Server] = []

        def open_target(scenario: Scenario) -> Target:
            if not servers:
                servers.append(Server(scenario))
            return _connected(servers[0].url, scenario)

        try:
            yield open_target
        finally:
            for server in servers:
                server.stop()

    def drive(self, requests: Sequence[LoadRequest], concurrency: int | None) -> Drive:
        """Run the requests to their ends."""
        return self._target.drive(requests, concurrency)

    def begin(self) -> None:
        """Start the timed part."""
        self._target.begin()

    def finish(self, warm: Drive, done: Drive) -> Observation:
        """Return what client and server saw."""
        return self._target.finish(warm, done)

    def close(self) -> None:
        """Disconnect and end the server."""
        self._target.close()
        self._server.stop()


def _connected(url: str, scenario: Scenario) -> Target:
    # aiohttp is slow to import, and asv imports every suite to find out what there is.
    from tracker.load.http import Endpoint

    return Endpoint(url=url, server_is_measured=True)(scenario)


def _flags(settings: dict[str, Any]) -> list[str]:
    flags: list[str] = []
    for name, value in settings.items():
        plain = name.replace("_", "-")
        if isinstance(value, bool):
            flags.append(f"--{plain}" if value else f"--no-{plain}")
        elif value is not None:
            flags += [f"--{plain}", str(value)]
    return flags
