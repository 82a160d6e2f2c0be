"""Resuming, failing and running out of time, with cases that take no time."""

from __future__ import annotations

import pytest

from benchmarks.gpu import session
from benchmarks.gpu.records import latest, read
from benchmarks.gpu.session import CUT_OFF, run_part
from tests.benchmarks.gpu.made import record


class Toy:
    """A part of three cases; ``fate`` says how each ends."""

    def __init__(self):
        self.fate = {"one": "done", "two": "done", "three": "done"}

    def cases(self, device):
        return list(self.fate)


@pytest.fixture
def toy(monkeypatch):
    part = Toy()
    ran = []

    def run_case(name, case, device, folder, limit):
        ran.append(case)
        status = part.fate[case]
        problem = CUT_OFF if status == "cut off" else None if status == "done" else "because"
        return record(
            name, case, status="failed" if problem == CUT_OFF else status, problem=problem
        )

    monkeypatch.setitem(session.PARTS, "toy", part)
    monkeypatch.setattr(session, "_run_case", run_case)
    part.ran = ran
    return part


@pytest.fixture
def go(tmp_path):
    said = []

    def run(limit=60.0):
        written = []
        complete = run_part(
            "toy",
            "cpu",
            tmp_path,
            limit=limit,
            say=said.append,
            after_case=lambda: written.append(1),
        )
        return complete, len(written)

    run.folder, run.said = tmp_path, said
    return run


def statuses(folder):
    return {r.case: r.status for r in latest(read(folder))}


def test_every_case_runs_once_and_none_again(toy, go):
    assert go() == (True, 3)
    assert go() == (True, 0)
    assert toy.ran == ["one", "two", "three"]


def test_a_failure_stops_no_other_case_and_is_tried_again(toy, go):
    toy.fate["two"] = "failed"
    assert go() == (False, 3)
    assert statuses(go.folder) == {"one": "done", "two": "failed", "three": "done"}
    toy.fate["two"] = "done"
    assert go() == (True, 1)
    assert toy.ran == ["one", "two", "three", "two"]


def test_what_this_machine_cannot_run_is_no_failure(toy, go):
    toy.fate["three"] = "skipped"
    assert go() == (True, 3)
    assert go() == (True, 0)


def test_out_of_time_says_what_is_left(toy, go):
    assert go(limit=0.0) == (False, 0)
    assert toy.ran == []
    assert go.said[-1] == "toy: time is up, 3 cases left; run it again"


def test_a_case_cut_short_by_those_before_it_is_not_a_result(toy, go):
    toy.fate["two"] = "cut off"
    assert go() == (False, 1)
    assert statuses(go.folder) == {"one": "done"}
    # With a whole part's time to itself it was too long: that is written down.
    assert go() == (False, 2)
    assert statuses(go.folder) == {"one": "done", "two": "failed", "three": "done"}


def test_a_case_that_raises_or_dies_is_a_record(tmp_path):
    done = session._run_case("engine", "price enable_nothing", "cpu", tmp_path, 300.0)
    assert (done.status, done.problem) == ("failed", "KeyError: 'enable_nothing'")
    late = session._run_case("engine", "decode tiny", "cpu", tmp_path, 0.01)
    assert (late.status, late.problem) == ("failed", CUT_OFF)
