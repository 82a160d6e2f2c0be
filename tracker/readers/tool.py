"""What the readers of foreign tools share: loading, refusing, and the way to the domain's values.

A module of a format gives a `ToolReader` two functions: what recognizes the content, and what
takes a loaded document apart into `ToolRun`s. Everything else, the same for all, is done here.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tracker.domain import (
    BenchmarkInfo,
    Better,
    Kind,
    Measurement,
    Problem,
    ResultFile,
    ResultStatus,
)
from tracker.readers.base import Given, Reading
from tracker.readers.units import to_base

__all__ = ["NotReadable", "ToolReader", "ToolRun", "Value", "moment", "number", "rate", "seconds"]

MAX_BYTES = 256 * 1024 * 1024

Parse = Callable[[Any], Iterable["ToolRun"]]
Load = Callable[[str], Any]


class NotReadable(ValueError):  # noqa: N818
    """A document that a reader refuses; its message is the reason."""


@dataclass(frozen=True, slots=True)
class Value:
    """One metric of one run, in base units.

    Attributes:
        metric: Its name within the tool.
        value: None: it failed, or `status` says why it is missing.
        params: (name, value) of what was varied or set, part of the series' identity.
        samples: What the value summarizes, in the order it was measured.
    """

    metric: str
    value: float | None
    unit: str
    better: Better | None
    kind: Kind = "other"
    params: tuple[tuple[str, object], ...] = ()
    samples: tuple[float, ...] | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    q25: float | None = None
    q75: float | None = None
    number: int | None = None
    repeat: int | None = None
    status: ResultStatus = "failed"  # where there is no value


@dataclass(frozen=True, slots=True)
class ToolRun:
    """One run of a tool, as a file records it. None: the file does not say.

    Attributes:
        source: The part of the document that identifies this run.
        params: Set for all values of the run.
        facts: What else of the environment may move a number.
        machine_fields: As asv's machine.json: cpu, num_cpu, os.
        problems: (metric or None, reason) of what could not be read in it.
    """

    values: tuple[Value, ...]
    source: object
    params: tuple[tuple[str, object], ...] = ()
    tool_version: str | None = None
    commit: str | None = None
    committed_at: datetime | None = None
    measured_at: datetime | None = None
    machine: str | None = None
    python: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    machine_fields: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[tuple[str | None, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ToolReader:
    """The reader of a foreign tool's format.

    Attributes:
        name: What `--format` calls it; benchmarks are named `name.metric`.
        fits: Whether the first bytes of a file are of this format.
        parse: The loaded document to runs; raises `NotReadable` with a reason.
        load: Text to the document; JSON unless stated.
        benchmarks: Prefix of the benchmarks' names, where it is not the format's name.
        named: Whether a file's name is one of this format's, for formats of equal content.
    """

    name: str
    fits: Callable[[bytes], bool]
    parse: Parse
    load: Load = field(default=lambda text: json.loads(text))
    benchmarks: str | None = None
    named: Callable[[str], bool] = field(default=lambda name: True)

    def recognizes(self, path: Path, head: bytes) -> bool:
        return self.named(path.name) and self.fits(head)

    def read(self, path: Path, given: Given = Given()) -> Reading:  # noqa: B008
        """Return every run of the file that names its commit, time and machine, or is given them."""
        try:
            runs = list(self.parse(self._load(path)))
            if not runs:
                raise NotReadable("it holds no run")
        except NotReadable as error:
            return Reading(problems=(Problem(str(path), f"{self.name}: {error}"),))
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            message = f"no {error}" if isinstance(error, KeyError) else str(error)
            reason = f"not a file of {self.name} as this version reads it: {message}"
            return Reading(problems=(Problem(str(path), reason),))
        files: list[ResultFile] = []
        infos: dict[str, BenchmarkInfo] = {}
        problems: list[Problem] = []
        for run in runs:
            file = self._file(path, run, given, infos)
            (files if isinstance(file, ResultFile) else problems).append(file)  # type: ignore[arg-type]
        problems += [problem for file in files for problem in file.problems]
        return Reading(tuple(files), infos, tuple(dict.fromkeys(problems)))

    def _load(self, path: Path) -> Any:
        try:
            if path.stat().st_size > MAX_BYTES:
                raise NotReadable(f"larger than {MAX_BYTES >> 20} MiB")
            text = path.read_text(encoding="utf-8-sig")
        except OSError as error:
            raise NotReadable(f"cannot be read: {error.strerror or error}") from None
        except UnicodeDecodeError:
            raise NotReadable("not text in UTF-8") from None
        try:
            return self.load(text)
        except json.JSONDecodeError as error:
            end = error.pos >= len(error.doc.rstrip()) or "Unterminated" in error.msg
            where = "the file ends in the middle" if end else f"{error.msg} at line {error.lineno}"
            raise NotReadable(f"not JSON: {where}") from None
        except RecursionError:
            raise NotReadable("nested too deeply") from None

    def _file(
        self, path: Path, run: ToolRun, given: Given, infos: dict[str, BenchmarkInfo]
    ) -> ResultFile | Problem:
        commit, committed_at = given.commit or run.commit, given.committed_at
        if commit is None:
            return Problem(str(path), "the file names no commit; give --commit")
        if commit == run.commit and committed_at is None:
            committed_at = run.committed_at
        known = None
        if given.find_commit and (committed_at is None or not _is_whole(commit)):
            known = given.find_commit(commit)
        if known is not None:
            commit, committed_at = known.commit, committed_at or known.committed_at
        if not _is_whole(commit):
            reason = f"its commit {commit} is abbreviated; read it inside the project's repository"
            return Problem(str(path), f"{reason}, or give --commit with the whole hash")
        if committed_at is None:
            reason = f"when commit {commit[:10]} was made is not known; read the file inside the"
            return Problem(str(path), f"{reason} project's repository, or give --committed-at")
        machine = given.machine or run.machine
        if machine is None:
            return Problem(str(path), "the file names no machine; give --machine")
        environment = given.environment or self.name
        measured_at = given.measured_at or run.measured_at
        version = given.tool_version or run.tool_version or ""
        problems = [Problem(str(path), reason, metric) for metric, reason in run.problems]
        measurements = [
            self._measurement(value, run, version, measured_at, infos) for value in run.values
        ]
        counts: Counter[str] = Counter()
        for place, measurement in enumerate(measurements):
            measurements[place] = replace(measurement, param_index=counts[measurement.benchmark])
            counts[measurement.benchmark] += 1
        identity = json.dumps(
            [run.source, commit, machine, environment, version, str(given.measured_at or "")],
            sort_keys=True,
            default=str,
        )
        return ResultFile(
            path=str(path),
            digest=hashlib.sha256(f"{self.name} {identity}".encode()).hexdigest(),
            format_version=0,
            machine=_storable(machine),
            commit=commit.lower(),
            committed_at=committed_at,
            env_name=environment,
            python=run.python,
            requirements=dict(run.facts),
            machine_fields=dict(run.machine_fields),
            measurements=tuple({(m.benchmark, m.params): m for m in measurements}.values()),
            problems=tuple(problems),
        )

    def _measurement(
        self,
        value: Value,
        run: ToolRun,
        version: str,
        measured_at: datetime | None,
        infos: dict[str, BenchmarkInfo],
    ) -> Measurement:
        params = (*run.params, *value.params)
        name = _storable(f"{self.benchmarks or self.name}.{value.metric}")
        infos.setdefault(
            name,
            BenchmarkInfo(
                name=name,
                version=version,
                type="track",
                unit=_storable(value.unit),
                better=value.better,
                kind=value.kind,
            ),
        )
        finite = value.value is not None and math.isfinite(value.value)
        return Measurement(
            benchmark=name,
            version=version,
            param_index=0,
            # They name themselves: which settings a tool states differs from run to run.
            params=tuple(_storable(f"{key}={item}") for key, item in params if item is not None),
            status="ok" if finite else value.status,
            value=value.value if finite else None,
            ci_low=value.ci_low,
            ci_high=value.ci_high,
            q25=value.q25,
            q75=value.q75,
            number=value.number,
            repeat=value.repeat,
            samples=value.samples or None,
            started_at=measured_at,
        )


def seconds(
    metric: str, raw: object, unit: str = "s", *, zero_is_missing: bool = False, **more: Any
) -> Value:
    """Return a time, of which less is better.

    Args:
        metric: Its name.
        raw: What the file holds, in `unit`; null is missing.
        unit: As `to_base` takes it.
        zero_is_missing: The tool writes 0 where it had no sample.
        more: Of `Value`; samples, interval and quartiles are in `unit`, too.
    """
    given = None if raw is None else number(raw, metric)
    if given is None or (zero_is_missing and given == 0):
        params = more.get("params", ())
        return Value(metric, None, "s", "lower", "timing", params=params, status="skipped")
    scaled = Value(metric, to_base(given, unit)[0], "s", "lower", "timing", **more)
    factor = to_base(1.0, unit)[0]
    if factor == 1:
        return scaled

    def base(part: float | None) -> float | None:
        return None if part is None else part * factor

    return replace(
        scaled,
        samples=None
        if scaled.samples is None
        else tuple(sample * factor for sample in scaled.samples),
        ci_low=base(scaled.ci_low),
        ci_high=base(scaled.ci_high),
        q25=base(scaled.q25),
        q75=base(scaled.q75),
    )


def rate(metric: str, raw: object, unit: str, **more: Any) -> Value:
    """Return a rate of useful work, of which more is better; null is missing, 0 is a value."""
    if raw is None:
        return Value(metric, None, to_base(0.0, unit)[1], "higher", "rate", status="skipped")
    value, base = to_base(number(raw, metric), unit)
    return Value(metric, value, base, "higher", "rate", **more)


def number(raw: object, what: str) -> float:
    """Return a number.

    Raises:
        NotReadable: It is none.
    """
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise NotReadable(f"{what} is {raw!r}, not a number")
    return float(raw)


def moment(raw: object) -> datetime | None:
    """Return a moment from ISO text or seconds since 1970; None for anything else.

    A time without a zone is taken as UTC: it only distinguishes and orders runs.
    """
    try:
        if isinstance(raw, int | float) and not isinstance(raw, bool):
            return datetime.fromtimestamp(raw, UTC)
        parsed = datetime.fromisoformat(str(raw))
    except (ValueError, OverflowError, OSError):
        return None
    return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _is_whole(commit: str) -> bool:
    digits = set("0123456789abcdef")
    return len(commit) in (40, 64) and set(commit.lower()) <= digits


def _storable(text: str) -> str:
    """Return text as a database can hold it: what it cannot becomes an escape."""
    text = text.replace("\0", "\\x00")
    return text.encode("utf-8", "backslashreplace").decode()
