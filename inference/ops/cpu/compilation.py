"""Compiles ``kernels.cpp`` for this CPU, once, and loads it.

The result lies in the user's cache, under a name made of the source, the command, the compiler and
the CPU's instructions, so that a change of any of them compiles it again.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

from inference.errors import BackendUnavailable

__all__ = ["Library", "load"]

_SOURCE = Path(__file__).with_name("kernels.cpp")
_COMPILERS = ("c++", "g++", "clang++")
_FLAGS = ("-O3", "-march=native", "-std=c++17", "-shared", "-fPIC", "-fno-exceptions", "-fno-rtti")
_TIMEOUT = 120.0  # seconds; a compiler takes about five

_TYPES = {"p": ctypes.c_void_p, "l": ctypes.c_long, "f": ctypes.c_float}
# The arguments of each function: pointers, longs and floats.
_ARGUMENTS = {
    "float32_product": "pllplp",
    "bfloat16_product": "pllplp",
    "int8_product": "plllpplpp",
    "int4_product": "plllpplpp",
    "nf4_product": "plllpplp",
    "attend_rows": "plllllpplplpflpp",
    "attend_rows_int8": "plllllpplplpflpp",
    "add_rms_norm": "pppfllpp",
    "rope_store": "ppppppppfllllpp",
    "rope_store_int8": "ppppppppfllllpp",
    "silu_mul": "plllp",
}


class Library:
    """The compiled functions, as attributes; ``kernels.cpp`` describes their arguments.

    Attributes:
        panel_width: Outputs of a weight that lie together.
    """

    def __init__(self, path: Path) -> None:
        library = ctypes.CDLL(str(path))
        for name, arguments in _ARGUMENTS.items():
            function = getattr(library, name)
            function.argtypes, function.restype = [_TYPES[kind] for kind in arguments], None
            setattr(self, name, function)
        self.panel_width: int = library.panel_width()

    def __getattr__(self, name: str) -> ctypes._NamedFuncPointer:
        # Reached only for names __init__ did not set; declares the type of those it did.
        raise AttributeError(name)


@functools.cache
def load() -> Library:
    """Return the library; compiles it where no earlier process did, which takes seconds.

    Raises:
        BackendUnavailable: There is no compiler, it failed, or nowhere to put its result.
    """
    compiler = next((path for name in _COMPILERS if (path := shutil.which(name))), None)
    if compiler is None:
        raise BackendUnavailable(f"no C++ compiler ({', '.join(_COMPILERS)}) on the path")
    try:
        return Library(_compiled(compiler))
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or [f"exit code {error.returncode}"])[-1]
        raise BackendUnavailable(f"{compiler}: {last}") from error
    except (OSError, subprocess.SubprocessError) as error:
        raise BackendUnavailable(f"{compiler}: {error}") from error


def _compiled(compiler: str) -> Path:
    version = subprocess.run(
        [compiler, "--version"], capture_output=True, text=True, check=True, timeout=_TIMEOUT
    ).stdout
    parts = (_SOURCE.read_text(), *_FLAGS, compiler, version, _instructions())
    name = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16] + ".so"
    problems: list[str] = []
    for folder in _folders():
        path = folder / name
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if folder.stat().st_uid != os.getuid():  # what lies there must not be run
                raise PermissionError(f"{folder} belongs to another user")
            if not path.exists():
                _compile(compiler, path)
        except OSError as error:
            problems.append(str(error))
        else:
            return path
    raise PermissionError(f"nowhere to put the compiled ops: {'; '.join(problems)}")


def _compile(compiler: str, path: Path) -> None:
    """Compile to ``path`` in one step, as others that do so at the same time see it."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / path.name
        subprocess.run(
            [compiler, *_FLAGS, "-o", str(made), str(_SOURCE)],
            capture_output=True,
            text=True,
            check=True,
            timeout=_TIMEOUT,
        )
        made.replace(path)


def _folders() -> list[Path]:
    """Return where the library may lie: the user's cache, then a temporary folder of the user."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111
    temporary = Path(tempfile.gettempdir()) / f"pacekeeper-{os.getuid()}"
    # Without a home the path stays relative, and would lie in the directory of work.
    return [Path(cache) / "pacekeeper"] * Path(cache).is_absolute() + [temporary]


def _instructions() -> str:
    """Return what the CPU can do: ``-march=native`` means another thing on another one."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")
