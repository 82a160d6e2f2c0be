"""Hardware counters: the tools' command lines, and what is read of their files."""

import sqlite3
from pathlib import Path

import pytest

from tracker.errors import MeasurementError
from tracker.explain.deep import (
    DeepError,
    Tool,
    find_tool,
    guilty_kernels,
    read_counters,
    with_counters,
)
from tracker.explain.explanation import Cause, Explained, Explanation, Row
from tracker.report.explanation import explanation_text

NCU, NSYS = Tool("ncu", "/opt/ncu"), Tool("nsys", "/opt/nsys")
# As ncu 2025.1 writes it with --csv --log-file: remarks first, a row for each kernel and metric.
NCU_CSV = """\
==PROF== Connected to process 4711 (/usr/bin/python3.12)
==PROF== Profiling "gemm_64x64" - 0: 0%....50%....100% - 3 passes
==PROF== Disconnected from process 4711
"ID","Process ID","Process Name","Host Name","Kernel Name","Context","Stream","Block Size","Grid Size","Device","CC","Section Name","Metric Name","Metric Unit","Metric Value"
"0","4711","python3.12","127.0.0.1","void at::native::gemm_64x64<float, 4>(float *, int)","1","7","(128, 1, 1)","(64, 1, 1)","0","9.0","Command line profiler metrics","lts__t_sector_hit_rate.pct","%","{l2}"
"0","4711","python3.12","127.0.0.1","void at::native::gemm_64x64<float, 4>(float *, int)","1","7","(128, 1, 1)","(64, 1, 1)","0","9.0","Command line profiler metrics","dram__throughput.avg.pct_of_peak_sustained_elapsed","%","40.00"
"1","4711","python3.12","127.0.0.1","void at::native::gemm_64x64<float, 4>(float *, int)","1","7","(128, 1, 1)","(64, 1, 1)","0","9.0","Command line profiler metrics","lts__t_sector_hit_rate.pct","%","{l2}"
"1","4711","python3.12","127.0.0.1","void at::native::gemm_64x64<float, 4>(float *, int)","1","7","(128, 1, 1)","(64, 1, 1)","0","9.0","Command line profiler metrics","sm__cycles_active.avg.pct_of_peak_sustained_elapsed","%","n/a"
"""


def row(where):
    return Row(
        where, "", "", "decode", "slower", "", (1, 1), 1e-5, None, None, None, True, False, None
    )


SUITE = Explained(
    "bench.A",
    pairs=7,
    ops=(row("void at::native::gemm_64x64<float, 4>(float *, int)"), row("aten::mm")),
)


def explanation(*suites):
    return Explanation("p", "m", "b" * 40, "h" * 40, "", "", Cause("code", ""), suites or (SUITE,))


def test_the_tools_are_looked_for_in_order():
    assert find_tool(lambda name: f"/opt/{name}") == NCU
    assert find_tool({"nsys": "/opt/nsys"}.get) == NSYS
    assert find_tool(lambda name: None) is None


def test_ncu_profiles_the_guilty_kernels_alone(tmp_path):
    assert guilty_kernels(SUITE) == ["gemm_64x64"]
    prefix = NCU.prefix(["gemm_64x64", "_norm"], tmp_path / "base.csv")
    assert prefix[0] == "/opt/ncu"
    assert prefix[prefix.index("--kernel-name") + 1] == "regex:^(gemm_64x64|_norm)$"
    assert "lts__t_sector_hit_rate.pct" in prefix[prefix.index("--metrics") + 1]


def test_the_counters_of_both_commits_stand_beside_each_other(tmp_path):
    def launch(arm, prefix):
        out = Path(prefix[prefix.index("--log-file") + 1])
        out.write_text(NCU_CSV.format(l2={"base": "80.00", "head": "20.50"}[arm]))

    result = with_counters(explanation(), NCU, launch, tmp_path)
    assert result.warnings == ()
    assert [(c.name, c.base, c.head) for c in result.suites[0].kernel_counters] == [
        ("L2 hit rate", 0.8, 0.205), ("DRAM throughput", 0.4, 0.4),
    ]  # fmt: skip
    text = explanation_text(result)
    assert "L2 hit rate" in text and "20.5%" in text and "SM active" not in text, "not read: absent"


def test_nsys_gives_the_mean_of_the_samples_in_a_kernels_time(tmp_path):
    out = NSYS.output(tmp_path, "base")
    prefix = NSYS.prefix([], out)
    assert prefix[-1] == str(tmp_path / "base") and "--gpu-metrics-devices=all" in prefix
    with sqlite3.connect(out) as database:
        database.executescript(
            "CREATE TABLE StringIds (id, value);"
            "CREATE TABLE CUPTI_ACTIVITY_KIND_KERNEL (start, end, shortName);"
            "CREATE TABLE TARGET_INFO_GPU_METRICS (typeId, metricId, metricName);"
            "CREATE TABLE GPU_METRICS (timestamp, typeId, metricId, value);"
            "INSERT INTO StringIds VALUES (1, 'gemm_64x64');"
            "INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES (100, 200, 1);"
            "INSERT INTO TARGET_INFO_GPU_METRICS VALUES (0, 1, 'SMs Active [Throughput %]');"
            "INSERT INTO GPU_METRICS VALUES (99, 0, 1, 5), (100, 0, 1, 60), (199, 0, 1, 80), (200, 0, 1, 5);"
        )
    assert read_counters(NSYS, out) == {"gemm_64x64": {"SM active": 0.7}}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("==ERROR== ERR_NVGPUCTRPERM - The user does not have permission to access counters\n", "ERR_NVGPUCTRPERM"),
        ("==PROF== Connected to process 1\n", "no counter of the kernels"),
        (None, "was not written"),
    ],
)  # fmt: skip
def test_a_tool_without_counters_says_why(text, reason, tmp_path):
    out = NCU.output(tmp_path, "base")
    if text is not None:
        out.write_text(text)
    with pytest.raises(DeepError, match=reason):
        read_counters(NCU, out)
    result = with_counters(explanation(), NCU, lambda arm, prefix: None, tmp_path)
    assert reason in result.warnings[0] and result.suites == (SUITE,)


def test_no_tool_no_kernel_and_a_failing_launch_are_said(tmp_path):
    def fail(arm, prefix):
        raise MeasurementError("it broke")

    assert "neither ncu nor nsys" in with_counters(explanation(), None, fail, tmp_path).warnings[0]
    plain = explanation(Explained("bench.A", pairs=7))
    assert "no kernel of a GPU" in with_counters(plain, NCU, fail, tmp_path).warnings[0]
    assert "it broke" in with_counters(explanation(), NCU, fail, tmp_path).warnings[0]
