import json

import pytest

from tests.tracker.cli.commands import tracker
from tracker.diagnose import Facts
from tracker.doctor import examine_gpus, examine_host, examine_now, examine_software
from tracker.fingerprint import Gpu, GpuReport, package_versions
from tracker.host import read_host

GOOD = Gpu("H100", memory=80 << 30, persistence=True, locked_clocks=True, sm_clock=1500)


def status(findings):
    return {finding.area: finding.status for finding in findings}


@pytest.mark.parametrize(
    ("change", "area", "expected"),
    [
        ({}, "gpu 0 clocks", "ok"),
        ({"locked_clocks": False}, "gpu 0 clocks", "warn"),
        ({"locked_clocks": None}, "gpu 0 clocks", "warn"),
        ({"persistence": False}, "gpu 0 persistence", "warn"),
        ({"processes": (41, 42)}, "shared GPU", "fail"),
        ({"throttle": ("power cap",)}, "throttling", "fail"),
        ({"ecc_errors": 2}, "memory errors", "fail"),
    ],
)
def test_gpus(change, area, expected):
    import dataclasses

    report = GpuReport((dataclasses.replace(GOOD, **change),), "570.1", "12.8")
    findings = [*examine_gpus(report), *examine_now(Facts(gpus=report.gpus))]
    assert status(findings)[area] == expected
    assert all(finding.advice for finding in findings if finding.status != "ok")


def test_a_machine_without_a_gpu_is_no_failure():
    (finding,) = examine_gpus(GpuReport(error="no driver"))
    assert (finding.status, "no driver" in finding.detail) == ("warn", True)


def test_asv_is_needed_and_torch_is_not():
    found = {"python": "3.11", "asv": None, "asv_runner": "0.3.2", "torch": None, "triton": None}
    seen = status(examine_software(found, "/py"))
    assert (seen["asv"], seen["asv_runner"], seen["torch"]) == ("fail", "ok", "warn")
    assert status(examine_software({}, "/py")) == {"python": "fail"}
    # As the gate does: the asv beside the tracker runs suites in an interpreter that has none.
    assert status(examine_software(found, "/py", asv_of_tracker="0.6"))["asv"] == "ok"
    found["asv_runner"] = None
    assert status(examine_software(found, "/py", asv_of_tracker="0.6"))["asv_runner"] == "fail"


def test_another_interpreter_is_asked(tmp_path):
    import sys

    assert package_versions(sys.executable)["asv"] == package_versions()["asv"]
    link = tmp_path / "python"
    link.symlink_to(sys.executable)
    assert package_versions(str(link))["python"] == package_versions()["python"]
    assert package_versions("/nowhere/python") == {}


def test_the_host_is_read_from_its_files(tmp_path):
    governor = tmp_path / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"
    governor.parent.mkdir(parents=True)
    governor.write_text("powersave\n")
    smt = tmp_path / "sys/devices/system/cpu/smt/active"
    smt.parent.mkdir(parents=True)
    smt.write_text("1\n")
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemAvailable:   1000 kB\n")
    for name, value in (("scaling_cur_freq", "1000"), ("cpuinfo_max_freq", "4000")):
        (governor.parent / name).write_text(value)

    def seen(load):
        facts = Facts(read_host(tmp_path, load=lambda: load))
        return status([*examine_host(tmp_path), *examine_now(facts)])

    busy = seen(1000.0)
    assert [busy[a] for a in ("processor clock", "smt", "memory", "other processes")] == [
        "warn"
    ] * 4
    governor.write_text("performance\n")
    smt.write_text("0\n")
    quiet = seen(0.0)
    assert [quiet[a] for a in ("processor clock", "smt", "other processes")] == ["ok"] * 3


def test_the_command_says_what_to_do_and_exits_by_it(toy):
    toy.commit("one")
    done = tracker(toy.root, "doctor", "--json")
    assert done.code == 0, done.out
    found = {f["area"]: f for f in json.loads(done.out)["findings"]}
    assert found["project"]["status"] == found["git"]["status"] == "ok"
    assert found["store"]["status"] == "warn"
    (toy.root / "asv.conf.json").unlink()
    done = tracker(toy.root, "doctor")
    assert done.code == 4
    assert "fail  project" in done.out and "asv.conf.json" in done.out
