"""``make peers``: set the peers up, send each the same load, write the table.

Exit codes: 0 measured; 4 a server could not be measured, or the client's times are not those of a bare socket.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.peers.capacity import carried
from benchmarks.peers.servers import MOCK, SERVERS, running
from benchmarks.peers.table import as_markdown, write
from tracker.errors import MeasurementError, PacekeeperError
from tracker.fingerprint import cpu_model
from tracker.load.metrics import Values
from tracker.load.run import run_scenario
from tracker.load.spec import scenario_of
from tracker.load.target import OpenTarget

PAGE = Path(__file__).parents[2] / "docs" / "http.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for, write the table, return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--only", action="append", metavar="NAME", help="this server; repeatable")
    parser.add_argument("--mock", action="store_true", help="only check the client's times")
    parser.add_argument("--no-capacity", action="store_true", help="leave the clients out")
    options = parser.parse_args(arguments)
    wrong = _check_client()
    for text in wrong:
        sys.stderr.write(f"error: {text}\n")
    if options.mock:
        return MeasurementError.exit_code if wrong else 0
    results: dict[tuple[str, int], Values] = {}
    problems: dict[str, str] = {}
    for server in SERVERS:
        if options.only and server.name not in options.only:
            continue
        try:
            with running(server) as url:
                for at_once in (1, 8):
                    results[server.name, at_once] = _measure(url, at_once)
        except PacekeeperError as error:
            problems[server.name] = str(error)
            sys.stderr.write(f"{server.name}: {error}\n")
    clients = [] if options.no_capacity else carried()
    text = as_markdown(_where(), results, problems, clients)
    sys.stdout.write(text)
    write(PAGE, text)
    return MeasurementError.exit_code if problems or wrong else 0


def _endpoint(url: str) -> OpenTarget:
    # aiohttp is slow to import, and asv imports every module here to find benchmarks.
    from tracker.load.http import Endpoint

    return Endpoint(url=url)


def _measure(url: str, at_once: int) -> Values:
    table = {
        "requests": 16 * at_once,
        "prompt": 48,
        "output": 32,
        "text": True,
        "load": {"concurrency": at_once},
        "limit": 600.0,
    }
    result = run_scenario("peers", scenario_of("peers", table), _endpoint(url))
    if result.void is not None:
        raise MeasurementError(result.void)
    return result.metrics


def _check_client() -> list[str]:
    """Return where the client's times are not those that a bare socket sees on the mock server."""
    # aiohttp is slow to import, and asv imports every module here to find benchmarks.
    from benchmarks.peers.client_check import TOLERANCE, check_client

    try:
        bare, client = check_client()
    except PacekeeperError as error:
        return [str(error)]
    wrong = []
    for name, seconds in bare.items():
        text = f"{name} is {client[name] * 1e3:.2f} ms, by a bare socket {seconds * 1e3:.2f} ms"
        sys.stdout.write(f"{MOCK.name}: {text}\n")
        if abs(client[name] - seconds) > TOLERANCE:
            wrong.append(f"{MOCK.name}: {text}")
    return wrong


def _where() -> str:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    day = datetime.now(UTC).date().isoformat()
    return f"SmolLM2-135M in float32, one thread, 48 words in and 32 tokens out, greedy; {cpu_model()}; {day}, {commit}."


if __name__ == "__main__":
    sys.exit(main())
