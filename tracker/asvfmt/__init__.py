"""asv's files, and nothing else: a results directory to `domain` values or `Problem`s.

Reads formats 1 and 2 of result files, `machine.json` and `benchmarks.json` (API version 2), as
asv writes them: bare NaN and Infinity, trailing nulls left out, `null` for failed and NaN for
skipped. What cannot be read becomes a `Problem` that names file, benchmark and reason, and the
rest is read. Milliseconds end here: times are UTC.
"""

from tracker.asvfmt.benchmarks import FILE_NAME, Benchmarks, infer_benchmark, read_benchmarks
from tracker.asvfmt.directory import (
    list_machine_files,
    list_result_files,
    read_machines,
    read_results_dir,
)
from tracker.asvfmt.project import ProjectConfig, find_project, strip_comments
from tracker.asvfmt.resultfile import read_result_file

__all__ = [
    "FILE_NAME",
    "Benchmarks",
    "ProjectConfig",
    "find_project",
    "infer_benchmark",
    "list_machine_files",
    "list_result_files",
    "read_benchmarks",
    "read_machines",
    "read_result_file",
    "read_results_dir",
    "strip_comments",
]
