"""Pairs of traced launches: what is dropped, what is missing, and where an explanation goes."""

import itertools
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.tracker.explain.toy import SOURCES, toy_trace
from tests.tracker.gate.fakes import BASE, FINGERPRINT, HEAD, launch
from tests.tracker.report.reports import full_report, row
from tracker.artifacts import read_launch
from tracker.domain import Fingerprint, RevisionRecord
from tracker.errors import MeasurementError
from tracker.explain.after_gate import stored_explanation, with_explanation
from tracker.explain.explanation import Cause, from_document, to_document
from tracker.explain.run import explain_captured, explain_commits, keep
from tracker.explain.stored import stored_cause, stored_traces
from tracker.load.profile import write_failure
from tracker.measure.git import Commit
from tracker.report import FORMATS, render
from tracker.report.explanation import EXPLANATION_FORMATS
from tracker.store import Store

WHEN = datetime(2026, 1, 1, tzinfo=UTC)
COMMITS = [Commit(hash_, WHEN, (), subject) for hash_, subject in ((BASE, "Old"), (HEAD, "New|er"))]
SLOW = {**SOURCES, "queue.py": SOURCES["queue.py"].replace("5_000", "50_000")}


class NoRepository:
    def run(self, *words):
        if words[0] == "diff":
            return "queue.py\0"
        commit, _, file = words[1].partition(":")
        return (SLOW if commit == HEAD else SOURCES)[file]


class TracedRunner:
    """Stands in for a `Runner`: each launch writes the toy's trace for suite A."""

    machine = "lab"
    project = type("P", (), {"repository": NoRepository()})()

    def __init__(self, folder, write=None, launched=launch):
        self.benches = []
        self._folder = folder
        self._numbers = itertools.count()
        self._write = write or self._trace
        self._launched = launched

    def launch(self, commit, *, bench=None):
        self.benches.append(bench)
        number = next(self._numbers)
        directory = self._folder / str(number)
        self._write(directory / "artifacts", commit, number)
        return replace(self._launched(commit), directory=directory)

    def _trace(self, artifacts, commit, number):
        path = toy_trace(artifacts, SLOW if commit == HEAD else SOURCES, launch=number)
        path.rename(artifacts / "suite.A.trace.json.gz")


def explained(runner, **options):
    return explain_commits(runner, "toy", *COMMITS, pairs=7, seed=1, **options)


@pytest.fixture(scope="module")
def explanation(tmp_path_factory):
    return explained(TracedRunner(tmp_path_factory.mktemp("launches")))


def test_the_place_is_named_and_a_suite_without_a_trace_says_so(explanation):
    traced, untraced = explanation.suites
    first = traced.rows[0]
    assert (first.where, first.function, first.phase) == ("queue.py:2", "choose", "queue")
    assert first.is_changed and explanation.changed == ("queue.py:1 choose",)
    assert untraced.benchmark == "suite.B" and "wrote no trace" in untraced.problem
    assert untraced.verdict == "not explained"


def test_every_format_tells_place_interval_and_what_is_missing(explanation):
    for form, to_text in EXPLANATION_FORMATS.items():
        text = to_text(explanation)
        for word in ("queue.py:2", "suite.B", "wrote no trace"):
            assert word in text, form
    document = json.loads(EXPLANATION_FORMATS["json"](explanation))
    assert from_document(document) == explanation
    assert document["suites"][0]["rows"][0]["low"] > 0
    assert "### What tells" in EXPLANATION_FORMATS["markdown"](explanation)


def test_pairs_that_may_not_be_compared_are_dropped_and_not_blamed_on_the_code(tmp_path):
    prints = {BASE: FINGERPRINT, HEAD: Fingerprint(driver="580")}
    runner = TracedRunner(
        tmp_path, launched=lambda commit: launch(commit, fingerprint=prints[commit])
    )
    result = explained(runner)
    assert result.cause.kind == "driver" and "from 570 to 580" in result.cause.text
    assert not any(suite.rows for suite in result.suites)
    assert "NOT THE CODE (driver)" in EXPLANATION_FORMATS["text"](result)
    assert len(runner.benches) == 6, "three dropped pairs are enough"
    hot = {
        "throttle_reasons": ["hw_thermal_slowdown"],
        "throttled_share": {"hw_thermal_slowdown": 1.0},
    }
    result = explained(
        TracedRunner(tmp_path / "hot", launched=lambda commit: launch(commit, telemetry=hot))
    )
    assert result.cause.kind == "node" and "was throttled" in result.cause.text


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (lambda folder, *_: folder.mkdir(parents=True), "suite.A: base: it wrote no trace"),
        (lambda folder, *_: write_failure(folder, "suite.A", "ImportError: no profiler"),
         "suite.A could not be traced: ImportError: no profiler"),
    ],
)  # fmt: skip
def test_nothing_traced_is_an_error_and_no_empty_table(write, reason, tmp_path):
    with pytest.raises(MeasurementError, match="nothing to explain") as raised:
        explained(TracedRunner(tmp_path, write))
    assert reason.removeprefix("suite.A: base: ") in str(raised.value)


def test_ctrl_c_leaves_the_pairs_there_are(tmp_path):
    def write(artifacts, commit, number):
        if number == 5:
            raise KeyboardInterrupt
        runner._trace(artifacts, commit, number)

    runner = TracedRunner(tmp_path, write)
    result = explained(runner)
    assert result.interrupted and result.suites[0].pairs == 2


class Kept:
    project = "toy"

    def __init__(self, store):
        self.store = store

    def checked(self, result):
        return result


def test_the_traces_that_a_gate_left_are_explained_anew(tmp_path, store_url):
    """Those of its launches, else those of its explanation; what is gone or cut off is said."""
    first = explained(TracedRunner(tmp_path))
    repository = NoRepository()

    def again(captured):
        return explain_captured(captured, repository, "toy", "lab", *COMMITS)

    with Store.open(store_url) as store:
        store.record_revisions("toy", [RevisionRecord(c.hash, WHEN) for c in COMMITS])
        assert stored_traces(store, "toy", BASE, HEAD, "lab") is None
        keep(store, "toy", first)
        assert stored_traces(store, "toy", BASE, HEAD, "elsewhere") is None
        captured = stored_traces(store, "toy", BASE, HEAD, "lab")
        result = again(captured)
        assert result.suites[0] == first.suites[0] and result.source.startswith(
            "the explanation of"
        )
        (gone, _), (_, cut), *_ = (tuple(map(Path, pair)) for pair in first.suites[0].trace_pairs)
        gone.unlink()
        cut.write_bytes(cut.read_bytes()[:-100])
        result = again(stored_traces(store, "toy", BASE, HEAD, "lab"))
        assert result.suites[0].pairs == 5
        assert f"toy.Suite: a pair is missing: {gone}: the trace is gone" in result.warnings[0]
        assert "the trace is gone" in EXPLANATION_FORMATS["text"](result)
        for pair in first.suites[0].trace_pairs:
            Path(pair[0]).unlink(missing_ok=True)
        captured = stored_traces(store, "toy", BASE, HEAD, "lab")
        assert not captured.traces and captured.problems
        with pytest.raises(MeasurementError, match="the trace is gone"):
            again(captured)


def test_what_differs_between_the_stored_launches_is_no_code(tmp_path, store_url):
    def stored(commit, **facts):
        path = tmp_path / f"{commit[0]}{len(list(tmp_path.iterdir()))}.jsonl"
        header = {
            "record": "launch", "format": 1, "launch_id": path.stem, "benchmark": "suite.A",
            "fingerprint": {"driver": "570"}, "scenario": {"version": "1"}, **facts,
        }  # fmt: skip
        path.write_text(json.dumps(header) + "\n")
        result = launch(commit)
        file = replace(result.file, digest=path.stem, machine="lab")
        store.record_file(
            "toy", file, benchmarks=result.benchmarks, source="run", launches=[read_launch(path)]
        )

    def cause():
        return stored_cause(store, "toy", BASE, HEAD, "lab")

    with Store.open(store_url) as store:
        stored(BASE)
        stored(HEAD)
        assert cause() is None
        stored(HEAD, scenario={"version": "2"})
        assert cause() == Cause("suite", "version 1 of suite.A measured BASE, version 2 HEAD")
        stored(HEAD, fingerprint={"driver": "580", "gpus": "GPU-2"})
        assert cause().kind == "driver" and "driver from 570 to 580" in cause().text
        assert stored_cause(store, "toy", BASE, HEAD, "elsewhere") is None


def test_a_gate_explains_its_regressed_suites_and_keeps_it(tmp_path, store_url):
    slower = row("suite.A.track_ttft", "s", "lower", "timing", 1.0, 2.0, "regression")
    report = full_report(rows=(slower,), base=BASE, head=HEAD, warnings=())
    with Store.open(store_url) as store:
        runner = TracedRunner(tmp_path)
        result = with_explanation(report, runner, Kept(store), *COMMITS, seed=1)
        assert set(runner.benches) == {(r"^suite\.A\.track_ttft($|\()",)}
        assert result.outcome == report.outcome and result.exit_code == report.exit_code
        for form in FORMATS.keys() - {"junit"}:
            assert "queue.py:2" in render(result, form), form
        assert stored_explanation(store, "toy", BASE, HEAD) == result.explanation
        assert stored_explanation(store, "toy", BASE, HEAD, "elsewhere") is None
        failing = TracedRunner(tmp_path / "x", lambda folder, *_: folder.mkdir(parents=True))
        warned = with_explanation(report, failing, Kept(store), *COMMITS, seed=1)
        assert warned.explanation is None and warned.outcome == "regression"
        assert "could not be explained: nothing to explain" in warned.warnings[0]
        passed = replace(report, rows=(replace(slower, outcome="pass"),), outcome="pass")
        assert with_explanation(passed, failing, Kept(store), *COMMITS, seed=1) is passed
    assert to_document(result.explanation)["suites"][0]["verdict"] == "slower"
