"""Lies on the module path of measured processes; at their end, writes where modules came from.

Python imports `sitecustomize` when it starts. This one runs in the measured interpreter, whatever
its version, so it imports the standard library alone. It is no part of the tracker's own process.
"""

import json
import os
import sys

_FOLDER = "PACEKEEPER_IMPORTS"  # where records go; children inherit it
_FOLDER_OF_ASV = "PACEKEEPER_IMPORTS_OF_ASV"  # the same, but only for asv's benchmark processes


def _chain() -> None:
    """Run the `sitecustomize` that this one hides, if there is one."""
    import importlib.machinery
    import importlib.util

    here = os.path.dirname(os.path.abspath(__file__))
    path = [entry for entry in sys.path if os.path.abspath(entry) != here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", path)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)


def _is_benchmark_process() -> bool:
    """Whether asv started this process to run benchmarks, not to build or to discover."""
    try:
        with open("/proc/self/cmdline", "rb") as stream:
            words = stream.read().split(b"\0")
    except OSError:
        return False
    for script, mode in zip(words, words[1:]):
        if script.endswith(b"benchmark.py"):
            return mode in (b"run", b"run_server", b"setup_cache")
    return False


def _record(folder: str):  # type: ignore[no-untyped-def]
    """Return a function that writes a file of (module, where it was imported from) into `folder`."""
    import hashlib

    library = os.path.dirname(os.__file__) + os.sep
    packages = (os.sep + "site-packages" + os.sep, os.sep + "dist-packages" + os.sep)

    def write() -> None:
        modules = {}
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if not isinstance(file, str) or not isinstance(name, str):
                continue
            if not os.path.exists(file):
                continue  # made without a file, and named freely, as torch.classes is
            if file.startswith(library) and not any(part in file for part in packages):
                continue  # the standard library
            modules[name] = file
        record = {"prefix": sys.prefix, "modules": modules}
        text = json.dumps(record, sort_keys=True)
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]
        path = os.path.join(folder, digest + ".json")
        if not os.path.exists(path):  # one file for processes that are alike
            fresh = f"{path}.{os.getpid()}"
            with open(fresh, "w") as stream:
                stream.write(text)
            os.rename(fresh, path)

    return write


def _watch(folder: str) -> None:
    """Write the record when this process ends, and when a forked child of it does."""
    import atexit

    write = _record(folder)
    leave = os._exit

    def write_and_leave(status: int) -> None:
        # Forked children, asv's benchmarks among them, leave by this door.
        try:
            write()
        except Exception as error:
            sys.stderr.write(f"pacekeeper: imports are not recorded: {error}\n")
        leave(status)

    atexit.register(write)
    os._exit = write_and_leave  # type: ignore[assignment]


if os.environ.get(_FOLDER_OF_ASV) and _is_benchmark_process():
    os.environ[_FOLDER] = os.environ[_FOLDER_OF_ASV]
if os.environ.get(_FOLDER):
    _watch(os.environ[_FOLDER])
_chain()
