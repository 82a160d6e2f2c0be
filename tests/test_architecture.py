"""The shape of the code: import directions, light imports, exported names."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def loaded_by(statement):
    """Return the top-level modules that a fresh interpreter has loaded after `statement`."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_import_directions_hold():
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports")],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_help_loads_nothing_heavy():
    heavy = {"torch", "transformers", "sqlalchemy", "alembic", "numpy", "scipy", "streamlit"}
    code = "import sys; sys.argv = ['tracker', '--help']\nfrom tracker.cli import cli\ncli.main(['--help'], standalone_mode=False)"
    assert not loaded_by(code) & (heavy | {"pandas", "apscheduler", "pynvml", "asv"})


@pytest.mark.parametrize(
    "package", ["tracker.cli", "tracker.store", "tracker.stats", "dashboard.charts"]
)
def test_the_tracker_and_the_charts_load_without_torch(package):
    assert not loaded_by(f"import {package}") & {"torch", "transformers", "triton", "asv"}


@pytest.mark.parametrize(
    "package", ["inference", "tracker.errors", "tracker.stats", "tracker.store", "tracker.asvfmt"]
)
def test_every_exported_name_exists(package):
    module = importlib.import_module(package)
    for name in module.__all__:
        assert hasattr(module, name), f"{package}.__all__ names {name}, which is not there"


def test_every_command_in_the_help_can_be_loaded():
    from tracker.cli import COMMANDS, cli

    for name in COMMANDS:
        assert cli.get_command(None, name).help, f"tracker {name} has no help"
