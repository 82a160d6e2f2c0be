"""The environments that asv builds for a project, and the interpreter that runs asv."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec

from tracker.errors import UsageError, did_you_mean
from tracker.measure.project import MeasuredProject

__all__ = ["asv_python", "environment_names"]

_SCRIPT = """
import json, sys
from asv import environment
from asv.config import Config
conf = Config.load(sys.argv[1])
print(json.dumps([env.name for env in environment.get_environments(conf, None, verbose=False)]))
"""


def asv_python(python: str) -> str:
    """Return the interpreter that runs asv: the tracker's own if it has asv, else `python`.

    The measured interpreter needs `asv_runner` alone.
    """
    return sys.executable if find_spec("asv") else python


def environment_names(
    project: MeasuredProject, python: str, wanted: str | None = None
) -> list[str]:
    """Return the names of the environments that asv builds for `project`; empty where it builds none.

    Args:
        project: With `matrix`, `pythons` and `include` in its configuration.
        python: The measured interpreter, which may have to run asv.
        wanted: One of them: its name, or a part that only one has.

    Raises:
        UsageError: asv cannot say, or there is no such environment, or several.
    """
    if not project.builds_environments:
        if wanted is not None:
            raise UsageError(
                f"--environment {wanted}: asv builds no environments here (environment_type "
                '"existing"); --python chooses the interpreter'
            )
        return []
    done = subprocess.run(
        [asv_python(python), "-c", _SCRIPT, str(project.config_path)],
        cwd=project.config_path.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UsageError(f"asv cannot list the environments of {project.config_path}: {last}")
    names: list[str] = list(dict.fromkeys(json.loads(done.stdout.splitlines()[-1])))
    if not names:
        raise UsageError(
            f"asv finds no usable environment in {project.config_path}; are its `pythons` installed?"
        )
    if wanted is None:
        return names
    chosen = [name for name in names if name == wanted] or [n for n in names if wanted in n]
    if len(chosen) != 1:
        reason = "names several" if chosen else did_you_mean(wanted, names)
        raise UsageError(f"--environment {wanted}: {reason}; there are {', '.join(names)}")
    return chosen
