"""Files of other tools, one small module for each format: docs/formats.md lists them.

`read_file` finds the reader by the file's content, or takes the one that the caller names. What it
returns is the same for every format, so that `tracker ingest FILE` and the runner of foreign
commands share all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tracker.domain import Problem
from tracker.errors import UsageError, did_you_mean
from tracker.readers import (
    aiperf,
    asv,
    bencher,
    csv_table,
    github_action,
    google_benchmark,
    guidellm,
    hyperfine,
    inference_perf,
    llama_bench,
    llmd,
    pyperf,
    pytest_benchmark,
    vllm,
)
from tracker.readers.base import HEAD_BYTES, Given, Reader, Reading

__all__ = ["READERS", "Given", "Reader", "Reading", "find_reader", "read_file", "reader_named"]

READERS: tuple[Reader, ...] = (
    asv.READER,
    vllm.SERVE,
    vllm.THROUGHPUT,
    vllm.LATENCY,
    vllm.SGLANG,
    guidellm.READER,
    aiperf.READER,
    aiperf.RECORDS,
    inference_perf.READER,
    llmd.READER,
    llama_bench.READER,
    llama_bench.BATCHED,
    pytest_benchmark.READER,
    pyperf.READER,
    google_benchmark.READER,
    hyperfine.READER,
    github_action.HISTORY,
    github_action.CUSTOM,
    github_action.BIGGER,
    github_action.SMALLER,
    bencher.READER,
    csv_table.READER,
)


def reader_named(name: str) -> Reader:
    """Return the reader of a format.

    Raises:
        UsageError: There is none of this name; names those there are.
    """
    for reader in READERS:
        if reader.name == name:
            return reader
    raise UsageError(f"no format {name!r}; {did_you_mean(name, [one.name for one in READERS])}")


def find_reader(path: Path, readers: Sequence[Reader] | None = None) -> Reader | Problem:
    """Return the one reader that recognizes the file, or the reason why there is none."""
    readers = READERS if readers is None else readers
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        return Problem(str(path), f"cannot be read: {error.strerror or error}")
    if not head.strip():
        return Problem(str(path), "empty file")
    fitting = [reader for reader in readers if reader.recognizes(path, head)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        names = " and ".join(reader.name for reader in fitting)
        return Problem(str(path), f"could be {names}; say which with --format")
    names = ", ".join(reader.name for reader in readers)
    return Problem(str(path), f"of no format that is known by its content ({names}); see --format")


def read_file(path: Path, given: Given | None = None, *, format: str | None = None) -> Reading:  # noqa: A002
    """Return what a result file of any known format holds.

    Args:
        path: The file.
        given: What is known of it beside its content.
        format: Name of its format; None: by its content.

    Raises:
        UsageError: No such format.
    """
    reader = find_reader(path) if format is None else reader_named(format)
    if isinstance(reader, Problem):
        return Reading(problems=(reader,))
    return reader.read(path, given or Given())
