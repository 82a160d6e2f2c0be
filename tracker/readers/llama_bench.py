"""llama.cpp's `llama-bench -o json|jsonl|csv` and `llama-batched-bench` lines.

`build_commit` is the commit that was measured, abbreviated. A test is a prompt (`n_gen` 0), a
generation (`n_prompt` 0), or both.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

from tracker.readers.content import has_keys, json_lines
from tracker.readers.tool import ToolReader, ToolRun, moment, number, rate

__all__ = ["BATCHED", "READER"]

_PARAMS = (
    "model_type",
    "n_prompt",
    "n_gen",
    "n_depth",
    "n_threads",
    "n_gpu_layers",
    "n_batch",
    "n_ubatch",
    "type_k",
    "type_v",
    "flash_attn",
)
_BATCHED_PARAMS = (
    "pp",
    "tg",
    "pl",
    "is_pp_shared",
    "n_batch",
    "n_ubatch",
    "n_threads",
    "n_gpu_layers",
    "flash_attn",
)
_WHOLE = frozenset(_PARAMS) - {"model_type", "type_k", "type_v"}  # numbers, in CSV as text


def _parse(rows: Any) -> Iterator[ToolRun]:
    for row in rows:
        kind = "prompt" if not int(row["n_gen"]) else "generate"
        if int(row["n_prompt"]) and int(row["n_gen"]):
            kind = "prompt_and_generate"
        samples = tuple(number(one, "a sample") for one in row.get("samples_ts") or ())
        average = float(row["avg_ts"])
        yield ToolRun(
            values=(rate(kind, average, "tokens/s", samples=samples, repeat=len(samples) or None),),
            source=row,
            params=tuple(_params(row)),
            commit=row["build_commit"],
            measured_at=moment(row["test_time"]),
            machine_fields={"cpu": row["cpu_info"]} if row.get("cpu_info") else {},
            facts={key: row[key] for key in ("gpu_info", "backends") if row.get(key)},
        )


def _params(row: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    for key in _PARAMS:
        if key in row:
            yield key, _number_of(row[key]) if key in _WHOLE else row[key]


def _number_of(raw: Any) -> Any:
    """CSV says 0 and 1 where JSON has false and true, or numbers as text."""
    return int(raw) if isinstance(raw, bool | str) and str(raw).lstrip("-").isdigit() else raw


def _rows(text: str) -> list[Any]:
    if text.lstrip().startswith(("{", "[")):
        return json_lines(text)
    return list(csv.DictReader(io.StringIO(text)))


def _batched(rows: Any) -> Iterator[ToolRun]:
    for row in rows:
        yield ToolRun(
            values=(
                rate("prompt", row["speed_pp"], "tokens/s"),
                rate("generate", row["speed_tg"], "tokens/s"),
                rate("total", row["speed"], "tokens/s"),
            ),
            source=row,
            params=tuple((key, row[key]) for key in _BATCHED_PARAMS if key in row),
        )


READER = ToolReader(
    "llama-bench",
    lambda head: has_keys(head, "build_commit", "avg_ts") or _is_csv(head),
    _parse,
    load=_rows,
)
BATCHED = ToolReader(
    "llama-batched-bench",
    lambda head: has_keys(head, "n_kv_max", "speed_pp", "speed_tg"),
    _batched,
    load=json_lines,
)


def _is_csv(head: bytes) -> bool:
    columns = head.partition(b"\n")[0].strip().replace(b'"', b"").split(b",")
    return {b"build_commit", b"avg_ts", b"n_prompt"} <= set(columns)
