"""Real launches in an interpreter of their own: the commit's code is measured, or the launch is faulty."""

import os
import subprocess
import sys
import time
from pathlib import Path

import asv_runner
import pytest

from tests.tracker.cli.commands import tracker
from tracker.errors import MeasurementError
from tracker.measure.asv.runner import AsvRunner
from tracker.measure.project import load_project
from tracker.measure.settings import MeasureSettings

SUITE = """
def track_steps():
    import toylib
    return toylib.STEPS
track_steps.better = "lower"
track_steps.kind = "exact"
"""
HOOK = """
import importlib.util, sys
class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "toylib":
            return importlib.util.spec_from_file_location(name, {file!r})
sys.meta_path.insert(0, Finder)
"""


@pytest.fixture(scope="module")
def venv(tmp_path_factory):
    """An interpreter that has asv_runner and nothing of the project; its site-packages."""
    root = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", root], check=True)
    (site,) = root.glob("lib/python*/site-packages")
    (site / "runner.pth").write_text(str(Path(asv_runner.__file__).parents[1]))
    return root, site


@pytest.fixture
def project(toy, venv):
    """A toy whose commits have 10 and 20 steps, in any layout; what is installed goes at the end."""
    python, site = venv
    (toy.root / "benchmarks" / "bench_toy.py").write_text(SUITE)
    before = set(site.iterdir())

    class Project:
        root = toy.root

        def commits(self, place=".", files=None):
            (self.root / place).mkdir(parents=True, exist_ok=True)
            for name, text in (files or {}).items():
                (self.root / name).write_text(text)
            for steps in (10, 20):
                (self.root / place / "toylib.py").write_text(f"STEPS = {steps}\n")
                toy.commit(f"{steps} steps")
            return toy.git("rev-parse", "HEAD~1"), toy.git("rev-parse", "HEAD")

        def commit(self, message):
            return toy.commit(message)

        def install(self, name, text):
            (site / name).parent.mkdir(exist_ok=True)
            (site / name).write_text(text)

        def runner(self, **options):
            return AsvRunner(
                load_project(), machine="lab", python=str(python / "bin" / "python"), **options
            )

        def measured(self, commit, **options):
            result = self.runner(**options).launch(commit)
            return result.values().get("bench_toy.track_steps"), [f.text for f in result.faults]

    made = Project()
    yield made
    for path in set(site.iterdir()) - before:
        subprocess.run(["rm", "-rf", path], check=True)


@pytest.mark.parametrize("place", ["src", "."])
def test_an_editable_installation_by_path_does_not_get_in_the_way(project, place):
    base, head = project.commits(place)
    project.install("__editable__.toylib.pth", str(project.root / place))
    assert project.measured(base) == (10, [])
    assert project.measured(head) == (20, [])


def test_an_editable_installation_by_import_hook_is_a_fault(project):
    base, _ = project.commits("src")
    project.install("hook.py", HOOK.format(file=str(project.root / "src" / "toylib.py")))
    project.install("hook.pth", "import hook")
    _, (fault,) = project.measured(base)
    assert "toylib was imported from" in fault and "uninstall" in fault


def test_a_copy_in_site_packages_of_code_that_lies_anywhere_is_a_fault(project):
    base, _ = project.commits("odd")
    project.install("toylib.py", "STEPS = 7\n")
    value, (fault,) = project.measured(base)
    assert value == 7 and 'state [project] source = ["odd"]' in fault


def test_a_layout_that_nothing_tells_is_a_fault_until_it_is_stated(project):
    base, head = project.commits("odd/place")
    project.install("odd.pth", str(project.root / "odd" / "place"))
    assert project.measured(base) == (
        20,
        [
            "other code than the commit's was measured: toylib was imported from "
            f'{project.root}/odd/place/toylib.py; state [project] source = ["odd/place"] in '
            "pacekeeper.toml"
        ],
    )
    python = str(project.runner().python)
    done = tracker(project.root, "run", "HEAD~1..HEAD", "--python", python)
    assert done.code == 4 and "state [project] source" in done.err
    assert tracker(project.root, "db", "export", "--rows").out.count("\n") == 1, (
        "a header and no value"
    )
    (project.root / "pacekeeper.toml").write_text('[project]\nsource = ["odd/place"]\n')
    done = tracker(project.root, "gate", base, head, "--python", python, "--fresh")
    assert done.code == 1 and "track_steps" in done.out


def test_a_commit_that_kills_its_benchmark_is_broken_whatever_proof_is_left(project):
    """No record of the killed process is left; the other benchmark imports nothing."""
    base, _ = project.commits()
    constant = "\ndef track_constant():\n    return 3\ntrack_constant.better = 'lower'\n"
    suite = project.root / "benchmarks" / "bench_toy.py"
    suite.write_text(SUITE + constant + "track_constant.kind = 'exact'\n")
    (project.root / "toylib.py").write_text("import os\nos.kill(os.getpid(), 9)\n")
    head = project.commit("killed")
    done = tracker(project.root, "gate", base, head, "--python", project.runner().python, "--fresh")
    assert done.code == 1 and "BROKEN: HEAD fails bench_toy.track_steps" in done.out
    suite.write_text(SUITE)  # nothing else is measured
    done = tracker(project.root, "gate", base, head, "--python", project.runner().python, "--fresh")
    assert done.code == 1 and "BROKEN: HEAD fails bench_toy.track_steps" in done.out


def test_a_suite_that_puts_the_checkout_on_the_path_is_a_fault(project):
    base, _ = project.commits("src")
    suite = "import sys\nsys.path.insert(0, __file__.rsplit('/', 2)[0] + '/src')\n" + SUITE
    (project.root / "benchmarks" / "bench_toy.py").write_text(suite)
    _, (fault,) = project.measured(base)
    assert "take the checkout off sys.path" in fault


def test_a_process_that_a_benchmark_starts_is_looked_at_as_well(project):
    base, _ = project.commits()

    def suite(code):
        text = (
            "import subprocess, sys\n"
            "def track_steps():\n"
            f"    return int(subprocess.check_output([sys.executable, '-c', {code!r}]))\n"
        )
        (project.root / "benchmarks" / "bench_toy.py").write_text(text)

    code = "import toylib; print(toylib.STEPS)"
    suite(code)
    assert project.measured(base) == (10, [])
    suite(f"import sys; sys.path.insert(0, {str(project.root)!r}); {code}")
    value, (fault,) = project.measured(base)
    assert value == 20 and "toylib was imported from" in fault


EXTENSION = {
    "setup.py": "from setuptools import *\nsetup(ext_modules=[Extension('_toy', ['_toy.c'])])\n",
    "_toy.c": "int steps = 10;\n",
}


def test_changed_sources_that_need_a_build_are_refused_unless_something_builds(project):
    base, _ = project.commits(files=EXTENSION)
    assert project.measured(base) == (10, [])
    head = project.commits(files={"_toy.c": "int steps = 20;\n"})[0]
    assert project.measured(head) == (10, []), "built from what the checkout has"
    _, (fault,) = project.measured(base)
    assert "_toy.c" in fault and "[measure] build" in fault
    # A build in the tree: what it makes is the commit's.
    settings = MeasureSettings(
        build="sed 's/int steps = /STEPS = 1000 + /; s/;//' _toy.c > toylib_.py; mv toylib_.py built.py"
    )
    suite = SUITE.replace(
        "import toylib\n    return toylib.STEPS", "import built, toylib\n    return built.STEPS"
    )
    (project.root / "benchmarks" / "bench_toy.py").write_text(suite)
    assert project.measured(base, settings=settings) == (1010, [])
    assert project.measured(head, settings=settings) == (1020, [])
    with pytest.raises(MeasurementError, match=r"the build failed with exit code 3: no compiler"):
        project.measured(head, settings=MeasureSettings(build="echo no compiler; exit 3"))


def test_measured_code_sees_no_secret_and_needs_no_home(project, monkeypatch):
    base, _ = project.commits()
    monkeypatch.setenv("PACEKEEPER_DB", "postgresql://me:hunter-2@host/name")
    monkeypatch.setenv("GITHUB_TOKEN", "hunter-2")
    monkeypatch.setenv("NEEDED_TOKEN", "hunter-2")
    monkeypatch.setenv("HOME", "/proc/nowhere")
    suite = SUITE + (
        "\ndef track_environment():\n"
        "    import os\n"
        "    print(sorted(os.environ.items()))\n"
        "    names = [n for n, v in os.environ.items() if 'retnuh'[::-1] in v]\n"
        "    raise RuntimeError(' '.join(names))\n"
    )
    (project.root / "benchmarks" / "bench_toy.py").write_text(suite)
    result = project.runner(settings=MeasureSettings(keep_env=("NEEDED_TOKEN",))).launch(base)
    assert result.failed() == {"bench_toy.track_environment": "RuntimeError: NEEDED_TOKEN"}
    assert result.values() == {"bench_toy.track_steps": 10}
    log = result.log.read_text()
    assert "OMP" in log or "PATH" in log
    assert log.count("hunter-2") == 1, "the one that is kept"


def test_a_daemon_of_a_benchmark_neither_hangs_the_launch_nor_outlives_it(project):
    base, _ = project.commits()
    suite = SUITE + (
        "\ndef setup():\n"
        "    import os, subprocess, sys, time\n"
        "    subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True,\n"
        "                     env=dict(os.environ, DAEMON_OF_THE_TEST='1'))\n"
    )
    (project.root / "benchmarks" / "bench_toy.py").write_text(suite)
    before = time.monotonic()
    assert project.measured(base) == (10, [])
    assert time.monotonic() - before < 120
    mark = b"DAEMON_OF_THE_TEST=1"
    end = time.monotonic() + 30
    while _alive(mark) and time.monotonic() < end:
        time.sleep(0.05)
    assert not _alive(mark)


def _alive(mark):
    alive = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (entry / "environ").read_bytes():
                alive.append(entry.name)
        except OSError:
            continue
    return [pid for pid in alive if pid != str(os.getpid())]


def test_the_subdirectory_of_asvs_configuration_holds_the_package(project):
    base, head = project.commits("core/src")
    text = (project.root / "asv.conf.json").read_text()
    (project.root / "asv.conf.json").write_text(
        text.replace('"project"', '"repo_subdir": "core", "project"')
    )
    assert project.measured(base) == (10, [])
    assert project.measured(head) == (20, [])
