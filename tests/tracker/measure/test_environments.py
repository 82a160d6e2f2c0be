"""The environments that asv would build; none is built here."""

import json
import sys

import pytest

from tracker.errors import UsageError
from tracker.measure.asv.environments import environment_names
from tracker.measure.project import load_project


@pytest.fixture
def project(toy):
    config = {
        "version": 1, "project": "toy", "repo": ".", "environment_type": "virtualenv",
        "pythons": [f"{sys.version_info.major}.{sys.version_info.minor}"],
        "matrix": {"env_nobuild": {"LEVEL": ["1", "12"]}},
    }  # fmt: skip
    (toy.root / "asv.conf.json").write_text(json.dumps(config))
    return load_project()


def test_all_of_a_matrix_or_the_one_that_is_named(project):
    names = environment_names(project, sys.executable)
    assert [name.rpartition("-")[2] for name in names] == ["LEVEL1", "LEVEL12"]
    assert environment_names(project, sys.executable, names[0]) == names[:1], "the whole name"
    assert environment_names(project, sys.executable, "LEVEL12") == names[1:]
    with pytest.raises(UsageError, match="names several; there are virtualenv"):
        environment_names(project, sys.executable, "LEVEL")
    with pytest.raises(UsageError, match="--environment LEVEL3: "):
        environment_names(project, sys.executable, "LEVEL3")


def test_an_existing_environment_has_no_name_to_choose(toy):
    assert environment_names(load_project(), sys.executable) == []
    with pytest.raises(UsageError, match="--python chooses the interpreter"):
        environment_names(load_project(), sys.executable, "py3")
