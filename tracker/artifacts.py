"""Launch artifacts: a header that says what was launched and on what, then requests and telemetry."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from statistics import geometric_mean
from typing import Any

from tracker.domain import Fingerprint, Launch, LaunchTrace, Problem, RequestTimes

FORMAT = 1
_NUMBERS = frozenset({"gpu_count", "num_cpu", "threads"})
_TEXTS = frozenset(field.name for field in fields(Fingerprint)) - _NUMBERS - {"extra"}


def read_launches(directory: Path) -> tuple[list[Launch], list[Problem]]:
    """Return the launches of every `*.jsonl` in a directory, by file name, and what is none."""
    launches: list[Launch] = []
    problems: list[Problem] = []
    try:
        files = sorted(directory.glob("*.jsonl"))
    except OSError as error:
        return [], [Problem(str(directory), f"cannot be read: {error.strerror or error}")]
    for file in files:
        launch = read_launch(file)
        if isinstance(launch, Launch):
            launches.append(launch)
        else:
            problems.append(launch)
    return launches, problems


def read_launch(path: Path) -> Launch | Problem:
    """Return the header of one launch artifact, or why it cannot be read."""
    name = str(path)
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            first = stream.readline()
            digest.update(first)
            while block := stream.read(1 << 20):
                digest.update(block)
    except OSError as error:
        return Problem(name, f"cannot be read: {error.strerror or error}")
    try:
        header = json.loads(first)
    except ValueError:
        return Problem(name, "not a launch artifact: its first line is not JSON")
    if not isinstance(header, dict) or header.get("record") != "launch":
        return Problem(name, "not a launch artifact: its first line is no launch header")
    if header.get("format") != FORMAT:
        reason = f"launch artifact of format {header.get('format')!r}; {FORMAT} is read"
        return Problem(name, reason)
    missing = [key for key in ("launch_id", "benchmark") if not isinstance(header.get(key), str)]
    if missing:
        return Problem(name, f"launch header without {' and '.join(missing)}")
    facts = header.get("fingerprint")
    if not isinstance(facts, dict):
        return Problem(name, "launch header without a fingerprint")
    return Launch(
        path=name,
        digest=digest.hexdigest(),
        launch_id=header["launch_id"],
        benchmark=header["benchmark"],
        fingerprint=fingerprint_of(facts),
        header=header,
    )


def read_requests(path: Path) -> list[RequestTimes] | None:
    """Return the times of an artifact's requests that gave a token; None where the file is gone."""
    trace = read_trace(path)
    return None if trace is None else list(trace.requests)


def read_trace(path: Path, *, digest: str | None = None) -> LaunchTrace | None:
    """Return the requests and telemetry of an artifact; None where the file is gone.

    A line that cannot be read ends both: the rest was never written.

    Args:
        path: Of the artifact.
        digest: sha256 of the bytes that are wanted, hex; any others count as gone.
    """
    try:
        content = path.read_bytes()
    except OSError:
        return None
    if digest is not None and hashlib.sha256(content).hexdigest() != digest:
        return None
    requests: list[RequestTimes] = []
    telemetry: list[dict[str, object]] = []
    try:
        for line in content.splitlines():
            entry = json.loads(line)
            if entry.get("record") == "telemetry":
                telemetry.append(entry)
            elif entry.get("record") == "request":
                times = RequestTimes(
                    entry["submitted"],
                    tuple(entry["token_times"]),
                    tuple(entry.get("chunk_times", ())),
                    streamed=entry.get("streamed", True),
                )
                if times.arrivals:
                    requests.append(times)
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    return LaunchTrace(tuple(requests), tuple(telemetry))


def control_seconds(header: Mapping[str, Any]) -> dict[str, float]:
    """Return the seconds of each part of the control workload; empty where the launch ran none.

    The geometric mean of before and after the load.
    """
    control = header.get("control")
    sides = (
        [s for s in control.values() if isinstance(s, dict)] if isinstance(control, dict) else []
    )
    if not sides:
        return {}
    return {
        part: geometric_mean(side[part] for side in sides)
        for part in sides[0]
        if all(isinstance(s.get(part), int | float) and 0 < s[part] < math.inf for s in sides)
    }


def fingerprint_of(facts: Mapping[str, Any]) -> Fingerprint:
    """Return the fingerprint written in a header; keys it has no field for go to `extra`.

    What has the wrong type is not known: it is left out rather than guessed.
    """
    known: dict[str, Any] = {}
    extra: dict[str, str] = {}
    for key, value in facts.items():
        if value is None:
            continue
        if key in _NUMBERS:
            if isinstance(value, int) and not isinstance(value, bool):
                known[key] = value
        elif key in _TEXTS:
            known[key] = str(value)
        elif key == "extra" and isinstance(value, dict):
            extra |= {str(name): str(item) for name, item in value.items()}
        elif isinstance(value, str | int | float):
            extra[str(key)] = str(value)
    return Fingerprint(**known, extra=tuple(sorted(extra.items())))
