"""The engine must come from the tree that is to be measured."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import inference
from benchmarks.engine.source import SourceMismatchError, import_engine

ROOT = Path(inference.__file__).parents[1]


def test_another_tree_is_an_error_that_names_both(monkeypatch, tmp_path):
    monkeypatch.setenv("PACEKEEPER_SOURCE", str(tmp_path))
    with pytest.raises(SourceMismatchError) as caught:
        import_engine()
    assert str(tmp_path) in str(caught.value)
    assert str(ROOT / "inference") in str(caught.value)


def test_the_same_tree_by_another_name_is_accepted(monkeypatch, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(ROOT)
    monkeypatch.setenv("PACEKEEPER_SOURCE", str(link))
    assert import_engine().path == ROOT / "inference"


def test_without_the_variable_any_tree_will_do(monkeypatch):
    monkeypatch.delenv("PACEKEEPER_SOURCE", raising=False)
    assert import_engine().module is inference


def test_a_warm_import_has_no_time(monkeypatch):
    monkeypatch.delenv("PACEKEEPER_SOURCE", raising=False)
    import_engine()
    assert import_engine().seconds is None


def test_a_launch_of_another_tree_exits_with_4(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "bench_memory.Tiny"],
        cwd=ROOT,
        env={**os.environ, "PACEKEEPER_SOURCE": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4
    assert str(tmp_path) in done.stderr
    assert "Traceback" not in done.stderr
