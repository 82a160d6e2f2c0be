"""The log of a session: what was appended is read again, whatever happened to its last line."""

from __future__ import annotations

from benchmarks.gpu.context import COPY, MATMUL, Ceilings, ceilings
from benchmarks.gpu.records import append, latest, read
from tests.benchmarks.gpu.made import TELEMETRY, measurement, record

ONE = record("engine", "decode", measurement("a.track_x", 1.5, params=(("n", "4"),)))
TWO = record("facts", "device", facts={"torch": "2.11"}, telemetry=TELEMETRY)


def test_what_was_appended_is_read(tmp_path):
    assert read(tmp_path / "nothing") == []
    append(tmp_path / "new", ONE)
    append(tmp_path / "new", TWO)
    assert read(tmp_path / "new") == [ONE, TWO]


def test_a_line_cut_short_by_a_kill_is_left_out(tmp_path):
    append(tmp_path, ONE)
    with (tmp_path / "records.jsonl").open("a") as file:
        file.write('{"part": "engine", "ca')
    assert read(tmp_path) == [ONE]


def test_a_case_run_again_counts_once():
    failed = record("engine", "decode", status="failed", problem="no")
    assert latest([failed, TWO, ONE]) == [ONE, TWO]


def test_the_ceilings_are_those_the_facts_hold():
    facts = record("facts", "device", measurement(COPY, 3e12), measurement(MATMUL, 8e14))
    assert ceilings([ONE, facts]) == Ceilings(copy=3e12, matmul=8e14)
    assert ceilings([ONE]) == Ceilings(None, None)
