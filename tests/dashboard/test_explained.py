"""Where a commit's time went, on its page."""

import gzip
import shutil
from datetime import UTC, datetime

from dashboard.charts import icicle_chart
from dashboard.explained import explanation_frame
from dashboard.palette import LIGHT
from tests.dashboard import suite
from tests.dashboard.test_charts import rows_of, text_of
from tests.dashboard.test_pages import texts
from tracker.domain import ExplanationInfo
from tracker.explain.explanation import (
    Cause,
    Explained,
    Explanation,
    Frame,
    Row,
    StepChange,
    to_document,
)
from tracker.store import Store

ROW = Row(
    where="inference/model.py:119", function="Decoder.forward", op="linear", phase="decode",
    what="calls linear here, new", code="x = ops.linear(x)", calls=(12.0, 14.0), seconds=2e-5,
    low=1.5e-5, high=2.5e-5, share=0.9, is_certain=True, is_exact=True, is_changed=True,
)  # fmt: skip
FRAMES = (
    Frame(("decode",), 0.0, 1e-4, 2e-5),
    Frame(("decode", "LLM.step"), 0.0, 9e-5, 2e-5),
    Frame(("decode", "LLM.step", "linear"), 1e-5, 3e-5, 2e-5),
)


def explanation(*traces):
    traced = Explained(
        "bench_decode.TinyB8", pairs=7, steps=256,
        total=StepChange("step", 8e-5, 1e-4, 2e-5, 1e-5, 3e-5, True),
        rows=(ROW,), frames=FRAMES, traces=traces,
    )  # fmt: skip
    missing = Explained("bench_http.TinyC4", problem="it wrote no trace")
    return Explanation(
        "sim", "runner-a", suite.commit(39), suite.commit(40), "", "", Cause("code", ""),
        (traced, missing),
    )  # fmt: skip


def test_the_icicle_is_as_wide_as_a_step_and_one_row_a_level():
    chart = icicle_chart(FRAMES, LIGHT)
    assert rows_of(chart, "start") == [0.0, 0.0, 10.0]
    assert rows_of(chart, "end") == [100.0, 90.0, 40.0]
    assert rows_of(chart, "level") == [0, 1, 2]
    assert rows_of(chart, "percent") == [20.0, 20.0, 20.0]
    assert "decode › LLM.step › linear" in text_of(chart) and "+20 µs" in text_of(chart)
    assert icicle_chart((), LIGHT) is None


def test_the_finding_page_shows_table_icicle_and_traces(filled, open_page, tmp_path):
    trace, secret = tmp_path / "kept", tmp_path / "other.trace.json.gz"  # the content decides
    trace.write_bytes(gzip.compress(b'{"traceEvents": []}'))
    secret.write_bytes(gzip.compress(b"no trace"))
    result = explanation(str(trace), str(secret))
    (row,) = explanation_frame(result.suites[0]).to_dict("records")
    assert row["place"] == "inference/model.py:119 Decoder.forward"
    assert row["calls a step"] == "12 → 14" and row["95 % interval"] == "15.00 to 25.00"
    path = tmp_path / "store.db"
    shutil.copy(filled.url.removeprefix("sqlite:///"), path)
    with Store.open(f"sqlite:///{path}") as store:
        store.record_explanation(
            "sim",
            ExplanationInfo(
                result.base, result.head, result.machine, datetime.now(UTC), to_document(result)
            ),
        )
    app = open_page(f"sqlite:///{path}", "finding", project="sim", commit=suite.commit(40))
    assert not app.exception
    said = texts(app)
    assert "Where the time went" in said and "slower, 7 pairs of traces" in said
    assert "it wrote no trace" in said and "The trace of head is gone" in said
    labels = [button.proto.label for button in app.get("download_button")]
    assert [name for name in labels if "Trace" in name] == ["Trace of base (ui.perfetto.dev)"]
    untouched = open_page(filled.url, "finding", project="sim", commit=suite.commit(40))
    assert "Where the time went" not in texts(untouched)
