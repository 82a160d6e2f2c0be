"""hyperfine's `--export-json`: seconds; runs whose exit code is not 0 failed and give no time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from statistics import median
from typing import Any

from tracker.readers.content import has_keys
from tracker.readers.tool import ToolReader, ToolRun, number, seconds

__all__ = ["READER"]


def _parse(document: Any) -> Iterator[ToolRun]:
    values, problems = [], []
    for result in document["results"]:
        command, times = str(result["command"]), result["times"]
        codes = result.get("exit_codes") or [0] * len(times)
        succeeded = tuple(
            number(time, "a time") for time, code in zip(times, codes, strict=True) if code == 0
        )
        if len(succeeded) < len(times):
            failed = len(times) - len(succeeded)
            problems.append(
                (command, f"{failed} of {len(times)} runs failed; their times are left out")
            )
        params = tuple((result.get("parameters") or {}).items())
        if succeeded:
            values.append(
                seconds(
                    command,
                    median(succeeded),
                    params=params,
                    samples=succeeded,
                    number=1,
                    repeat=len(succeeded),
                )
            )
        else:
            failure = seconds(command, None, params=params)
            values.append(replace(failure, status="failed", params=params))
    yield ToolRun(tuple(values), document, problems=tuple(problems))


READER = ToolReader(
    "hyperfine",
    lambda head: has_keys(head, "results", "command", "mean", "median", "user", "system"),
    _parse,
)
