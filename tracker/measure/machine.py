"""The name this machine's results carry, and asv's own record of it.

asv keeps that in `~/.asv-machine.json`; a launch has a copy of its own.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import subprocess
from contextlib import suppress
from pathlib import Path

from tracker.domain import MachineInfo
from tracker.errors import MeasurementError
from tracker.fingerprint import cpu_model

__all__ = ["NODE", "describe_machine", "machine_name", "node_name", "register_machine"]

NODE = "PACEKEEPER_NODE"  # set by executors that know the node by another name than its own

# Run by the interpreter that has asv: the same values that `asv machine --yes` would write, which
# cannot be used itself because it drops every field but the name when the name is not the host's.
_DEFAULTS = (
    "import json; from asv.machine import Machine; print(json.dumps(Machine.get_defaults()))"
)


def machine_name() -> str:
    """Return the name asv would use here: the only one it knows, else the host's."""
    known = [name for name in _read(_home_file()) if name != "version"]
    return known[0] if len(known) == 1 else platform.node()


def node_name() -> str:
    """Return the name of this member of its machine class."""
    return os.environ.get(NODE) or platform.node()


def describe_machine(name: str) -> MachineInfo:
    """Return what this machine is, under the name that its results carry."""
    return MachineInfo(
        name=name,
        arch=platform.machine() or None,
        cpu=cpu_model(),
        num_cpu=str(os.cpu_count() or "") or None,
        os=f"{platform.system()} {platform.release()}",
    )


def register_machine(name: str, python: str, folder: Path) -> Path:
    """Write what asv must know of the machine `name`, and remember the name in the home.

    A launch has a file of its own: the one in the home is shared by all that runs here, may be
    rewritten during the launch, and there may be no home that can be written.

    Args:
        name: What results are filed under.
        python: An interpreter that has asv.
        folder: Of the launch.

    Returns:
        The file for asv.

    Raises:
        MeasurementError: asv is not installed there, or the file in the home is damaged.
    """
    home = _home_file()
    fields = _read(home).get(name)
    if fields is None:
        done = subprocess.run(
            [python, "-c", _DEFAULTS], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise MeasurementError(f"asv cannot be used from {python}: {last}; pip install asv")
        fields = {**json.loads(done.stdout), "machine": name}
        with suppress(OSError):  # no home of its own, as many a CI job
            _remember(home, name, fields)
    own = folder / "asv-machine.json"
    own.write_text(json.dumps({"version": 1, name: fields}, indent=1), encoding="utf-8")
    return own


def _remember(path: Path, name: str, fields: object) -> None:
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        content = {"version": 1, **_read(path), name: fields}
        fresh = path.with_suffix(f".{os.getpid()}.tmp")
        fresh.write_text(json.dumps(content, indent=4, sort_keys=True), encoding="utf-8")
        fresh.replace(path)


def _home_file() -> Path:
    return Path("~/.asv-machine.json").expanduser()


def _read(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return {}
    except (OSError, ValueError) as error:
        raise MeasurementError(f"{path} cannot be read ({error}); mend or remove it") from None
    return content if isinstance(content, dict) else {}
