"""One measurement at a time, and a wait that is shown."""

import subprocess
import sys
import threading

import pytest

from tracker.errors import MeasurementError
from tracker.measure.machine_lock import machine_lock


@pytest.fixture(autouse=True)
def lock(tmp_path, monkeypatch):
    path = tmp_path / "lock"
    monkeypatch.setenv("PACEKEEPER_MEASURING_LOCK", str(path))
    return path


def test_the_second_waits_for_the_first_and_says_for_whom():
    order, said, waited = [], [], []
    waits = threading.Event()

    def second():
        def on_wait(message):
            said.append(message)
            waits.set()

        with machine_lock("second", on_wait=on_wait, on_waited=waited.append):
            order.append("second")

    thread = threading.Thread(target=second)
    with machine_lock("first gate"):
        thread.start()
        assert waits.wait(30)
        order.append("first")
    thread.join(30)
    assert order == ["first", "second"]
    assert "first gate (process" in said[0]
    assert len(waited) == 1 and waited[0] > 0
    with machine_lock("third", on_wait=pytest.fail, on_waited=pytest.fail):
        pass


def test_a_holder_that_was_killed_holds_nothing(lock):
    script = (
        "import os\nfrom tracker.measure.machine_lock import machine_lock\n"
        "with machine_lock('x'): os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    with machine_lock("next", on_wait=pytest.fail):
        assert lock.read_text().startswith("next (process")


def test_a_lock_that_cannot_be_opened_is_named(lock):
    lock.mkdir()
    with pytest.raises(
        MeasurementError, match=r"cannot open the machine's lock .*: Is a directory"
    ):
        machine_lock("x").__enter__()
