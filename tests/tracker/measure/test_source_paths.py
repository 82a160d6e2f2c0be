"""The module path of a commit: what its layout and its packaging metadata say."""

import pytest

from tracker.measure.source_paths import source_paths


def tree_of(tmp_path, files):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("files", "paths"),
    [
        ({"lib.py": ""}, (".",)),
        ({"src/lib.py": ""}, ("src", ".")),
        ({"src/space/pkg/__init__.py": "", "src/space/mod.py": ""}, ("src", ".")),
        ({"src/__init__.py": "", "src/mod.py": ""}, (".",)),
        ({"src/kernel.c": ""}, (".",)),
        ({"python/lib/__init__.py": "", "Cargo.toml": ""}, ("python", ".")),
        (
            {"code/lib.py": "", "pyproject.toml": '[tool.setuptools]\npackage-dir = {"" = "code"}'},
            ("code", "."),
        ),
        (
            {
                "a/pkg/x.py": "",
                "pyproject.toml": '[tool.setuptools]\npackage-dir = {pkg = "a/pkg"}',
            },
            ("a", "."),
        ),
        (
            {
                "code/lib.py": "",
                "pyproject.toml": '[tool.setuptools.packages.find]\nwhere = ["code"]',
            },
            ("code", "."),
        ),
        (
            {
                "code/lib/x.py": "",
                "pyproject.toml": '[tool.hatch.build.targets.wheel]\npackages = ["code/lib"]',
            },
            ("code", "."),
        ),
        (
            {
                "code/lib.py": "",
                "pyproject.toml": '[tool.poetry]\npackages = [{include = "lib", from = "code"}]',
            },
            ("code", "."),
        ),
        (
            {"code/lib.py": "", "pyproject.toml": '[tool.maturin]\npython-source = "code"'},
            ("code", "."),
        ),
        (
            {
                "code/lib/x.py": "",
                "pyproject.toml": '[tool.scikit-build]\nwheel.packages = ["code/lib"]',
            },
            ("code", "."),
        ),
        ({"code/lib.py": "", "setup.cfg": "[options]\npackage_dir =\n    =code\n"}, ("code", ".")),
        (
            {
                "code/lib/x.py": "",
                "setup.py": 'from setuptools import *\nsetup(packages=find_packages("code"))',
            },
            ("code", "."),
        ),
        (
            {"code/lib.py": "", "setup.py": 'import x\nx.setup(package_dir={"": "code"})'},
            ("code", "."),
        ),
        # What cannot be read, or leads out of the tree, says nothing.
        ({"lib.py": "", "pyproject.toml": "[", "setup.py": "def"}, (".",)),
        (
            {"lib.py": "", "pyproject.toml": '[tool.setuptools]\npackage-dir = {"" = "../up"}'},
            (".",),
        ),
    ],
)
def test_the_layout_tells(tmp_path, files, paths):
    assert source_paths(tree_of(tmp_path, files)) == paths


def test_a_subdirectory_holds_the_project_and_what_is_stated_wins(tmp_path):
    tree = tree_of(tmp_path, {"core/src/lib.py": "", "core/lib.c": ""})
    assert source_paths(tree, subdir="core") == ("core/src", "core")
    assert source_paths(tree, stated=["elsewhere"], subdir="core") == ("elsewhere",)
