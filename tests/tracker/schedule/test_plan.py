"""Options in, planned jobs out."""

import pytest

from tracker.errors import UsageError
from tracker.schedule import Options, parse_interval, parse_time, plan

OPTIONS = Options(db="sqlite:///x.db", root="/tree", project="engine", machine="gpu-1")


def names(options):
    return [job.id for job in plan(options)]


def test_new_commits_and_nightly_unless_told_otherwise():
    assert names(OPTIONS) == [
        "engine/gpu-1/new-commits",
        "engine/gpu-1/requested",
        "engine/gpu-1/nightly",
    ]


def test_every_job_can_be_chosen():
    from dataclasses import replace

    assert names(replace(OPTIONS, nightly=None)) == names(OPTIONS)[:2]
    assert names(replace(OPTIONS, prune=(4, 0)))[-1] == "engine/gpu-1/prune"
    assert names(replace(OPTIONS, backfill=(3, 0), calibrate=(5, 0)))[3:] == [
        "engine/gpu-1/backfill",
        "engine/gpu-1/calibrate",
    ]
    nightly = plan(replace(OPTIONS, nightly=(3, 30), launches=5))[2]
    assert str(nightly.trigger) == "cron[hour='3', minute='30']"
    assert nightly.kwargs["launches"] == 5


def test_jobs_are_importable_functions_that_take_their_arguments():
    import inspect
    from dataclasses import replace

    from apscheduler.util import ref_to_obj

    every = replace(OPTIONS, prune=(4, 0), backfill=(3, 0), calibrate=(5, 0))
    for job in plan(every):
        inspect.signature(ref_to_obj(job.function)).bind(**job.kwargs)
        assert all(type(value) in (str, int) for value in job.kwargs.values())


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("2h", 7200), ("1d", 86400)]
)
def test_intervals(text, seconds):
    assert parse_interval(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "m", "0m", "-5m", "1.5h", "10 m", "10x"])
def test_what_is_no_interval(text):
    with pytest.raises(UsageError, match="is no interval; write 90s"):
        parse_interval(text)


def test_times():
    assert parse_time("02:00") == (2, 0)
    assert parse_time("23:59") == (23, 59)
    assert parse_time("off") is None


@pytest.mark.parametrize("text", ["", "2", "24:00", "02:60", "2:0", "two"])
def test_what_is_no_time(text):
    with pytest.raises(UsageError, match="is no time of day; write 02:00, or off"):
        parse_time(text)
