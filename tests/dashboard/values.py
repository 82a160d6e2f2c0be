"""Hand-made domain values, as short as a test wants them."""

from datetime import UTC, datetime, timedelta

from tracker.domain import (
    ComparisonRow,
    FingerprintChange,
    GateInfo,
    LevelShift,
    Point,
    RevisionInfo,
    SeriesHistory,
    SeriesInfo,
    VerdictInfo,
)

START = datetime(2026, 1, 1, tzinfo=UTC)


def revision(place):
    return RevisionInfo(
        id=100 + place,
        commit=f"{place:08x}" + "0" * 32,
        committed_at=START + timedelta(days=place),
        subject=f"Change number {place}",
    )


def series(name="bench_serving.Chat.track_ttft_p50", *, key=1, unit="s", better="lower",
           kind="timing", params=(), machine="runner-a", environment="existing", version="1",
           last_value=None, last_measured=None):  # fmt: skip
    return SeriesInfo(
        id=key, project="sim", benchmark=name, version=version, unit=unit, better=better,
        kind=kind, params=tuple(params), param_names=(), machine=machine,
        environment=environment, num_points=0, last_value=last_value, last_measured=last_measured,
    )  # fmt: skip


def history(values, *, of=None, shifts=(), environments=(), intervals=None):
    """A history of `values`; None is a failure, shifts are (place, before, after)."""
    of = of or series()
    points = tuple(
        Point(
            revision=revision(place),
            value=value,
            status="failed" if value is None else "ok",
            ci_low=intervals[place][0] if intervals else None,
            ci_high=intervals[place][1] if intervals else None,
            num_attempts=1,
            measured_at=None,
            fingerprint_id=1,
        )
        for place, value in enumerate(values)
    )
    return SeriesHistory(
        series=of,
        points=points,
        shifts=tuple(
            LevelShift(
                series_id=of.id, revision=revision(place), before=before, after=after,
                effect=after / before - 1,
                worse=None if of.better is None else (after > before) == (of.better == "lower"),
                algorithm="test",
            )
            for place, before, after in shifts
        ),
        fingerprint_changes=tuple(
            FingerprintChange(revision(place), (("driver", "560.1", "565.3"),))
            for place in environments
        ),
    )  # fmt: skip


def comparison(base, head, *, noise="beyond", visible=0.02, **of):
    return ComparisonRow(
        series=series(**of),
        base=base,
        head=head,
        base_status=None if base is None else "ok",
        head_status=None if head is None else "ok",
        base_values=() if base is None else (base,),
        head_values=() if head is None else (head,),
        noise=noise,
        visible=visible,
    )


def verdict(metric="bench_serving.Chat.track_ttft_p50", status="pass", effect=0.0, low=-0.01,
            high=0.01, *, kind="timing", mde=0.02, better="lower"):  # fmt: skip
    return VerdictInfo(
        gate_id="g", metric=metric, unit="s", better=better, kind=kind, status=status,
        effect=effect, low=low, high=high, pairs=8, base=0.01,
        head=None if effect is None else 0.01 * (1 + effect), mde=mde,
    )  # fmt: skip


def gate(*verdicts, policy=None, exit_code=0):
    return GateInfo(
        id="g", project="sim", machine="runner-a", base=revision(1), head=revision(2),
        started_at=START, finished_at=START, exit_code=exit_code, pairs=8, verdicts=verdicts,
        policy=policy or {},
    )  # fmt: skip
