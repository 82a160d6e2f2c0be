"""A production trace file to requests: Azure's CSV or Mooncake's JSON lines.

CSV columns: ``TIMESTAMP`` (ISO 8601), ``ContextTokens``, ``GeneratedTokens``. JSON lines:
``timestamp`` (ms), ``input_length``, ``output_length`` and, optionally, ``hash_ids``: the ids of the
prompt's 512-token blocks, where equal ids at the front of two prompts are a shared prefix.
"""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tracker.load.errors import TraceError

__all__ = ["BLOCK_TOKENS", "TraceRow", "prompt_of", "read_trace", "scaled_arrivals"]

BLOCK_TOKENS = 512  # of a Mooncake hash id


@dataclass(frozen=True, slots=True)
class TraceRow:
    """One request of a trace.

    Attributes:
        at: Seconds after the trace's first request.
        prompt_tokens, output_tokens: Lengths as recorded, at least 1 each.
        blocks: Ids of the prompt's blocks; empty where the trace has none.
    """

    at: float
    prompt_tokens: int
    output_tokens: int
    blocks: tuple[int, ...] = ()


def read_trace(path: Path, count: int) -> list[TraceRow]:
    """Return the first ``count`` requests of the file at ``path``, in its order.

    Raises:
        TraceError: The file is missing, empty, or a line is not of either format; names the line.
    """
    if not path.is_file():
        raise TraceError(f"no trace file at {path}; PACEKEEPER_TRACE names it")
    with path.open(encoding="utf-8", newline="") as file:
        first = file.readline()
        file.seek(0)
        rows = _json_rows(file) if first.lstrip().startswith("{") else _csv_rows(file)
        found: list[TraceRow] = []
        try:
            found.extend(itertools.islice(rows, count))
        except (KeyError, TypeError, ValueError) as error:
            # extend keeps what came before the fault, so its length is the place.
            raise TraceError(
                f"{path}: request {len(found) + 1} cannot be read ({error!r}); known are Azure's CSV "
                "(TIMESTAMP,ContextTokens,GeneratedTokens) and Mooncake's JSON lines"
            ) from error
    if not found:
        raise TraceError(f"{path} holds no requests")
    start = found[0].at
    return [
        TraceRow(row.at - start, row.prompt_tokens, row.output_tokens, row.blocks) for row in found
    ]


def scaled_arrivals(rows: list[TraceRow], rate: float) -> list[float]:
    """Return the rows' arrival times stretched so that their mean rate is ``rate`` a second.

    The pattern of bursts stays; all arrive at 0 where the trace has no time between them.
    """
    last = rows[-1].at
    stretch = (len(rows) - 1) / rate / last if last > 0 else 0.0
    return [row.at * stretch for row in rows]


def prompt_of(
    row: TraceRow, length: int, *, index: int, block_tokens: int, vocab_size: int, seed: int
) -> tuple[int, ...]:
    """Return a prompt of ``length`` token ids for ``row``.

    Equal block ids give equal tokens, so that prompts share the prefixes they shared in
    production; without block ids the tokens are the request's own.

    Args:
        row: The trace's request.
        length: Tokens of the prompt.
        index: The request's place, which keeps prompts without blocks apart.
        block_tokens: Tokens a block stands for here (512 times the scale), >= 1.
        vocab_size: Token ids are drawn below it.
        seed: Of the tokens.
    """
    tokens: list[int] = []
    for block in row.blocks:
        if len(tokens) >= length:
            break
        rng = random.Random(_mix(seed, "block", block))
        tokens += [rng.randrange(vocab_size) for _ in range(block_tokens)]
    rng = random.Random(_mix(seed, "request", index))
    tokens += [rng.randrange(vocab_size) for _ in range(length - len(tokens))]
    return tuple(tokens[:length])


def _mix(*parts: object) -> int:
    # hash() of a string differs between processes, so it cannot seed anything.
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "big")


def _json_rows(lines: Iterator[str]) -> Iterator[TraceRow]:
    for line in lines:
        if not line.strip():
            continue
        row: dict[str, Any] = json.loads(line)
        yield TraceRow(
            float(row["timestamp"]) / 1000.0,
            _count(row["input_length"]),
            _count(row["output_length"]),
            tuple(int(block) for block in row.get("hash_ids", ())),
        )


def _csv_rows(lines: Iterator[str]) -> Iterator[TraceRow]:
    for row in csv.DictReader(lines):
        # Azure writes seven digits of a second's fraction; datetime reads six.
        stamp = re.sub(r"(\.\d{6})\d+", r"\1", row["TIMESTAMP"])
        yield TraceRow(
            datetime.fromisoformat(stamp).timestamp(),
            _count(row["ContextTokens"]),
            _count(row["GeneratedTokens"]),
        )


def _count(value: object) -> int:
    return max(int(value), 1)  # type: ignore[call-overload,no-any-return]
