"""The commands in the documentation are real: every target, subcommand and option exists."""

import re
import shlex
from pathlib import Path
from typing import get_args

import click
import pytest

from tracker.cli import cli
from tracker.domain import AlertState, Kind, Outcome, ResultStatus
from tracker.load.catalogue import CATALOGUE

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def fenced_lines(page):
    inside = False
    for line in page.read_text().splitlines():
        if line.startswith("```"):
            inside = not inside
        elif inside:
            yield line.removeprefix("$ ").split("  #")[0].split(" # ")[0].strip()


def commands(word):
    for page in PAGES:
        for line in fenced_lines(page):
            if line.startswith(word + " "):
                yield pytest.param(line, id=f"{page.name}: {line[:60]}")


@pytest.mark.parametrize("line", list(commands("make")))
def test_every_make_target_exists(line):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = [word for word in shlex.split(line)[1:] if "=" not in word and not word.startswith("-")]
    assert set(named) <= targets


@pytest.mark.parametrize("line", list(commands("tracker")))
def test_every_tracker_command_and_option_exists(line):
    command, context = cli, click.Context(cli, info_name="tracker")
    known = {name for p in cli.params for name in p.opts}
    for word in shlex.split(re.split(r"[|>;&]", line)[0])[1:]:
        if word.startswith("-"):
            name = word.split("=")[0]
            assert name in known or name in ("--help", "-h"), f"{command.name} has no {name}"
        elif isinstance(command, click.Group):
            found = command.get_command(context, word)
            if found is None:
                is_value = word.isupper() or ":" in word or command.invoke_without_command
                assert is_value, f"no command {word!r} in {line!r}"
                continue
            command = found
            known = {name for p in command.params for name in [*p.opts, *p.secondary_opts]}
    assert command is not cli or "-" in line


def test_the_readme_names_both_commands():
    text = (ROOT / "README.md").read_text()
    assert "make track" in text
    assert "make test" in text


def test_every_published_metric_is_defined():
    defined, stem = set(), ""
    for cells in re.findall(
        r"^\| ((?:`\w+` ?)+)\|", (ROOT / "docs" / "metrics.md").read_text(), re.M
    ):
        for name in re.findall(r"`(\w+)`", cells):
            if not name.startswith("_"):
                stem = name.rpartition("_")[0]
            defined.add(stem + name if name.startswith("_") else name)
    assert CATALOGUE.keys() <= defined


def test_every_term_of_a_public_value_is_in_the_glossary():
    glossary = (ROOT / "docs" / "glossary.md").read_text().lower()
    terms = [*get_args(Outcome), *get_args(Kind), *get_args(AlertState), *get_args(ResultStatus)]
    assert [term for term in terms if term not in glossary] == []


def test_every_threat_names_a_test_that_exists():
    text = (ROOT / "docs" / "security.md").read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)
    assert len(named) > 10
    for path, name in named:
        assert f"def {name}(" in (ROOT / path).read_text(), f"{path} has no {name}"
