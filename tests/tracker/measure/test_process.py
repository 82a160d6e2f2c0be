"""A program of a launch: its output, its time limit, and nothing of it left behind."""

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tracker.errors import MeasurementError
from tracker.measure.process import run_logged


def run(tmp_path, script, **options):
    return run_logged(
        ["sh", "-c", script],
        directory=tmp_path,
        environment=dict(os.environ),
        log=tmp_path / "log.txt",
        **options,
    )


def is_running(pid):
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def ended(pid_file):
    """Whether the process of a file has ended; the kernel takes its time."""
    end = time.monotonic() + 30
    while is_running(pid_file.read_text().strip()) and time.monotonic() < end:
        time.sleep(0.02)
    return not is_running(pid_file.read_text().strip())


def test_the_output_is_logged_and_handed_over_line_by_line(tmp_path):
    lines = []
    code = run(tmp_path, "echo one; echo two >&2; printf three; exit 7", on_line=lines.append)
    assert (code, lines) == (7, ["one", "two", "three"])
    assert (tmp_path / "log.txt").read_text() == "one\ntwo\nthree"


def test_a_daemon_that_keeps_the_output_open_delays_nothing_and_is_ended(tmp_path):
    daemon = (
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    open('pid', 'w').write(str(os.getpid()))\n"
        "    os.rename('pid', 'daemon')\n"
        "    time.sleep(300)\n"
        "while not os.path.exists('daemon'): time.sleep(0.01)\n"
    )
    (tmp_path / "daemon.py").write_text(daemon)
    before = time.monotonic()
    assert run(tmp_path, f"{sys.executable} daemon.py") == 0
    assert time.monotonic() - before < 60
    assert ended(tmp_path / "daemon")


def test_a_program_that_takes_too_long_is_ended(tmp_path):
    with pytest.raises(MeasurementError, match=r"stopped after 0.5 s; .*raise --timeout"):
        run(tmp_path, "echo $$ > pid; sleep 100", timeout=0.5)
    assert ended(tmp_path / "pid")


def test_an_interrupted_wait_still_ends_every_process(tmp_path):
    def interrupt(_line):
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        threading.Timer(0.6, os.kill, (os.getpid(), signal.SIGINT)).start()  # during the ending

    script = "trap '' INT; sleep 100 & echo $! > pid; echo ready; wait"
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, script, on_line=interrupt)
    assert ended(tmp_path / "pid")


def test_a_program_that_is_not_there(tmp_path):
    with pytest.raises(MeasurementError, match="cannot run /nowhere/it: No such file"):
        run_logged(["/nowhere/it"], directory=tmp_path, environment={}, log=tmp_path / "log.txt")
