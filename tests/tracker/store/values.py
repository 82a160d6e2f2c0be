"""Result files as values, for tests that write without reading a directory."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from tracker.domain import BenchmarkInfo, Measurement, ResultFile, ResultStatus

START = datetime(2024, 1, 1, tzinfo=UTC)
BENCHMARKS = {
    "b.time_x": BenchmarkInfo("b.time_x", "1", "time", "seconds", "lower", "timing"),
    "b.track_y": BenchmarkInfo(
        "b.track_y", "1", "track", "tokens/s", "higher", "rate", ("n", "mode")
    ),
}


def commit(number: int) -> str:
    return f"{number:08x}" + "a" * 32


def committed_at(number: int) -> datetime:
    return START + timedelta(days=number)


def measurement(
    value: float | None,
    *,
    benchmark: str = "b.time_x",
    params: tuple[str, ...] = (),
    minute: int | None = 0,
    status: ResultStatus | None = None,
    version: str = "1",
    number: int = 0,
    samples: tuple[float, ...] | None = None,
) -> Measurement:
    started = None if minute is None else committed_at(number) + timedelta(minutes=minute)
    return Measurement(
        benchmark=benchmark,
        version=version,
        param_index=0,
        params=params,
        status=status or ("failed" if value is None else "ok"),
        value=value,
        started_at=started,
        samples=samples,
    )


def file_of(
    number: int,
    *measurements: Measurement,
    machine: str = "box",
    env_name: str = "virtualenv-py3.11",
) -> ResultFile:
    told = repr((number, measurements, machine, env_name))
    return ResultFile(
        path=f"results/{machine}/{commit(number)[:8]}-{env_name}.json",
        digest=hashlib.sha256(told.encode()).hexdigest(),
        format_version=2,
        machine=machine,
        commit=commit(number),
        committed_at=committed_at(number),
        env_name=env_name,
        python="3.11",
        measurements=measurements,
    )
