"""Blocks of A/A gates: kept once, renewed as they grow, newest first."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tracker.domain import CalibrationBlock, RevisionRecord
from tracker.errors import UsageError
from tracker.store import Store, queries

START = datetime(2026, 1, 2, tzinfo=UTC)
BLOCK = CalibrationBlock("box", START, 3, 0, {"alpha": 0.01, "commit": "c" * 40})


@pytest.fixture
def store(store_url):
    with Store.open(store_url) as opened:
        yield opened


def test_a_block_grows_and_others_stand_beside_it(store):
    store.record_calibration("p", BLOCK)
    grown = replace(BLOCK, gates=5, false_blocks=1)
    store.record_calibration("p", grown)
    later = replace(BLOCK, started_at=START + timedelta(days=1))
    elsewhere = replace(BLOCK, machine="other")
    store.record_calibration("p", later)
    store.record_calibration("p", elsewhere)
    store.record_calibration("q", BLOCK)
    assert queries.calibration_blocks(store, "p", machine="box") == [later, grown]
    assert len(queries.calibration_blocks(store, "p")) == 3
    assert queries.calibration_blocks(store, "p", machine="lab") == []
    with pytest.raises(UsageError, match="no project 'r'"):
        queries.calibration_blocks(store, "r")


def test_no_gate_leaves_the_rate_unknown_and_one_bounds_it(store):
    store.record_revisions("p", [RevisionRecord("c" * 40, START)])
    assert queries.calibration(store, "p").upper_bound is None
    gate = store.begin_gate("p", base="c" * 40, head="c" * 40, machine="box", policy={})
    store.finish_gate(gate, 0, [], pairs=1)
    assert queries.calibration(store, "p").upper_bound == pytest.approx(0.95)
