"""`benchmarks.json`: what a suite says of its benchmarks."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from tracker.asvfmt.jsonfile import is_storable, read_object
from tracker.domain import BenchmarkInfo, Better, Kind, Problem

API_VERSION = 2
FILE_NAME = "benchmarks.json"

# Type -> (unit, whether asv's own types say "less is better").
_TYPES = {
    "time": ("seconds", True),
    "timeraw": ("seconds", True),
    "memory": ("bytes", True),
    "peakmemory": ("bytes", True),
    "track": ("unit", False),
}
_PREFIXES = (
    ("timeraw_", "timeraw"),
    ("time_", "time"),
    ("peakmem_", "peakmemory"),
    ("mem_", "memory"),
    ("track_", "track"),
)


@dataclass(frozen=True, slots=True)
class Benchmarks:
    """What a results directory says of its benchmarks, by name, and what it says wrongly."""

    infos: dict[str, BenchmarkInfo] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


def read_benchmarks(results_dir: Path) -> Benchmarks:
    """Return the benchmarks of a results directory.

    Direction, kind and step come from attributes of the benchmark function (`better`, `kind`,
    `step`). Without them time and memory are better lower, a `track_` benchmark has no
    direction, times are of kind "timing" and everything else "other". An attribute that makes
    no sense becomes a `Problem`, and the default holds.
    """
    path = results_dir / FILE_NAME
    if not path.exists():
        return Benchmarks()
    content = read_object(path)
    if isinstance(content, Problem):
        return Benchmarks(problems=(content,))
    version = content.data.get("version")
    problems: list[Problem] = []
    if version != API_VERSION:
        reason = f"API version {version!r}, not {API_VERSION}; units come from benchmark names"
        return Benchmarks(problems=(Problem(str(path), reason),))
    infos = {}
    for name, entry in content.data.items():
        if name == "version":
            continue
        if not isinstance(entry, dict) or not is_storable(name):
            problems.append(Problem(str(path), "not the description of a benchmark", name))
            continue
        infos[name] = _read_entry(str(path), name, entry, problems)
    return Benchmarks(infos, tuple(problems))


def infer_benchmark(name: str, version: str) -> BenchmarkInfo:
    """Return what the name alone says of a benchmark that benchmarks.json does not list."""
    return _default(name, version, _type_of(name))


def _type_of(name: str) -> str:
    last = name.rpartition(".")[2].lower()
    return next((type_ for prefix, type_ in _PREFIXES if last.startswith(prefix)), "track")


def _default(name: str, version: str, asv_type: str) -> BenchmarkInfo:
    unit, lower_is_better = _TYPES.get(asv_type, ("unit", False))
    return BenchmarkInfo(
        name=name,
        version=version,
        type=asv_type,
        unit=unit,
        better="lower" if lower_is_better else None,
        kind="timing" if asv_type in ("time", "timeraw") else "other",
    )


def _read_entry(
    path: str, name: str, entry: dict[str, Any], problems: list[Problem]
) -> BenchmarkInfo:
    def wrong(attribute: str, meaning: str) -> None:
        reason = f"{attribute} is {entry[attribute]!r}, not {meaning}; ignored"
        problems.append(Problem(path, reason, name))

    asv_type = _text(entry.get("type")) or _type_of(name)
    if len(asv_type) > 16:
        wrong("type", "a type of asv's")
        asv_type = _type_of(name)
    default = _default(name, _text(entry.get("version")) or "", asv_type)
    better: Better | None = default.better
    if "better" in entry:
        if entry["better"] in get_args(Better):
            better = entry["better"]
        else:
            wrong("better", 'one of "lower", "higher"')
    kind: Kind = default.kind
    if "kind" in entry:
        if entry["kind"] in get_args(Kind):
            kind = entry["kind"]
        else:
            wrong("kind", "one of " + ", ".join(f'"{one}"' for one in get_args(Kind)))
    step = 0.0
    if "step" in entry:
        given = entry["step"]
        number = isinstance(given, int | float) and not isinstance(given, bool)
        if number and 0 <= given < math.inf:
            step = float(given)
        else:
            wrong("step", "a number of at least 0")
    names = entry.get("param_names")
    return BenchmarkInfo(
        name=name,
        version=default.version,
        type=asv_type,
        unit=_text(entry.get("unit")) or default.unit,
        better=better,
        kind=kind,
        param_names=tuple(str(name) for name in names) if isinstance(names, list) else (),
        step=step,
    )


def _text(raw: Any) -> str | None:
    if isinstance(raw, bool) or not isinstance(raw, str | int | float):
        return None
    text = str(raw)
    return text if text and is_storable(text) else None
