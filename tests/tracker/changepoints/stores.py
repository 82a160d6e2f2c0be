"""Stores filled with histories, for tests."""

from datetime import timedelta

from tests.tracker.changepoints.histories import START, revision
from tracker.domain import BenchmarkInfo, Fingerprint, Measurement, ResultFile, RevisionRecord

TTFT = BenchmarkInfo("bench.Chat.track_ttft", "1", "track", "s", "lower", "timing")
SPEED = BenchmarkInfo("bench.Chat.track_speed", "1", "track", "tokens/s", "higher", "rate")
STEPS = BenchmarkInfo("bench.Chat.track_steps", "1", "track", "1", "lower", "exact", step=2.0)


def record(
    store, number, values, *, project="engine", machine="gpu-1", source="run", driver=None, hour=1
):
    """One result file of commit `number`; `values` maps benchmarks to a value, None for failed."""
    commit = revision(number)
    store.record_revisions(
        project, [RevisionRecord(commit.commit, commit.committed_at, None, commit.subject, None)]
    )
    measurements = tuple(
        Measurement(
            benchmark=benchmark.name,
            version=benchmark.version,
            param_index=0,
            params=(),
            status="failed" if value is None else "ok",
            value=value,
            started_at=START + timedelta(days=number, hours=hour),
        )
        for benchmark, value in values.items()
    )
    file = ResultFile(
        path=f"{machine}/{commit.commit[:8]}.json",
        digest=f"{project}-{machine}-{source}-{number}-{hour}",
        format_version=2,
        machine=machine,
        commit=commit.commit,
        committed_at=commit.committed_at,
        env_name="existing",
        python="3.11",
        measurements=measurements,
    )
    store.record_file(
        project,
        file,
        benchmarks={benchmark.name: benchmark for benchmark in values},
        source=source,
        fingerprint=Fingerprint(driver=driver),
    )


def record_history(store, series, **where):
    """Commit 0, 1, 2 … with the values of each benchmark in `series`."""
    store.record_project(where.get("project", "engine"))
    store.record_benchmarks(where.get("project", "engine"), series)
    for number in range(max(len(values) for values in series.values())):
        here = {b: values[number] for b, values in series.items() if number < len(values)}
        record(store, number, here, **where)
