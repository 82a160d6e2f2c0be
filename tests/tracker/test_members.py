"""Members of a machine class: who differs from the others, by control workload and by results."""

import random

import pytest

from tracker.domain import MemberLaunch, MemberValue
from tracker.members import disagreements, sick_members


def launches(speeds, *, count=8, noise=0.005, gpus=None, seed=1):
    rng = random.Random(seed)
    listed = []
    for node, speed in speeds.items():
        for _ in range(count):
            seconds = speed * (1 + rng.gauss(0, noise))
            side = {"gemm": seconds, "copy": 1e-3 * (1 + rng.gauss(0, noise))}
            header = {"control": {"before": side, "after": side}}
            if gpus:
                header["telemetry"] = {"gpus": [{"uuid": gpus[node], "serves": True}]}
            listed.append(MemberLaunch(node, "serving.Chat", header))
    return listed


def values(speeds, *, commits=8, better="lower", noise=0.002, seed=1):
    """Every node measures every commit; each commit has a level of its own."""
    rng = random.Random(seed)
    listed = []
    for commit in range(commits):
        level = rng.uniform(0.5, 2.0)
        for number, (node, speed) in enumerate(speeds.items()):
            value = level * speed * (1 + rng.gauss(0, noise))
            run = commit * 100 + number
            listed.append(MemberValue(node, run, 1, commit, value, better))
    return listed


ALIKE = {"n1": 1.0, "n2": 1.0, "n3": 1.0, "n4": 1.0}


def test_the_sick_one_of_several_is_named_with_its_gpu():
    gpus = {node: f"GPU-{node}" for node in ALIKE}
    (sick,) = sick_members(launches(ALIKE | {"n3": 1.1}, gpus=gpus))
    assert (sick.node, sick.gpus, sick.is_sick) == ("n3", "GPU-n3", True)
    assert sick.difference == pytest.approx(0.1, abs=0.02)
    assert sick.text.startswith("control gemm of serving.Chat (GPU GPU-n3): +")
    assert "in 8 launches" in sick.text


def test_of_two_that_differ_none_is_called_sick_and_both_are_shown():
    found = disagreements(launches({"n1": 1.0, "n2": 1.1}))
    assert {item.node for item in found} == {"n1", "n2"}
    assert (
        not any(item.is_sick for item in found) and sick_members(launches({"n1": 1, "n2": 2})) == []
    )


@pytest.mark.parametrize("noise", [0.002, 0.02, 0.08])
def test_members_that_are_alike_are_not_sick_however_noisy(noise):
    for seed in range(60):
        assert disagreements(launches(ALIKE, noise=noise, seed=seed)) == []


def test_few_launches_or_one_member_say_nothing():
    assert disagreements(launches(ALIKE | {"n3": 2.0}, count=4)) == []
    assert disagreements(launches({"n1": 1.0})) == []
    assert disagreements([MemberLaunch("n1", "a", {})] * 9) == []


@pytest.mark.parametrize(("better", "speed"), [("lower", 1.1), ("higher", 1 / 1.1)])
def test_without_a_control_the_results_of_the_same_commits_show_it(better, speed):
    (sick,) = sick_members([], values(ALIKE | {"n2": speed}, better=better))
    assert (sick.node, sick.what) == ("n2", "results of the same commits")
    assert sick.difference == pytest.approx(0.1, abs=0.01)


def test_commits_that_one_member_measured_alone_say_nothing():
    alone = [MemberValue(f"n{n % 4}", n, 1, n, 1.0 + n, "lower") for n in range(40)]
    assert disagreements([], alone) == []
    undirected = values(ALIKE | {"n2": 2.0}, better=None)
    assert disagreements([], undirected) == []
