"""The synthetic project: what is known to be in it is what gate, detector and dashboard find."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.tracker.measure.toy import quiet_environment
from tracker.changepoints import analyze
from tracker.demo.build import AA_GATES, GATES, Demo, make_demo
from tracker.demo.engine import METRICS, Machine, Node, simulate
from tracker.demo.story import CHANGES, NUM_COMMITS, engine_at
from tracker.errors import UsageError
from tracker.explain.explanation import from_document
from tracker.findings import Analysis
from tracker.store import Store, queries
from tracker.stored_report import gate_page

END = datetime(2026, 3, 1, tzinfo=UTC)
LARGE, SMALL = "synthetic-80gb", "synthetic-24gb"


@dataclass(frozen=True)
class Made:
    demo: Demo
    store: Store
    analysis: Analysis
    commits: list[str]

    def verdicts(self, base: int, head: int) -> dict[str, str]:
        (gate,) = queries.gates_between(
            self.store, "demo-engine", self.commits[base], self.commits[head]
        )
        return {v.metric.partition(".track_")[2]: v.status for v in gate.verdicts}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    demo = make_demo(tmp_path_factory.mktemp("demo") / "project", end=END)
    log = subprocess.run(
        ["git", "-C", str(demo.directory), "rev-list", "--reverse", "main"],
        capture_output=True,
        text=True,
        check=True,
    )
    with Store.open(f"sqlite:///{demo.store}") as store:
        yield Made(demo, store, analyze(store, project="demo-engine"), log.stdout.split())


def test_the_page_of_a_stored_gate_says_what_the_gate_said(made):
    for gate_id, _, _ in made.demo.gates:
        gate, page = queries.get_gate(made.store, gate_id), gate_page(made.store, gate_id)
        assert f"<title>Pacekeeper: {gate.outcome}: {gate.base.commit[:8]}" in page
        assert "judged again from the stored pairs" not in page


def test_gates_find_the_changes_that_are_there_and_no_others(made):
    codes = dict(zip(GATES, (code for _, _, code in made.demo.gates), strict=True))
    assert codes[115, 116] == codes[51, 52] == 1
    assert codes[33, 34] == codes[118, 119] == 0
    assert codes[83, 84] != 0  # the decode suite does not run
    assert made.verdicts(115, 116)["step_time"] == "regression"
    assert made.verdicts(33, 34)["step_time"] == "improvement"
    assert set(made.verdicts(118, 119).values()) <= {"pass", "inconclusive"}
    # What the commit's message expects is no regression.
    assert codes[111, 112] == 0
    (block,) = queries.calibration_blocks(made.store, "demo-engine", machine=LARGE)
    assert (block.gates, block.false_blocks) == (AA_GATES, 0)


def test_the_regression_is_explained_by_its_traces(made):
    base, head = made.commits[115], made.commits[116]
    (kept,) = queries.list_explanations(made.store, "demo-engine", head=head, base=base)
    (suite,) = from_document(kept.document).suites
    first = suite.rows[0]
    assert suite.verdict == "slower" and suite.frames
    assert (first.function, first.what) == ("schedule", "calls log here, new")
    assert first.is_changed and first.share == pytest.approx(1.0, abs=0.2)
    assert all(Path(trace).is_file() for trace in suite.traces)


def test_level_shifts_are_found_at_their_commits_and_a_driver_is_no_commits_fault(made):
    found = {
        (finding.machine, change.series.benchmark.partition(".track_")[2]): finding
        for finding in made.analysis.findings
        for change in finding.changes
        if finding.revision.commit == made.commits[78]
    }
    assert {machine for machine, _ in found} == {LARGE, SMALL}
    assert {metric for _, metric in found} == {"kernel_launches"}
    assert not any(f.revision.commit == made.commits[70] for f in made.analysis.findings)
    moves = [f for f in made.analysis.moves if f.revision.commit == made.commits[70]]
    assert moves and all(finding.machine == LARGE for finding in moves)
    near = {made.commits[number] for number in range(32, 37)}
    assert any(finding.revision.commit in near for finding in made.analysis.findings)


def test_every_page_of_the_dashboard_has_something_to_show(made):
    overview = queries.overview(made.store, "demo-engine", machine=None)
    assert overview.worse and overview.better and overview.alerts and overview.gates
    assert overview.problems and overview.calibration.gates
    assert set(overview.project.machines) == {LARGE, SMALL}
    environments = {s.environment for s in queries.list_series(made.store, "demo-engine")}
    assert environments == {"python3.12", "python3.12-fp8"}
    step_time = queries.list_series(made.store, "demo-engine", search="step_time")
    broken = [
        point
        for history in queries.histories(made.store, step_time)
        for point in history.points
        if point.status == "failed"
    ]
    assert {point.revision.commit for point in broken} == {made.commits[84]}


def test_the_same_seed_gives_the_same_values_and_the_story_adds_up():
    first, second, other = (
        simulate(engine_at(9), Machine(), Node(seed)) for seed in ("a", "a", "b")
    )
    assert first == second != other
    last = engine_at(NUM_COMMITS - 1)
    assert last.prefill == pytest.approx(1.0)
    assert last.decode == pytest.approx(0.94 * 1.0025**20 * 1.05)
    assert (last.kernels, last.memory, last.works) == (218, 11.5, True)
    assert max(CHANGES) < NUM_COMMITS
    assert len({metric.benchmark for metric in METRICS}) == len(METRICS)


def test_its_commits_can_be_measured_as_any_project(made, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tracker", "run", "HEAD~35..HEAD~34"],
        cwd=made.demo.directory,
        env={**quiet_environment(tmp_path), "PACEKEEPER_DB": f"sqlite:///{tmp_path}/own.db"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"measured {len(METRICS)} of {len(METRICS)} benchmarks" in done.stderr


def test_it_overwrites_nothing(tmp_path):
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(UsageError, match="exists and is not empty; name another directory"):
        make_demo(tmp_path, end=END)
