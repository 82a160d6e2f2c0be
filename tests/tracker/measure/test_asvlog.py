from pathlib import Path

import pytest

from tracker.measure.asv.log import failed_benchmarks, fatal_reason

# What asv 0.6.6 printed for a suite that fails in every way, with --show-stderr.
LOG = Path(__file__).parents[2] / "testdata" / "asv-failures.log"


def test_every_failure_has_its_own_reason():
    found = {f.name: (f.reason, f.timed_out) for f in failed_benchmarks(LOG.read_text())}
    assert found == {
        "bench_toy.BadCache.track_a": (
            "setup_cache failed: RuntimeError: cannot load model",
            False,
        ),
        "bench_toy.BadCache.track_b": (
            "setup_cache failed: RuntimeError: cannot load model",
            False,
        ),
        "bench_toy.Good.track_crash": ("boom (exit status 3)", False),
        "bench_toy.Good.track_raise": ("ValueError: no such thing", False),
        "bench_toy.Good.track_skip": ("NotImplementedError: nope", False),
        "bench_toy.Good.track_slow": ("timed out after 3 s", True),
        "bench_toy.P.track_p": ("ValueError: n is two", False),
    }


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("· Discovering benchmarks\n· No benchmarks selected\n", "no benchmark matches"),
        ("/usr/bin/python3: No module named asv\n", "asv is not installed"),
        ("ModuleNotFoundError: No module named 'asv_runner'\n", "pip install asv_runner"),
        ("· No environments selected\n", "no usable environment"),
        ("asv.repo.NoSuchNameError: deadbeef\n", "asv does not know the commit deadbeef"),
        (
            "·· Error running x\n   ModuleNotFoundError: No module named 'nosuch'\n\n"
            "·· Last error: Command 'x' returned non-zero exit status 1\n"
            "·· Failed to build the project and import the benchmark suite.\n",
            "cannot be imported: ModuleNotFoundError: No module named 'nosuch'",
        ),
        ("Traceback:\nKeyError: 'x'\n", "KeyError: 'x'"),
        ("", "no reason in the log"),
    ],
)
def test_why_asv_gave_up(log, said):
    assert said in fatal_reason(log)
