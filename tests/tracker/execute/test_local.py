"""This machine as an executor, with real processes."""

import sys
import time

import pytest

from tracker.errors import ExecutorError
from tracker.execute.local import LocalExecutor
from tracker.execute.protocol import Order
from tracker.measure.machine import node_name

WAITS = "import sys, time; print('begun', flush=True); time.sleep(60)"


def order(tmp_path, code, **options):
    return Order(
        "job-1", (sys.executable, "-c", code), str(tmp_path), log=str(tmp_path / "log"), **options
    )


def until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def test_an_order_runs_in_its_directory_with_its_environment_and_ends(tmp_path):
    executor = LocalExecutor("local", "desk")
    code = "import os; print(os.getcwd(), os.environ['PACEKEEPER_DB']); raise SystemExit(3)"
    handle = executor.submit(order(tmp_path, code, environment={"PACEKEEPER_DB": "x"}))
    until(lambda: executor.statuses([handle])[handle].state == "ended")
    assert executor.statuses([handle])[handle].text == "its process ended with exit code 3"
    assert (tmp_path / "log").read_text() == f"{tmp_path} x\n"


def test_another_service_sees_what_runs_and_can_cancel_it(tmp_path):
    first, second = LocalExecutor("local", "desk"), LocalExecutor("local", "desk")
    handle = first.submit(order(tmp_path, WAITS))
    until(lambda: (tmp_path / "log").read_text() == "begun\n")
    assert second.statuses([handle])[handle].state == "running"
    second.cancel(handle)
    until(lambda: first.statuses([handle])[handle].state == "ended")
    assert first.statuses([handle])[handle].text == "its process ended with signal SIGTERM"
    assert second.statuses([handle])[handle].state == "ended"
    second.cancel(handle)  # no error, and no signal to whoever has the number now


@pytest.mark.parametrize("handle", ["1:nonsense", "999999999:5", "nonsense"])
def test_a_process_of_that_number_that_is_another_one_has_ended(handle):
    assert LocalExecutor("local", "desk").statuses([handle])[handle].state == "ended"


def test_what_cannot_be_started_and_a_quarantined_machine_are_errors(tmp_path):
    executor = LocalExecutor("local", "desk")
    with pytest.raises(ExecutorError, match="executor local: cannot start /no/such: No such file"):
        executor.submit(Order("job-1", ("/no/such",), str(tmp_path)))
    with pytest.raises(ExecutorError, match="is quarantined"):
        executor.submit(order(tmp_path, WAITS, avoid=[node_name()]))
