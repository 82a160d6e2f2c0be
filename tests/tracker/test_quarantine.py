"""A sick GPU is kept out by its name, and never blames a commit."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from tests.tracker.changepoints.histories import history, noisy, revision
from tests.tracker.cli.commands import tracker
from tests.tracker.explain.test_capture import TracedRunner, explained
from tests.tracker.gate.fakes import BASE, HEAD, Lab, launch
from tests.tracker.gate.test_session import gate
from tests.tracker.load.fake_nvml import HOPPER
from tests.tracker.load.test_telemetry import session
from tracker.domain import FingerprintChange, QuarantinedGpu
from tracker.measure.recorder import Recorder
from tracker.quarantine import sick_gpus
from tracker.shifts import find_shifts
from tracker.store import Store, queries

NOW = datetime(2026, 1, 31, tzinfo=UTC)
SICK = replace(HOPPER, uuid="GPU-SICK", sm=480)
# Eight GPUs of one host; the third serves, at a quarter of its clock.
TELEMETRY = session(SICK, *(replace(HOPPER, uuid=f"GPU-{n}") for n in range(7)), serving=1)[0]
HEALTHY = session(HOPPER, SICK, serving=1)[0]


class NoRepository:
    def remote_url(self):
        return None

    def branch(self):
        return "main"


@pytest.fixture
def recorder(store_url):
    with Store.open(store_url) as store:
        yield Recorder(store, "toy", NoRepository(), python="python")


@pytest.mark.parametrize(
    ("gpu", "is_sick"),
    [
        (SICK, True),
        (HOPPER, False),
        (replace(SICK, sm=1200), False),  # hot
        (replace(SICK, utilization=10), False),  # at rest
        (replace(SICK, highest=None), False),  # what it should reach is not known
        (replace(SICK, highest=900), False),  # set to a low clock
        (replace(SICK, sm=lambda t: 480 if t < 4 else 1980), False),  # it recovered
    ],
)
def test_a_gpu_is_sick_below_half_of_the_clock_that_it_should_reach_under_load(gpu, is_sick):
    launches = launch(telemetry=session(gpu)[0]).launches
    assert bool(sick_gpus(launches, machine="box", now=NOW)) is is_sick


def test_only_the_gpu_that_served_is_judged():
    (sick,) = sick_gpus(launch(telemetry=TELEMETRY).launches, machine="box", now=NOW)
    assert (sick.gpu, sick.reason) == ("GPU-SICK", "SM clock 480 of 1980 MHz during suite.A")
    assert sick_gpus(launch(telemetry=HEALTHY).launches, machine="box", now=NOW) == []


def test_its_launches_are_void_until_a_person_releases_it(recorder):
    assert recorder.checked(launch(telemetry=HEALTHY)).faults == ()
    seen = recorder.checked(launch(telemetry=TELEMETRY))
    (fault,) = seen.faults
    assert fault.kind == "device" and "GPU-SICK of m is in quarantine since" in fault.text
    assert "tracker doctor --release GPU-SICK" in fault.text
    recorder.launch(seen, "run")
    assert queries.newest_launches(recorder.store, "toy") == [], "none of its values is kept"
    assert "GPU-SICK" in queries.ingest_problems(recorder.store, "toy")[0].reason
    # Its clock may come back for a while: it stays out, in every project.
    mended = session(replace(SICK, sm=1980))[0]
    assert recorder.checked(launch(telemetry=mended)).faults
    assert list(queries.quarantined_gpus(recorder.store)) == ["GPU-SICK"]
    assert not recorder.store.release_gpu("GPU-OTHER", "")
    assert recorder.store.release_gpu("GPU-SICK", "new fan")
    assert recorder.checked(launch(telemetry=mended)).faults == ()
    assert recorder.checked(launch(telemetry=TELEMETRY)).faults, "and back where it is still sick"


def test_a_gate_is_invalid_and_names_the_gpu(recorder):
    """The head runs at a quarter of the clock: four times as slow, and no regression."""
    lab = Lab(effect={"suite.A.track_ttft": 3.0, "suite.B.track_e2e": 3.0})

    def measure(commit, arm, bench):
        result = lab(commit, arm, bench)
        telemetry = TELEMETRY if arm == "head" else HEALTHY
        headers = launch(telemetry=telemetry).launches
        return recorder.checked(replace(result, launches=headers))

    _, report = gate(measure)
    assert (report.outcome, report.exit_code) == ("invalid", 4)
    assert "GPU-SICK" in report.headline and "quarantine" in report.headline


def test_explain_says_that_it_is_the_node(tmp_path, recorder):
    runner = TracedRunner(tmp_path, launched=lambda commit: launch(commit, telemetry=TELEMETRY))
    result = explained(runner, check=recorder.checked)
    assert result.cause.kind == "node" and "GPU-SICK" in result.cause.text
    assert not any(suite.rows for suite in result.suites)


def test_pairs_on_two_gpus_are_not_compared_and_no_commit_is_blamed(tmp_path):
    prints = {
        commit: replace(launch().launches[0].fingerprint, extra=(("gpus", f"GPU-{commit[0]}"),))
        for commit in (BASE, HEAD)
    }
    runner = TracedRunner(tmp_path, launched=lambda c: launch(c, fingerprint=prints[c]))
    result = explained(runner)
    assert result.cause.kind == "node" and "gpus from GPU-b to GPU-h" in result.cause.text


def gpu_changes(*gpus):
    return tuple(
        FingerprintChange(revision(n), (("gpus", before, after),))
        for n, (before, after) in enumerate(pairwise(gpus), start=1)
        if before != after
    )


@pytest.mark.parametrize(
    ("gpus", "cause"),
    [
        ("A" * 20 + "B" * 20, "node"),  # the level came with the other GPU
        ("AB" * 20, "code"),  # both ran both levels
        ("A" * 40, "code"),
        ("A" * 20 + "BA" * 10, "code"),
    ],
)
def test_a_level_that_only_another_gpu_shows_is_the_nodes(gpus, cause):
    plain = history(noisy(1.0, 20) + noisy(1.2, 20))
    found = find_shifts(replace(plain, fingerprint_changes=gpu_changes(*gpus)))
    assert found.num_segments == 1, "GPUs that take turns leave a history whole"
    assert [shift.cause for shift in found.shifts] == [cause]


def test_doctor_names_it_and_releases_it(tmp_path):
    with Store.open(f"sqlite:///{tmp_path}/pacekeeper.db") as store:
        store.record_quarantine(QuarantinedGpu("GPU-SICK", "box", "H100", "SM clock 480", NOW))
    said = tracker(tmp_path, "doctor").out
    assert (
        "warn  quarantine" in said and "GPU-SICK of box is in quarantine since 2026-01-31" in said
    )
    wrong = tracker(tmp_path, "doctor", "--release", "GPU-X")
    assert wrong.code == 2 and "those that are: GPU-SICK" in wrong.err
    done = tracker(tmp_path, "doctor", "--release", "GPU-SICK", "--because", "new fan")
    assert done.code == 0 and "its launches count again" in done.out
    assert "quarantine" not in tracker(tmp_path, "doctor").out
