"""What `tracker gate` does with its options before anything is measured."""

import json
import subprocess

import pytest
from click.testing import CliRunner

from tests.tracker.store.values import commit, committed_at
from tracker.cli import Settings
from tracker.cli.gate import command
from tracker.domain import RevisionRecord
from tracker.errors import UsageError
from tracker.store import Store


def gate(*args, db="sqlite://"):
    done = CliRunner().invoke(command, list(map(str, args)), obj=Settings(db=db))
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


@pytest.mark.parametrize("option", ["--out", "--report"])
def test_what_cannot_be_written_is_refused_before_measuring(tmp_path, option):
    folder = tmp_path / "report.xml"
    folder.mkdir()
    with pytest.raises(UsageError, match=f"{option} .*is a directory; name a file"):
        gate("HEAD", "HEAD", option, folder)


@pytest.mark.parametrize("how", ["--config", "below", "no asv project"])
def test_stored_gates_find_the_policy_as_measuring_does(tmp_path, monkeypatch, how):
    home = tmp_path / "home"
    (home / "benchmarks").mkdir(parents=True)
    (home / "benchmarks" / "__init__.py").touch()
    (home / "pacekeeper.toml").write_text("[gate]\nalpha = 0.004\n")
    if how != "no asv project":
        subprocess.run(["git", "init", "-q", home], check=True)
        (home / "asv.conf.json").write_text(json.dumps({"version": 1, "project": "p"}))
    db = f"sqlite:///{tmp_path}/gates.db"
    with Store.open(db) as store:
        store.record_revisions("p", [RevisionRecord(commit(n), committed_at(n)) for n in (1, 2)])
    where = {"--config": tmp_path, "below": home / "benchmarks", "no asv project": home}[how]
    monkeypatch.chdir(where)
    config = ["--config", home / "asv.conf.json"] if how == "--config" else []
    done = gate(commit(1), commit(2), "--stored", "--format", "json", *config, db=db)
    assert json.loads(done.output)["alpha"] == 0.004
