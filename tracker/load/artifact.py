"""The JSON-lines file of a launch: a header, then a line for each request and telemetry sample."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tracker.load.drive import Drive
from tracker.load.metrics import total
from tracker.load.records import RequestRecord

__all__ = ["FORMAT", "artifact_directory", "request_line", "work_of", "write_artifact"]

FORMAT = 1


def artifact_directory() -> Path | None:
    """Return the directory that ``PACEKEEPER_ARTIFACTS`` names; None: write nothing."""
    named = os.environ.get("PACEKEEPER_ARTIFACTS")
    return Path(named).expanduser() if named else None


def work_of(done: Drive) -> dict[str, Any]:
    """Return what was done, counted and digested: equal for launches that did the same work.

    ``prompts_sha256`` says whether the same load was given, ``tokens_sha256`` whether the same
    tokens came out. ``cached_tokens`` are prompt tokens found in the prefix cache: how the work was
    done rather than what it was, so that a loss of them can be called a regression.
    """
    return {
        "requests": len(done.records),
        "prompt_tokens": total(r.prompt_tokens for r in done.records),
        "output_tokens": total(r.output_tokens for r in done.records),
        "cached_tokens": total(r.cached_tokens for r in done.records),
        "finish_reasons": dict(sorted(Counter(str(r.finish_reason) for r in done.records).items())),
        "prompts_sha256": _digest(done.prompts),
        "tokens_sha256": _digest(done.outputs),
    }


def request_line(record: RequestRecord, offset: float) -> dict[str, Any]:
    """Return a request's line; times in seconds from the launch's start.

    Args:
        record: Times of which count from the load's start.
        offset: The load's start, seconds after the launch's.
    """
    line = {
        "record": "request",
        "index": record.index,
        "prompt_tokens": record.prompt_tokens,
        "output_tokens": record.output_tokens,
        "cached_tokens": record.cached_tokens,
        "submitted": round(record.submitted + offset, 9),
        "token_times": [round(t + offset, 9) for t in record.token_times],
        "finish_reason": record.finish_reason,
        "error": record.failure,
    }
    if record.lag is not None:  # over HTTP
        chunks = () if record.chunk_times == record.token_times else record.chunk_times
        line["chunk_times"] = [round(t + offset, 9) for t in chunks]
        line["streamed"] = record.streamed
        line["error_kind"] = record.failure_kind
        line["lag"] = round(record.lag, 9)
        line["read_delay_max"] = round(max(record.read_delays, default=0.0), 9)
    return line


def write_artifact(
    directory: Path, header: dict[str, Any], lines: Iterable[dict[str, Any]]
) -> Path:
    """Write a launch's file whole or not at all, and return its path.

    Args:
        directory: Made if it is not there.
        header: With ``benchmark`` and ``launch_id``, which name the file.
        lines: What follows the header.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{header['benchmark']}-{header['launch_id']}.jsonl"
    partial = path.with_suffix(".partial")
    with partial.open("w", encoding="utf-8") as file:
        for line in [header, *lines]:
            # NaN is no JSON; a number that is not there is null.
            file.write(json.dumps(line, allow_nan=False) + "\n")
    partial.replace(path)
    return path


def _digest(items: Sequence[tuple[int, ...] | str]) -> str:
    digest = hashlib.sha256()
    for item in items:
        plain = item if isinstance(item, str) else list(item)
        digest.update(json.dumps(plain).encode() + b"\n")
    return digest.hexdigest()
