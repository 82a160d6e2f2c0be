"""Wrong invocations, as a user makes them: one line that names the thing and the mend, no traceback."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tracker.schedule.projects import git, make_project
from tests.tracker.store.values import BENCHMARKS, file_of, measurement
from tracker.cli import main
from tracker.store import Store


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A checkout of an asv project with two commits, a store, and files that are not what they say."""
    root = make_project(tmp_path_factory.mktemp("wrong") / "project")
    git(root, "commit", "-q", "--allow-empty", "-m", "second")
    with Store.open(f"sqlite:///{root}/pacekeeper.db") as store:
        store.record_file("engine", file_of(1, measurement(1.0)), benchmarks=BENCHMARKS)
    (root / "folder").mkdir()
    (root / "latin.toml").write_bytes(b'[project]\nname = "\xe9"\n')
    for name, text in {
        "text.txt": "hello\n",
        "broken.toml": "[gate\n",
        "key.toml": "[gate]\nalfa = 0.1\n",
        "table.toml": "[gates]\n",
        "margin.toml": "[gate]\nmargin = -0.1\n",
        "alpha.toml": "[gate]\nalpha = 2\n",
        "hook.toml": "[alerts]\nwebhok = 1\n",
        "broken.json": "{",
        "list.json": "[]",
    }.items():
        (root / name).write_text(text)
    return root


@pytest.fixture
def tracker(home, monkeypatch, capsys):
    """Runs the command line in `home`; returns the exit code and standard error."""
    monkeypatch.chdir(home)
    for name in ("PACEKEEPER_DB", "PACEKEEPER_ARTIFACTS"):
        monkeypatch.delenv(name, raising=False)
    before = signal.getsignal(signal.SIGTERM)

    def run(*args):
        monkeypatch.setattr(sys, "argv", ["tracker", *args])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, capsys.readouterr().err

    yield run
    signal.signal(signal.SIGTERM, before)


WRONG = [
    ("--db  alerts list", 2, "--db is empty; give sqlite:///FILE"),
    ("--db nonsense alerts list", 2, "'nonsense' is not a database URL; give sqlite:///FILE"),
    ("--db mysql://h/x alerts list", 2, "'mysql' is not supported; use sqlite or postgresql"),
    ("--db sqlite:///none.db alerts list", 5, "no such file; ingest something first"),
    ("--db sqlite:///folder alerts list", 5, "is a directory; name a file"),
    ("--db sqlite:///text.txt alerts list", 5, "not a SQLite database"),
    ("--db sqlite:///no/where.db db upgrade", 5, "does not exist; create it first"),
    ("--db sqlite:// changepoints", 4, "fill it with `tracker run` or `tracker ingest`"),
    ("gaet HEAD~1 HEAD", 2, "No such command 'gaet'. Did you mean 'gate'?"),
    ("gate HEAD~1 HEAD --formt json", 2, "--format"),
    ("gate HEAD~1 HEAD --format xml", 2, "'xml' is not one of 'text', 'markdown', 'json', 'junit'"),
    ("gate HEAD~1 nosuch", 2, "unknown commit 'nosuch'"),
    ("gate HEAD~1 HEAD --max-pairs -3", 2, "-3 is not in the range x>=1"),
    ("gate HEAD~1 HEAD --budget -1h", 2, "'-1h' is no time; write 90, 90s, 5m or 2h"),
    ("gate HEAD~1 HEAD --bench (", 2, "--bench '(' is no regular expression"),
    ("gate HEAD~1 HEAD --python no/python", 2, "--python no/python: no such interpreter"),
    ("run --python folder", 2, "--python folder: no such interpreter"),
    ("gate HEAD~1 HEAD --config folder", 2, "folder: no such asv configuration"),
    ("gate HEAD~1 HEAD --config broken.json", 2, "broken.json: not JSON"),
    ("gate HEAD~1 HEAD --config list.json", 2, "must hold one JSON object"),
    ("gate HEAD~1 HEAD --policy none.toml", 2, "none.toml: no such policy file"),
    ("gate HEAD~1 HEAD --policy folder", 2, "folder: cannot be read: Is a directory"),
    ("gate HEAD~1 HEAD --policy latin.toml", 2, "latin.toml: not TOML, which is UTF-8"),
    ("gate HEAD~1 HEAD --policy broken.toml", 2, "broken.toml: not TOML: Expected ']'"),
    ("gate HEAD~1 HEAD --policy key.toml", 2, "[gate] unknown key 'alfa'; did you mean 'alpha'?"),
    ("gate HEAD~1 HEAD --policy table.toml", 2, "unknown key 'gates'; did you mean 'gate'?"),
    ("gate HEAD~1 HEAD --policy margin.toml", 2, "margin must be a number of at least 0 and below"),
    (
        "gate HEAD~1 HEAD --policy alpha.toml",
        2,
        "alpha must be a number above 0 and below 1, not 2",
    ),
    ("gate HEAD~1 HEAD --policy hook.toml", 2, "unknown key 'webhok'; did you mean 'webhook'?"),
    ("gate HEAD~1 HEAD --stored", 2, "is not in the store; give a hash that was ingested"),
    ("compare HEAD", 2, "Missing argument 'HEAD'"),
    ("compare HEAD~1 HEAD --project nope", 2, "no project 'nope' in the store; there are: engine"),
    ("run HEAD..nosuch", 2, "unknown commit 'nosuch'"),
    ("ingest none", 2, "'none' does not exist"),
    ("ingest text.txt", 4, "no readable result file in text.txt"),
    ("ingest folder", 4, "no readable result file in /"),
    ("bisect HEAD HEAD~1", 2, "GOOD HEAD must be an ancestor of BAD HEAD~1"),
    ("calibrate --gates 0", 2, "0 is not in the range x>=1"),
    ("changepoints --machine nope", 2, "no series fits --machine nope"),
    ("changepoints --alert --project nope", 2, "no project 'nope' in the store"),
    ("alerts ack 99", 2, "no alert 99 in the store; see: tracker alerts list"),
    ("alerts list --state closed", 2, "'closed' is not one of 'open'"),
    ("expect tim_x +6% --because y", 2, "no metric 'tim_x'; did you mean 'time_x'?"),
    (
        "expect latency +6% --because y",
        2,
        "no metric 'latency' (project 'engine' of the store has b.",
    ),
    ("expect time_x 6% --because y", 2, "'6%' is no change; write +6% or -2.5%"),
    ("expect time_x +6% --because y --until 2020-01-01", 2, "that day is over"),
    ("schedule --interval 5x", 2, "'5x' is no interval; write 90s, 10m, 2h or 1d"),
    ("schedule --nightly 25:00", 2, "'25:00' is no time of day; write 02:00, or off"),
    ("schedule cancel 99", 2, "no job 99 in the store"),
    ("schedule release gpu-1 n1", 2, "project 'engine' has no machine 'gpu-1'"),
    ("db export", 2, "--rows for what was measured, --out FILE for the whole store"),
    ("db export --rows --project nope", 2, "no project 'nope' in the store; there are: engine"),
    ("db import text.txt", 2, "not a dump of a store"),
    ("db prune", 2, "give one of --keep-days N and --before DATE"),
    ("dashboard --port 99999", 2, "99999 is not in the range 0<=x<=65535"),
]


@pytest.mark.parametrize(("line", "code", "said"), WRONG, ids=[line for line, _, _ in WRONG])
def test_the_message_names_the_thing_and_the_mend(tracker, line, code, said):
    ended, err = tracker(*line.split(" "))
    told = [one for one in err.splitlines() if "rror" in one]
    assert len(told) == 1 and said in told[0], err
    assert ended == code


def test_a_folder_in_the_place_of_the_policy_is_no_absent_policy(tracker, home):
    place = home / "pacekeeper.toml"
    place.mkdir()
    try:
        code, err = tracker("gate", "HEAD~1", "HEAD")
    finally:
        place.rmdir()
    assert code == 2
    assert "pacekeeper.toml: cannot be read: Is a directory" in err


def test_rows_of_an_unknown_project_leave_the_file_that_was_there(tracker, tmp_path):
    rows = tmp_path / "rows.csv"
    rows.write_text("mine")
    assert tracker("db", "export", "--rows", "--project", "nope", "--out", str(rows))[0] == 2
    assert rows.read_text() == "mine"


def ended(home, args, out):
    done = subprocess.run(
        [sys.executable, "-m", "tracker", *args],
        cwd=home, stdout=out, stderr=subprocess.PIPE, text=True, timeout=240, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.mark.parametrize("args", [["--help"], ["changepoints"], ["db", "export", "--rows"]])
def test_a_reader_that_went_away_is_no_regression(home, args):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert ended(home, args, writing) == (128 + signal.SIGPIPE, "")
    finally:
        os.close(writing)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_is_no_fault_of_ours(home):
    with Path("/dev/full").open("w") as full:
        code, err = ended(home, ["alerts", "list", "--json"], full)
    assert (code, err) == (5, "error: no space left for the output\n")
