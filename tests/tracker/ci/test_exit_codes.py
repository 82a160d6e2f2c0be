"""Only a verdict may exit with 1."""

import subprocess
import sys

BROKEN = """
import sys
from tracker import cli
def broken(**kwargs):
    raise ZeroDivisionError("on purpose")
cli.cli.callback = broken
sys.argv = ["tracker", "alerts", "list"]
cli.main()
"""


def test_a_fault_of_ours_is_no_regression():
    done = subprocess.run([sys.executable, "-c", BROKEN], capture_output=True, text=True)
    assert done.returncode == 5
    assert "ZeroDivisionError: on purpose" in done.stderr
    assert "error: a fault in Pacekeeper itself" in done.stderr
