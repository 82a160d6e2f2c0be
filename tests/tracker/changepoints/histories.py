"""Histories built by hand, for tests."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from tracker.domain import FingerprintChange, Point, RevisionInfo, SeriesHistory, SeriesInfo

START = datetime(2026, 1, 1, tzinfo=UTC)


def revision(number):
    return RevisionInfo(
        id=number,
        commit=f"{number:012x}".ljust(40, "0"),
        committed_at=START + timedelta(days=number),
        subject=f"Commit {number}",
    )


def series(**changed):
    fields = {
        "id": 1,
        "project": "engine",
        "benchmark": "bench.Chat.track_ttft",
        "version": "1",
        "unit": "s",
        "better": "lower",
        "kind": "timing",
        "params": (),
        "param_names": (),
        "machine": "gpu-1",
        "environment": "existing",
        "num_points": 0,
    }
    return SeriesInfo(**{**fields, **changed})


def history(values, *, fingerprints=None, statuses=None, **changed):
    """A point a revision; None is a failed one."""
    points = [
        Point(
            revision=revision(number),
            value=value,
            status=statuses[number] if statuses else ("failed" if value is None else "ok"),
            ci_low=None,
            ci_high=None,
            num_attempts=1,
            measured_at=None,
            fingerprint_id=fingerprints[number] if fingerprints else 1,
        )
        for number, value in enumerate(values)
    ]
    changes = [
        FingerprintChange(after.revision, (("driver", "1", "2"),))
        for before, after in pairwise(points)
        if before.fingerprint_id != after.fingerprint_id
    ]
    return SeriesHistory(series(**changed), tuple(points), (), tuple(changes))


def noisy(level, count, seed=0):
    """`count` values about `level`, half a percent of scatter, always the same ones."""
    import numpy as np

    scatter = np.random.default_rng(seed + int(level * 1e6)).normal(0, 0.005, count)
    return [float(value) for value in level * (1 + scatter)]
