"""Which code a launch ran: records of processes against what a commit's tree provides."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tracker.measure.imports import (
    Expected,
    ImportRecord,
    Installed,
    import_faults,
    installed_from,
    provided_modules,
)


@pytest.fixture
def place(tmp_path):
    """A checkout with suites, and the worktree of a commit in it."""

    class Place:
        checkout = tmp_path / "checkout"
        tree = checkout / ".pacekeeper" / "worktrees" / "abc"
        site = tmp_path / "venv" / "lib" / "site-packages"

        def file(self, path, text=""):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            return path

        def expected(self, *paths, **changes):
            return dataclasses.replace(
                Expected(
                    tree=self.tree,
                    paths=paths or (".",),
                    checkout=self.checkout,
                    suites=self.checkout / "benchmarks",
                ),
                **changes,
            )

        def judge(self, modules, *paths, **changes):
            record = ImportRecord(self.site.parents[1], modules)
            return import_faults([record], self.expected(*paths, **changes))

    made = Place()
    made.file(made.tree / "lib" / "__init__.py")
    made.own = {"lib": made.tree / "lib" / "__init__.py"}
    return made


def test_the_commits_own_modules_prove_it_whatever_else_is_imported(place):
    suites = {"benchmarks.bench_x": place.checkout / "benchmarks" / "bench_x.py"}
    others = {"numpy": place.site / "numpy" / "__init__.py"}
    # A virtual environment inside the checkout is no code of the checkout.
    inside = {"yaml": place.checkout / ".venv" / "lib" / "site-packages" / "yaml" / "__init__.py"}
    assert place.judge({**place.own, **suites, **others, **inside}) == ([], [])


def test_the_load_harness_with_all_it_imports_counts_as_the_suites_and_no_more_of_the_tracker(
    place,
):
    script = (
        "import json, pkgutil, sys, tracker.load as load;"
        "[__import__(m.name) for m in pkgutil.walk_packages(load.__path__, 'tracker.load.')"
        " if not m.name.endswith('__main__')];"
        "print(json.dumps({n: m.__file__ for n, m in sys.modules.items() if n.startswith('tracker')}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    harness = {name: Path(file) for name, file in json.loads(done.stdout).items()}
    place.file(place.tree / "tracker" / "__init__.py")
    place.file(place.tree / "tracker" / "gate.py")
    assert place.judge({**place.own, **harness}) == ([], [])
    gate = harness["tracker"].parent / "gate" / "__init__.py"
    ((fault,), _) = place.judge({**place.own, **harness, "tracker.gate": gate})
    assert "tracker.gate was imported from" in fault.text


def test_a_copy_in_site_packages_is_not_the_commit(place):
    ((fault,), _) = place.judge({"lib.core": place.site / "lib" / "core.py"})
    assert fault.kind == "code"
    assert "lib.core was imported from" in fault.text and "uninstall" in fault.text


def test_any_code_of_the_checkout_is_another_commits_whatever_its_name(place):
    helper = {"helper": place.checkout / "tools" / "helper.py"}
    ((fault,), _) = place.judge({**place.own, **helper})
    assert (
        "helper was imported from" in fault.text and "take the checkout off sys.path" in fault.text
    )
    built = {"lib._x": place.checkout / "build" / "_x.so"}
    assert place.judge({**place.own, **built})[0], "an extension that was built in the checkout"
    other = {"lib.core": place.tree.with_name("def") / "lib" / "core.py"}
    assert place.judge({**place.own, **other})[0], "another commit's tree"


def test_the_mend_names_the_directory_where_the_tree_has_the_module(place):
    place.file(place.tree / "odd" / "place" / "toylib.py")
    ((fault,), _) = place.judge(
        {"toylib": place.checkout / "odd" / "place" / "toylib.py", **place.own}
    )
    assert 'state [project] source = ["odd/place"]' in fault.text


def test_nothing_of_the_commit_and_no_record_at_all_prove_nothing(place):
    ((fault,), _) = place.judge({"numpy": place.site / "numpy.py"})
    assert "no module of the commit was imported" in fault.text
    ((fault,), _) = import_faults([], place.expected())
    assert "cannot be proved" in fault.text


def test_a_package_anywhere_in_the_tree_belongs_to_it_but_vendored_ones_do_not(place):
    place.file(place.tree / "services" / "core" / "toylib" / "__init__.py")
    place.file(place.tree / "third_party" / "numpy" / "__init__.py")
    numpy = {"numpy": place.site / "numpy" / "__init__.py"}
    assert place.judge({**place.own, **numpy}) == ([], [])
    copy = {"toylib": place.site / "toylib" / "__init__.py"}
    ((fault,), _) = place.judge({**place.own, **copy})
    assert 'state [project] source = ["services/core"]' in fault.text


def test_a_tree_without_python_cannot_be_proved_and_that_is_said(place):
    place.own["lib"].unlink()
    faults, (note,) = place.judge({})
    assert faults == [] and "cannot be proved" in note


def test_what_a_distribution_of_the_project_provides_belongs_to_it(place):
    installed = [Installed("Lib-Dist", frozenset({"other"}))]
    modules = {**place.own, "other.x": place.site / "other" / "x.py"}
    assert place.judge(modules) == ([], [])
    ((fault,), _) = place.judge(modules, installed=installed)
    assert "python -m pip uninstall Lib-Dist" in fault.text


def test_a_compiled_module_of_the_environment(place):
    modules = {**place.own, "_fast": place.site / "_fast.so"}
    compiled = frozenset({"_fast"})
    faults, (note,) = place.judge(modules, compiled=compiled)
    assert faults == [] and "nothing proves that it was built from them" in note
    ((fault,), _) = place.judge(modules, compiled=compiled, compiled_as_in_checkout=False)
    assert "_fast was imported from" in fault.text
    assert place.judge({**place.own, "zlib": place.site / "zlib.so"}, compiled=compiled) == ([], [])


def test_an_environment_that_asv_built_must_hold_the_commits_text(place):
    env = place.checkout / "env"
    installed = place.file(env / "1" / "lib" / "site-packages" / "lib" / "__init__.py")
    version = place.file(installed.with_name("_version.py"), "written by the build")
    place.file(place.tree / "lib" / "_version.py")
    modules = {"lib": installed, "lib._version": version}
    assert place.judge(modules, environments=env) == ([], [])
    installed.write_text("STEPS = 1")
    ((fault,), _) = place.judge(modules, environments=env)
    assert "does not hold the commit" in fault.text
    ((fault,), _) = place.judge({"numpy": env / "numpy.py"}, environments=env)
    assert "no module of the commit" in fault.text


def test_namespaces_are_shared_and_top_level_folders_are_none(tmp_path):
    for name in ("google/cloud/x/__init__.py", "single.py", "src/deep/mod.py", "docs/conf.py",
                 "benchmarks/__init__.py", "setup.py"):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "google").rename(tmp_path / "src" / "google")
    provided = provided_modules(tmp_path, ["src", "."], tmp_path / "benchmarks")
    assert provided == {"google.cloud.x", "deep.mod", "single"}


def test_distributions_are_found_by_name_and_by_where_they_came_from(tmp_path):
    (found,) = installed_from(sys.executable, tmp_path, ["PyTest"])
    assert found.name == "pytest" and "pytest" in found.modules
    assert installed_from(sys.executable, tmp_path, ["no-such-thing"]) == []
    assert installed_from("/bin/false", tmp_path, ["pytest"]) == []
