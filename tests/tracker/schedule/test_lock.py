"""One service at a time, told who holds the lock; nobody is locked out by the dead."""

import os
import signal
import subprocess
import sys

import pytest

from tracker.errors import MeasurementError
from tracker.schedule import service_lock

HOLD = """
import sys, time
from pathlib import Path
from tracker.schedule import service_lock
with service_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_service_is_told_who_measures(tmp_path, holder):
    with pytest.raises(MeasurementError) as caught, service_lock(tmp_path):
        pass
    assert f"process {holder.pid} on {os.uname().nodename} since 2" in str(caught.value)
    assert "another tracker schedule is running in this checkout" in str(caught.value)


def test_a_killed_service_leaves_no_lock(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with service_lock(tmp_path):
        assert f"process {os.getpid()}" in (tmp_path / "schedule.lock").read_text()


def test_the_lock_is_free_again_afterwards(tmp_path):
    for _ in range(2):
        with service_lock(tmp_path):
            pass
    assert (tmp_path / "schedule.lock").read_text() == ""
