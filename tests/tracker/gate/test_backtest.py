"""A policy tried on stored gates: what it would have blocked and freed."""

import json

import pytest
from click.testing import CliRunner

from tests.tracker.gate.test_stored import keep_gate, noisy_pairs
from tests.tracker.store.values import commit, committed_at
from tracker.cli import Settings
from tracker.cli.gate import command
from tracker.domain import RevisionRecord, VerdictInfo
from tracker.errors import UsageError
from tracker.gate.backtest import backtest
from tracker.gate.policy import Policy
from tracker.report.backtest import BACKTEST_FORMATS
from tracker.store import Store

LOOSE = Policy(margin=0.2, detect=0.4)


@pytest.fixture
def db(tmp_path):
    """A gate that blocked 10 %, one that let 3 % through, an A/A gate, an invalid one."""
    url = f"sqlite:///{tmp_path}/gates.db"
    with Store.open(url) as store:
        revisions = [RevisionRecord(commit(number), committed_at(number)) for number in (1, 2)]
        store.record_revisions("p", revisions)
        blocked = keep_gate(store, "b.time_x", noisy_pairs(0.1), 1, 0)
        told = VerdictInfo(blocked, "b.time_x", "s", "lower", "timing", "regression", 0.1, 0.09,
                           0.11, 12, 1.0, 1.1, 0.02)  # fmt: skip
        store.finish_gate(blocked, 1, [told], 12)
        keep_gate(store, "b.time_x", noisy_pairs(0.05, seed=2), 0, 100)
        keep_gate(store, "b.time_x", noisy_pairs(0.0, seed=3), 4, 200)
        same = store.begin_gate("p", base=commit(1), head=commit(1), machine="box", policy={})
        store.finish_gate(same, 0, [], 0)
    return url


def tried(db, policy):
    with Store.open(db, read_only=True) as store:
        return backtest(store, "p", policy)


def test_a_looser_policy_frees_and_a_stricter_one_blocks(db):
    found = tried(db, LOOSE)
    assert [(one.then, one.now, one.change) for one in found.gates[:2]] == [
        ("regression", "pass", "freed"), ("pass", "pass", ""),
    ]  # fmt: skip
    assert found.gates[0].why == "b.time_x"
    found = tried(db, Policy())
    assert [one.change for one in found.gates[:2]] == ["", "blocked"]
    assert found.gates[1].why == "b.time_x"


def test_gates_without_a_valid_measurement_are_left_out_and_counted(db):
    found = tried(db, LOOSE)
    assert (len(found.gates), found.left_out) == (3, 1)
    assert "0 that passed would be blocked, 1 that were blocked would pass" in found.summary
    assert "of 1 A/A gates 0 were regressions, 0 would be" in found.summary


@pytest.mark.parametrize("form", BACKTEST_FORMATS)
def test_every_format_says_what_would_change(db, form):
    text = BACKTEST_FORMATS[form](tried(db, LOOSE))
    assert "freed" in text and "1 that were blocked would pass" in text


def test_json_names_each_gate(db):
    found = json.loads(BACKTEST_FORMATS["json"](tried(db, Policy())))
    assert [gate["change"] for gate in found["gates"]] == [None, "blocked", None]
    assert found["gates"][1]["blocking"] == ["b.time_x"]
    assert [gate["is_aa"] for gate in found["gates"]] == [False, False, True]


def gate(db, *args):
    done = CliRunner().invoke(command, list(map(str, args)), obj=Settings(db=db))
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def test_the_command_line_tries_a_policy_file_on_every_gate(db, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loose.toml").write_text("[gate]\nmargin = 0.2\ndetect = 0.4\n")
    for arguments in (["--all"], []):
        report = tmp_path / "report.md"
        done = gate(db, "--stored", *arguments, "--policy", "loose.toml", "--report", report)
        assert "1 that were blocked would pass" in done.output
        assert "freed" in report.read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--stored", "--all", "--format", "junit"], "not as junit"),
        (["a", "--stored", "--all"], "give BASE and HEAD"),
        (["--all"], "give BASE and HEAD"),
        (["a", "b", "--gate", "x"], "--gate needs --stored"),
        (["a", "b", "--stored", "--fail-fast"], "--fail-fast measures, and --stored does not"),
        (["a", "b", "--stored", "--seed", "0"], "--seed measures, and --stored does not"),
        ([], "Missing argument"),
        (["a", "--stored"], "Missing argument"),
    ],
)
def test_what_makes_no_sense_is_refused(db, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=said):
        gate(db, *arguments)
