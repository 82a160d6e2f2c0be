"""The name this machine's results carry, and asv's own record of it.

asv keeps that in `~/.asv-machine.json`. Where the home cannot be written, the record goes to the
tracker's own directory.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import subprocess
from pathlib import Path

from tracker.domain import MachineInfo
from tracker.errors import MeasurementError
from tracker.fingerprint import cpu_model

__all__ = ["describe_machine", "machine_name", "register_machine"]

# Run by the interpreter that has asv: the same values that `asv machine --yes` would write, which
# cannot be used itself because it drops every field but the name when the name is not the host's.
_DEFAULTS = (
    "import json; from asv.machine import Machine; print(json.dumps(Machine.get_defaults()))"
)


def machine_name() -> str:
    """Return the name asv would use here: the only one it knows, else the host's."""
    known = [name for name in _read(_home_file()) if name != "version"]
    return known[0] if len(known) == 1 else platform.node()


def describe_machine(name: str) -> MachineInfo:
    """Return what this machine is, under the name that its results carry."""
    return MachineInfo(
        name=name,
        arch=platform.machine() or None,
        cpu=cpu_model(),
        num_cpu=str(os.cpu_count() or "") or None,
        os=f"{platform.system()} {platform.release()}",
    )


def register_machine(name: str, python: str, state: Path) -> Path:
    """Tell asv about the machine `name`, unless it knows it.

    Args:
        name: What results are filed under.
        python: An interpreter that has asv.
        state: The tracker's own directory.

    Returns:
        The file that holds the record.

    Raises:
        MeasurementError: asv is not installed there, or neither file can be written.
    """
    home = _home_file()
    if name in _read(home):
        return home
    done = subprocess.run([python, "-c", _DEFAULTS], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise MeasurementError(f"asv cannot be used from {python}: {last}; pip install asv")
    fields = json.loads(done.stdout)
    fields["machine"] = name
    try:
        return _add(home, name, fields)
    except OSError:
        pass
    own = state / "asv-machine.json"
    try:
        return _add(own, name, fields)
    except OSError as error:
        raise MeasurementError(f"cannot write {own}: {error.strerror}") from None


def _add(path: Path, name: str, fields: object) -> Path:
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        content = {"version": 1, **_read(path), name: fields}
        fresh = path.with_suffix(f".{os.getpid()}.tmp")
        fresh.write_text(json.dumps(content, indent=4, sort_keys=True), encoding="utf-8")
        fresh.replace(path)
    return path


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
