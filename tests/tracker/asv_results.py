"""Results directories as asv writes them, small, for tests to read and to break."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

COLUMNS = [
    "result",
    "params",
    "version",
    "started_at",
    "duration",
    "stats_ci_99_a",
    "stats_ci_99_b",
    "stats_q_25",
    "stats_q_75",
    "stats_number",
    "stats_repeat",
    "samples",
    "profile",
]
DAY = 86_400_000  # milliseconds
COMMITTED = 1_700_000_000_000  # of commit 0, in milliseconds


def commit_hash(number: int) -> str:
    return f"{number:08x}" + "c" * 32


def row(value: Any, *, started: int = COMMITTED, version: str = "1", **columns: Any) -> list[Any]:
    """Return a row of format 2 with one parameter point, or with those of `params`."""
    cells: dict[str, Any] = dict.fromkeys(COLUMNS)
    cells |= {"result": value if isinstance(value, list) else [value], "params": []}
    cells |= {"version": version, "started_at": started, "duration": 0.5} | columns
    kept = [cells[column] for column in COLUMNS]
    while kept[-1] is None:  # as asv does
        kept.pop()
    return kept


def result_file(
    number: int, results: dict[str, Any], *, env_name: str = "virtualenv-py3.11", **fields: Any
) -> dict[str, Any]:
    return {
        "commit_hash": commit_hash(number),
        "env_name": env_name,
        "date": COMMITTED + number * DAY,
        "params": {"machine": "box", "python": "3.11", "cpu": "abacus", "num_cpu": "2"},
        "python": "3.11",
        "requirements": {"numpy": "2.0"},
        "env_vars": {},
        "result_columns": COLUMNS,
        "results": results,
        "durations": {},
        "version": 2,
    } | fields


def write_file(root: Path, number: int, content: dict[str, Any] | str) -> Path:
    folder = root / "box"
    folder.mkdir(parents=True, exist_ok=True)
    env_name = content.get("env_name", "env") if isinstance(content, dict) else "env"
    path = folder / f"{commit_hash(number)[:8]}-{env_name}.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def write_machine(root: Path) -> None:
    folder = root / "box"
    folder.mkdir(parents=True, exist_ok=True)
    facts = {"machine": "box", "arch": "x86_64", "cpu": "abacus", "version": 1}
    (folder / "machine.json").write_text(json.dumps(facts))


def write_benchmarks(root: Path, entries: dict[str, dict[str, Any]], version: int = 2) -> None:
    root.mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = {
        name: {"name": name, "type": "time", "unit": "seconds", "version": "1"} | entry
        for name, entry in entries.items()
    }
    (root / "benchmarks.json").write_text(json.dumps(content | {"version": version}))


def write_project(root: Path, num_commits: int, num_benchmarks: int = 4) -> Path:
    """Write a results directory of `num_commits` files and return it."""
    write_machine(root)
    names = [f"bench.Suite.time_{index}" for index in range(num_benchmarks)]
    write_benchmarks(root, {name: {} for name in names})
    for number in range(num_commits):
        started = COMMITTED + number * DAY
        rows = {
            name: row(1.0 + number + index / 7, started=started, samples=[[1.0, 2.0, number]])
            for index, name in enumerate(names)
        }
        write_file(root, number, result_file(number, rows))
    return root
