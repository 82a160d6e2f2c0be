"""The charts as Vega-Lite: `to_dict` checks each against the schema, the tests what it says."""

import json
import re

import pytest

from dashboard.charts import Look, changes_chart, forest_chart, history_chart, overlay_chart
from dashboard.markup import Tile, shift_html, sparkline_html, tiles_html
from dashboard.palette import DARK, LIGHT, palette_for
from tests.dashboard.values import comparison, gate, history, series, verdict


def text_of(chart):
    return json.dumps(chart.to_dict(), ensure_ascii=False)


def marks_of(chart):
    return [layer["mark"]["type"] for layer in chart.to_dict()["layer"]]


def rows_of(chart, column):
    return [
        row[column]
        for data in chart.to_dict()["datasets"].values()
        for row in data
        if column in row
    ]


def test_the_axis_states_scaled_unit_and_direction():
    assert "ms (lower is better)" in text_of(history_chart(history([0.010, 0.011]), LIGHT))
    up = history([5000, 5100], of=series(unit="tokens/s", better="higher"))
    assert "tokens/s (higher is better)" in text_of(history_chart(up, LIGHT))


def test_failures_are_marks_on_the_axis():
    chart = history_chart(history([0.01, None, 0.01]), LIGHT)
    assert "point" in marks_of(chart)
    assert "failed" in rows_of(chart, "status")
    assert "point" not in marks_of(history_chart(history([0.01, 0.01]), LIGHT))


def test_a_history_of_failures_alone_can_be_drawn():
    assert "point" in marks_of(history_chart(history([None, None]), LIGHT))


def test_a_shift_is_drawn_in_the_colour_of_its_sense():
    worse = text_of(history_chart(history([1, 1, 2, 2], shifts=[(2, 1, 2)]), LIGHT))
    assert '"verdict": "worse"' in worse
    assert "+100 %" in worse
    undirected = history([1, 1, 2, 2], of=series(better=None), shifts=[(2, 1, 2)])
    assert '"verdict": "changed"' in text_of(history_chart(undirected, LIGHT))


def test_a_shift_is_labelled_between_its_levels_but_not_in_a_small_chart():
    shifted = history([1, 1, 2, 2], shifts=[(2, 1, 2)])
    assert set(rows_of(history_chart(shifted, LIGHT), "middle")) == {1.5}
    assert rows_of(history_chart(shifted, LIGHT, compact=True), "middle") == []


def test_a_changed_environment_is_a_labelled_rule():
    chart = history_chart(history([1, 1, 1], environments=[1]), LIGHT)
    assert set(rows_of(chart, "edge")) == {0.5}
    assert "driver: 560.1 → 565.3" in text_of(chart)
    assert set(rows_of(chart, "short")) == {"driver"}


def test_labels_that_would_touch_are_left_to_the_tooltip():
    chart = history_chart(history([1] * 40, environments=[10, 11, 12, 13, 14]), LIGHT)
    labels = [
        layer["data"]["name"]
        for layer in chart.to_dict()["layer"]
        if layer["mark"]["type"] == "text"
    ]
    shown = sum(len(chart.to_dict()["datasets"][name]) for name in labels)
    assert shown == 2  # two rows of labels, five rules
    assert len(rows_of(chart, "edge")) == 5 + shown


def test_a_huge_interval_does_not_flatten_the_values():
    wide = history([1.0, 1.1], intervals=[(-50, 50), (1.0, 1.2)])
    domain = history_chart(wide, LIGHT).to_dict()["layer"][0]["encoding"]["y"]["scale"]["domain"]
    assert domain[1] - domain[0] < 0.3


def test_points_link_to_their_commits():
    text = text_of(history_chart(history([1.0]), LIGHT, commit_url="https://x/{commit}"))
    assert "https://x/00000000" in text
    assert '"href"' in text
    assert '"href"' not in text_of(history_chart(history([1.0]), LIGHT))


def test_the_changes_are_worst_first_and_unmoved_ones_left_out():
    chart = changes_chart(
        [
            comparison(1.0, 1.0, name="b.same"),
            comparison(1.0, 0.8, name="b.faster"),
            comparison(1.0, 1.5, name="b.slower"),
            comparison(1.0, 1.1, name="b.odd", better=None),
            comparison(1.0, 1.4, name="b.noisy", noise="within"),
        ],
        LIGHT,
    )
    assert rows_of(chart, "metric") == ["slower", "faster", "odd", "noisy"]
    assert rows_of(chart, "verdict") == ["worse", "better", "changed", "changed"]
    assert changes_chart([comparison(1.0, 1.0)], LIGHT) is None


def test_the_changes_say_the_place_where_a_name_stands_twice():
    rows = [
        comparison(1.0, 1.5, name="b.x", environment="py3.12"),
        comparison(1.0, 1.4, name="b.x", environment="py3.13"),
        comparison(1.0, 1.3, name="b.y"),
    ]
    assert rows_of(changes_chart(rows, LIGHT), "caption") == [
        "+50.0 %  x · b · runner-a, py3.12",
        "+40.0 %  x · b · runner-a, py3.13",
        "+30.0 %  y · b",
    ]


def test_a_caption_never_outgrows_the_plot():
    for chart in (
        changes_chart([comparison(1.0, 2.0)], LIGHT),
        forest_chart(gate(verdict()), LIGHT),
    ):
        limits = [
            layer["mark"].get("limit")
            for layer in chart.to_dict()["layer"]
            if layer["mark"]["type"] == "text"
        ]
        assert limits == [{"expr": "width - 4"}] * 2


def test_the_largest_changes_of_both_senses_are_kept():
    rows = [comparison(1.0, 1 + i / 100, name=f"b.n{i}") for i in range(1, 30)]
    rows.append(comparison(1.0, 0.2, name="b.best"))
    shown = rows_of(changes_chart(rows, LIGHT, most=5), "metric")
    assert shown == ["n29", "n28", "n27", "n26", "best"]


def test_the_forest_shows_the_margin_and_regressions_first():
    chart = forest_chart(
        gate(
            verdict("b.ok"),
            verdict("b.bad", "regression", 0.12, 0.10, 0.14),
            verdict("b.unknown", "inconclusive", None, None, None),
        ),
        LIGHT,
        margins={"b.ok": 0.01, "b.bad": 0.02},
    )
    assert rows_of(chart, "metric") == ["b.bad", "b.ok"]
    assert sorted(rows_of(chart, "from")) == [-2.0, -1.0]


def test_a_forest_interval_without_end_is_cut():
    chart = forest_chart(gate(verdict(effect=0.01, low=-50.0, high=80.0)), LIGHT)
    text = text_of(chart)
    low, high = json.loads(re.search(r'"domain": (\[-?[\d.]+, -?[\d.]+\])', text)[1])
    assert high - low < 10


def test_exact_metrics_that_did_not_move_take_no_room_in_the_forest():
    still = verdict(metric="b.track_steps", kind="exact", effect=0.0)
    assert forest_chart(gate(still), LIGHT) is None
    moved = verdict(metric="b.track_tokens", kind="exact", effect=0.1)
    chart = forest_chart(gate(still, moved), LIGHT)
    assert "steps" not in chart.to_json()
    assert "tokens" in chart.to_json()


def test_a_gate_without_effects_has_no_forest():
    assert forest_chart(gate(verdict(effect=None)), LIGHT) is None


@pytest.mark.parametrize(("theme", "palette"), [("dark", DARK), ("light", LIGHT), (None, LIGHT)])
def test_the_palette_follows_the_theme(theme, palette):
    assert palette_for(theme) is palette


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("role", "least"),
    [("text", 4.5), ("muted", 4.5), ("worse", 4.5), ("better", 4.5), ("neutral", 4.5),
     ("rule", 3), ("value", 3), ("level", 3), ("failed", 3)],
)  # fmt: skip
def test_every_role_stands_out_from_the_background(palette, role, least):
    light, dark = sorted(
        (luminance(getattr(palette, role)), luminance(palette.background)), reverse=True
    )
    assert (light + 0.05) / (dark + 0.05) >= least


def decoded(html):
    from base64 import b64decode

    return b64decode(re.search(r"base64,([^\"]+)", html)[1]).decode()


def test_a_sparkline_breaks_where_nothing_was_measured():
    assert decoded(sparkline_html(history([1, 2, None, 3, 4]), LIGHT)).count("<polyline") == 2
    alone = decoded(sparkline_html(history([1, 2, None, 3]), LIGHT))
    assert (alone.count("<polyline"), alone.count("<circle")) == (1, 1)


def test_a_sparkline_of_nothing_says_so():
    assert "nothing measured" in sparkline_html(history([None]), LIGHT)


def test_a_sparkline_marks_the_last_shift():
    image = decoded(sparkline_html(history([1, 1, 2, 2], shifts=[(2, 1, 2)]), DARK))
    assert f'stroke="{DARK.worse}"' in image


def test_texts_are_escaped():
    assert "<b>" not in tiles_html([Tile("<b>", "<b>", "<b>")])
    odd = history([1, 2], of=series(unit="<b>"), shifts=[(1, 1, 2)])
    assert "<b>" not in shift_html(odd, odd.shifts[0], LIGHT)


def test_by_date_commits_stand_where_their_dates_are_and_levels_between_them():
    drawn = history([1.0, 1.0, 2.0, 2.0], shifts=[(2, 1.0, 2.0)], environments=(3,))
    days = [p.revision.committed_at.timestamp() / 86_400 for p in drawn.points]
    chart = history_chart(drawn, LIGHT, look=Look(by="date"))
    assert rows_of(chart, "index")[:4] == pytest.approx(days)
    assert rows_of(chart, "from") == pytest.approx([(days[2] + days[3]) / 2])
    assert pytest.approx((days[1] + days[2]) / 2) in rows_of(chart, "edge")
    # Every layer states the domain: one that did not would stretch the axis to 1970.
    domains = {
        tuple(layer["encoding"]["x"]["scale"]["domain"])
        for layer in chart.to_dict()["layer"]
        if "field" in layer["encoding"].get("x", {})
    }
    assert len(domains) == 1


def test_relative_values_are_percent_of_the_first_and_a_log_axis_needs_positive_ones():
    drawn = history([2.0, 2.0, 2.0, 2.0, 2.0, 3.0])
    relative = history_chart(drawn, LIGHT, look=Look(values="relative"))
    assert rows_of(relative, "value")[:6] == pytest.approx([100.0] * 5 + [150.0])
    for values, is_log in (([1.0, 2.0], True), ([0.0, 2.0], False)):
        log = history_chart(history(values), LIGHT, look=Look(values="log"))
        assert ('"type": "log"' in text_of(log)) == is_log


def test_an_overlay_of_two_units_is_relative_and_keeps_the_order_of_commits():
    rate = series("s.track_throughput", key=2, unit="tokens/s", better="higher", kind="rate")
    shown = [("ttft", history([0.1, 0.2])), ("rate", history([50.0, 100.0], of=rate))]
    chart = overlay_chart(shown, LIGHT, look=Look())
    assert rows_of(chart, "series") == ["ttft", "ttft", "rate", "rate"]
    assert rows_of(chart, "index") == [0, 1, 0, 1]
    assert rows_of(chart, "value") == pytest.approx([66.7, 133.3] * 2, abs=0.1)
