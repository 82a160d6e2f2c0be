"""Each page run as Streamlit runs it, without a browser."""

import random
import shutil
import sqlite3
from datetime import UTC, datetime

import pytest
import streamlit as st

from dashboard import data
from tests.dashboard import suite
from tests.dashboard.launches import store_launch
from tests.tracker.store.values import file_of, measurement
from tracker.demo.engine import SWEEP, Engine, Machine, simulate_sweep
from tracker.domain import CalibrationBlock
from tracker.ingest import ingest_directory
from tracker.store import Store, queries

PAGES = (
    "overview", "finding", "series", "compare", "frontier", "utilization", "gates", "trust", "week",
    "runs",
)  # fmt: skip


def texts(app):
    """Everything a reader sees as text, in one string."""
    kinds = ("title", "subheader", "markdown", "caption", "info", "warning", "error", "code")
    found = [element.value for kind in kinds for element in app.get(kind)]
    found += [element.proto.body for element in app.get("html")]
    found += [element.proto.label for element in app.get("page_link")]
    return "\n".join(str(text) for text in found)


def the_select(app, name):
    return next(box for box in app.selectbox if box.key == f"url:{name}")


def test_the_overview_begins_with_the_worst(filled, open_page):
    app = open_page(filled.url, project="sim")
    links = [link.proto.label.replace("\\", "") for link in app.get("page_link")]
    charts = ["Latency", "First-token time", "Utilization", "Throughput"]
    assert [link.partition("** ")[0].strip("*") for link in links[:4]] == charts
    assert links[4:6] == [f"**{suite.commit(40)[:10]}**", suite.WORST]
    said = texts(app)
    # One row for the commit, its other series inside.
    assert "2 commits, 4 series" in said
    assert app.expander[0].label == "2 more series moved at this commit"
    assert "+31" in said
    assert suite.commit(40)[:10] in said
    assert "not measured yet" in said
    assert "0 %" not in said.partition("False alarms")[2][:400]
    assert "regression · exit 1" in said
    assert "running" in said
    assert "entries that ingest could not read" in said


def test_the_false_alarm_rate_is_a_bound_once_it_was_measured(filled, open_page, tmp_path):
    path = tmp_path / "store.db"
    shutil.copy(filled.url.removeprefix("sqlite:///"), path)
    url = f"sqlite:///{path}"
    with Store.open(url) as store:
        same = suite.commit(10)
        for _ in range(20):
            gate = store.begin_gate("sim", base=same, head=same, machine="runner-a", policy={})
            store.finish_gate(gate, 0, [], 8)
    said = texts(open_page(url, project="sim"))
    assert "0 of 20" in said
    assert "below 13.9 %" in said
    assert "not measured yet" not in said


def test_what_was_not_searched_is_not_called_unchanged(open_page, tmp_path):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    store_launch(url, tmp_path / "artifacts")
    said = texts(open_page(url, project="sim"))
    assert "were not searched for level shifts yet" in said
    assert "Nothing is worse" not in said and "got better" not in said


def test_markup_in_a_name_is_text(filled, open_page):
    said = texts(open_page(filled.url, project="sim"))
    assert r"\*worse\*" in said


@pytest.mark.parametrize("page", PAGES)
def test_every_page_of_every_project_draws(filled, open_page, page):
    for project in filled.projects:
        app = open_page(filled.url, page, project=project)
        assert not app.error
        assert the_select(app, "project").value == project


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_store_says_what_fills_it(empty_url, open_page, page):
    app = open_page(empty_url, page)
    assert app.title[0].value == "Nothing measured yet"
    assert "tracker ingest" in app.code[0].value
    assert not app.error


@pytest.mark.parametrize("page", PAGES)
def test_a_missing_store_names_itself_and_the_mend(open_page, tmp_path, page):
    app = open_page(f"sqlite:///{tmp_path / 'none.db'}", page)
    assert "none.db" in app.error[0].value
    assert "tracker ingest" in app.code[0].value


def test_a_file_that_is_no_store_is_an_error_on_the_page(open_page, tmp_path):
    (tmp_path / "odd.db").write_bytes(b"not a database, whatever its name says" * 100)
    app = open_page(f"sqlite:///{tmp_path / 'odd.db'}")
    assert "not a SQLite database" in app.error[0].value


def test_another_schema_asks_for_the_upgrade(filled, open_page, tmp_path):
    path = tmp_path / "old.db"
    shutil.copy(filled.url.removeprefix("sqlite:///"), path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'unheard'")
    connection.close()
    app = open_page(f"sqlite:///{path}")
    assert app.error
    assert "upgrade" in texts(app)


def test_a_finding_names_what_moved_since_when_and_what_was_done(filled, open_page):
    app = open_page(filled.url, "finding", project="sim", commit=suite.commit(40)[:9])
    said = texts(app)
    moved, suspects = (table.value for table in app.dataframe[:2])
    assert list(moved["metric"]) == [
        suite.WORST, "bench_serving.Chat.track_itl_p50", "bench_serving.Chat.track_throughput"
    ]  # fmt: skip
    # The gate of the two commits judged the first of them and no other.
    assert list(moved["paired run"]) == ["confirmed", "–", "–"]
    assert "series=" in moved["series"][0]
    assert "project=sim" in moved["series"][0]
    assert list(suspects["commit"]) == [suite.commit(40)[:10]]
    assert suspects["link"][0].endswith(suite.commit(40))
    assert suite.commit(39)[:10] in said
    assert r"\*worse\*" in said
    assert "opened" in said
    assert "tracker alerts ack 1" in said


def test_a_finding_of_a_commit_that_moved_nothing_says_so(filled, open_page):
    app = open_page(filled.url, "finding", project="sim", commit=suite.commit(5))
    said = texts(app)
    assert "No stored level shift stands at this commit" in said
    assert "Other alerts" not in said
    assert the_select(app, "commit").value == suite.commit(5)


def test_an_alert_stands_beside_its_finding_and_any_other_below(filled, open_page, tmp_path):
    path = tmp_path / "store.db"
    shutil.copy(filled.url.removeprefix("sqlite:///"), path)
    with Store.open(f"sqlite:///{path}") as store:
        store.open_alert(
            "sim", key=f"sim/{suite.commit(40)}/runner-a", title="of the finding", detail="",
            revision_commit=suite.commit(40), machine="runner-a", num_series=2, worst_effect=0.31,
        )  # fmt: skip
    app = open_page(f"sqlite:///{path}", project="sim")
    said = texts(app)
    assert "Other alerts · 1" in said
    assert "of the finding" not in said  # its state is said in the finding's row
    assert "alert 2 · open" in said
    links = [link.proto for link in app.get("page_link")]
    assert any("worse" in link.label and "commit=" in link.query_string for link in links)


HOSTILE = "<img src=x> **bold** [l](javascript:x) :red[r] $x$ \u202e \U0001f600\n# h " + "x" * 4000


def test_hostile_texts_are_shown_as_text(filled, open_page, tmp_path):
    path = tmp_path / "store.db"
    shutil.copy(filled.url.removeprefix("sqlite:///"), path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE revision SET subject = ?, branch = ?", (HOSTILE, HOSTILE))
        connection.execute("UPDATE alert SET title = ?, note = ?", (HOSTILE, HOSTILE))
        connection.execute("UPDATE ingest_problem SET reason = ?", (HOSTILE,))
        connection.execute("UPDATE machine SET name = name || ?", (HOSTILE,))
    connection.close()
    for page in PAGES:
        app = open_page(f"sqlite:///{path}", page, project="sim")
        assert not app.error
        shown = [e.value for kind in ("markdown", "subheader", "caption") for e in app.get(kind)]
        shown += [element.proto.label for element in app.get("page_link")]
        assert not [e for e in app.get("html") if "<img src=x>" in e.proto.body], page
        for markup in ("<img src=x>", "**bold**", "[l](java", ":red[r]", "\n# h"):
            assert not [text for text in shown if markup in text], (page, markup)
        assert page == "week" or max(map(len, shown), default=0) < 1000, (
            page
        )  # that is one document


def series_id(filled, name):
    with Store.open(filled.url, read_only=True) as store:
        return str(queries.list_series(store, "sim", search=name)[0].id)


def test_a_series_states_direction_unit_and_failures(filled, open_page):
    wanted = series_id(filled, "Chat.track_throughput")
    app = open_page(filled.url, "series", project="sim", series=wanted)
    said = texts(app)
    assert "bench_serving.Chat.track_throughput" in app.subheader[0].value.replace("\\", "")
    assert "higher is better" in said
    assert "Orange crosses" in said or "orange crosses" in said
    assert the_select(app, "series").value == wanted


def test_the_series_page_opens_on_a_metric_that_says_something(filled, open_page):
    app = open_page(filled.url, "series", project="sim")
    assert "itl_p50" in app.subheader[0].value.replace("\\", "")


def test_a_point_shows_its_runs_and_other_series_are_overlaid(filled, open_page):
    wanted = series_id(filled, "Chat.track_ttft")
    repeated = suite.commit(suite.REPEATED[1])
    app = open_page(
        filled.url, "series", project="sim", series=wanted, at=repeated[:10], launches="true"
    )
    assert repeated[:10] in texts(app)
    attempts = app.dataframe[0].value
    assert list(attempts["status"]) == ["ok", "ok"]  # two launches, whose median is the dot
    assert "torch 2.12.0" in texts(app)
    assert "Single launches" in [toggle.label for toggle in app.toggle]
    other = series_id(filled, "Chat.track_mbu")
    app = open_page(filled.url, "series", **{"project": "sim", "series": wanted, "with": other})
    assert "in percent of the first values" in texts(app)
    assert not app.dataframe


def test_choosing_another_series_goes_into_the_url(filled, open_page):
    app = open_page(filled.url, "series", project="sim")
    wanted = series_id(filled, "Chat.track_mbu")
    the_select(app, "series").set_value(wanted).run()
    assert app.query_params["series"] in (wanted, [wanted])  # Streamlit versions differ
    assert "track_mbu" in app.subheader[0].value.replace("\\", "")


def test_search_and_metric_narrow_the_list(filled, open_page):
    app = open_page(filled.url, "series", project="sim", search="summarise")
    assert the_select(app, "series").label == f"Series ({len(suite.METRICS)})"
    next(box for box in app.selectbox if box.key == "metric").set_value("First-token time").run()
    assert the_select(app, "series").label == "Series (1)"
    assert "Summarise.track_ttft_p50" in app.subheader[0].value.replace("\\", "")


def test_a_search_without_hits_says_so(filled, open_page):
    app = open_page(filled.url, "series", project="sim", search="nosuchthing")
    assert "nosuchthing" in app.info[0].value


@pytest.mark.parametrize("wanted", ["999999", "x", "-1", "1e3"])
def test_a_series_that_is_not_there_is_a_warning(filled, open_page, wanted):
    app = open_page(filled.url, "series", project="sim", series=wanted)
    assert wanted in app.warning[0].value
    assert app.subheader


def test_a_scenario_shows_every_group(filled, open_page):
    app = open_page(
        filled.url, "series", project="sim", series=series_id(filled, "Chat.track_ttft"),
        view="whole scenario",
    )  # fmt: skip
    said = texts(app)
    for group in ("Latency", "First-token time", "Throughput", "Utilization", "Memory"):
        assert f"{group} · " in said
    assert len(app.get("vega_lite_chart")) == len(suite.METRICS)


def test_two_commits_are_compared_worst_first(filled, open_page):
    app = open_page(
        filled.url, "compare", project="sim", base=suite.commit(39)[:8], head=suite.commit(40)
    )
    table = app.dataframe[0].value
    assert table["metric"][0] == "ttft_p50"
    assert table["verdict"][0] == "worse"
    assert f"tracker gate {suite.commit(39)[:10]}" in texts(app)


def test_requests_of_two_commits_and_several_places_are_compared(open_page, tmp_path):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    for number in (1, 2):
        store_launch(url, tmp_path / "artifacts", number=number)
    app = open_page(url, "compare", project="sim")
    assert "Requests" in [element.value for element in app.subheader]
    quantiles = next(table.value for table in app.dataframe if "p99" in table.value)
    assert list(quantiles["measure"]) == ["TTFT", "TTFT", "ITL", "ITL"]
    assert list(quantiles["values"]) == [64, 64, 64 * 127, 64 * 127]
    with Store.open(url, read_only=True) as store:
        key = str(queries.list_series(store, "sim")[0].id)
        commits = ",".join(r.commit for r in queries.newest_revisions(store, "sim"))
    app = open_page(url, "compare", project="sim", ways="several places", places=key, at=commits)
    (table,) = (element.value for element in app.dataframe)
    assert len(table.columns) == 4  # metric, group, and the place at two commits
    assert len(app.get("vega_lite_chart")) == 1


def test_a_commit_against_itself_is_nothing_to_compare(filled, open_page):
    same = suite.commit(40)
    app = open_page(filled.url, "compare", project="sim", base=same, head=same)
    assert "same commit" in app.info[0].value


def test_a_commit_that_is_not_there_is_a_warning(filled, open_page):
    app = open_page(filled.url, "compare", project="sim", base="ffffffffff")
    assert "ffffffffff" in app.warning[0].value


def test_a_gate_shows_its_verdicts_against_the_margin(filled, open_page):
    app = open_page(filled.url, "gates", project="sim", gate=filled.gate_id)
    said = texts(app)
    assert "exit code 1" in said
    assert "±1 %" in said
    assert set(app.dataframe[0].value["verdict"]) == {"regression", "inconclusive", "pass"}


def test_trust_shows_the_record_the_noise_the_control_and_the_settings(filled, open_page, tmp_path):
    said = texts(open_page(filled.url, "trust", project="sim"))
    assert "tracker calibrate" in said
    assert "No launch of a gate ran a control here" in said
    copy = tmp_path / "store.db"
    shutil.copy(filled.url.removeprefix("sqlite:///"), copy)
    block = CalibrationBlock(
        "runner-a", datetime(2026, 1, 2, tzinfo=UTC), 20, 1, {"alpha": 0.01, "commit": "c" * 40}
    )
    with Store.open(f"sqlite:///{copy}") as store:
        store.record_calibration("sim", block)
        same = suite.commit(10)
        for exit_code in (0, 1):
            gate = store.begin_gate("sim", base=same, head=same, machine="runner-a", policy={})
            store.finish_gate(gate, exit_code, [], 8)
    app = open_page(f"sqlite:///{copy}", "trust", project="sim")
    said = texts(app)
    assert "1 of 2" in said
    assert "14 of 14 series" in said
    calibrations, resolution, settings = (table.value for table in app.dataframe)
    (row,) = calibrations.to_dict("records")
    assert (row["A/A gates"], row["false alarms"], row["commit"]) == (20, 1, "c" * 10)
    assert list(resolution["metric"]) == ["mbu", "ttft_p50", "energy"]  # coarsest first
    assert list(resolution["interval"]) == ["±3.00 %", "±2.00 %", "±0.40 %"]
    assert dict(zip(settings["setting"], settings["value"], strict=True)) == {"margin": "0.01"}


@pytest.mark.parametrize("on_cpu", [False, True], ids=["gpu", "cpu"])
def test_utilization_shows_the_launch_and_where_its_numbers_come_from(open_page, tmp_path, on_cpu):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    path = store_launch(url, tmp_path / "artifacts", on_cpu=on_cpu)
    app = open_page(url, "utilization", project="sim")
    said = texts(app)
    assert ("hardware counters" in said) == ("NVML samples" in said) == (not on_cpu)
    assert "analytic" in said
    assert ("No device was sampled" in said) == on_cpu
    # Requests, phases and the roofline; on a GPU also activity, power, clocks and temperature.
    assert len(app.get("vega_lite_chart")) == (3 if on_cpu else 7)
    path.write_text(path.read_text() + "{}\n")  # other bytes than were stored
    st.cache_data.clear()
    app = open_page(url, "utilization", project="sim")
    assert "it is another by now" in texts(app)
    assert len(app.get("vega_lite_chart")) == 1


def test_a_sweep_is_overlaid_for_two_commits(open_page, tmp_path):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    infos = {info.name: info for info in SWEEP}
    with Store.open(url) as store:
        for number in (1, 2):
            points = simulate_sweep(Engine(decode=number), Machine(), random.Random(number))
            results = [
                measurement(value, benchmark=info.name, params=(str(load),), number=number)
                for info, load, value in points
            ]
            store.record_file("sim", file_of(number, *results), benchmarks=infos)
    app = open_page(url, "frontier", project="sim")
    said = texts(app)
    assert "Highest rate within limits, base" in said
    assert "no gate states a limit" in said  # and nothing is marked without one
    assert len(app.dataframe[0].value) == 16


def test_the_week_is_the_report_of_the_command(filled, open_page):
    app = open_page(filled.url, "week", project="sim", until="2026-03-15", span="four weeks")
    said = texts(app)
    assert "Performance of sim, 2026-02-15" in said
    assert "| better | 1 | 1 |" in said


def test_runs_name_what_was_measured_and_what_could_not_be_read(filled, open_page):
    app = open_page(filled.url, "runs", project="sim")
    machines, minutes, runs, prints, problems = (table.value for table in app.dataframe)
    assert list(machines["machine"]) == ["runner-a"]
    assert minutes["gates"].sum() == 2
    assert len(runs) == 50
    assert set(runs["results"]) == {2 * len(suite.METRICS)}
    assert set(prints["torch"]) <= {"2.12.0", "2.13.0"}
    assert "deadbeef-existing.json" in problems["file"][0]
    assert problems["reason"][0] in [text.value for text in app.text]


def test_a_gate_that_is_not_there_is_a_warning(filled, open_page):
    app = open_page(filled.url, "gates", project="sim", gate="nosuchgate")
    assert "nosuchgate" in app.warning[0].value


def test_an_unknown_project_is_a_warning_and_another_is_shown(filled, open_page):
    app = open_page(filled.url, project="nosuchproject")
    assert "nosuchproject" in app.warning[0].value
    assert the_select(app, "project").value in filled.projects


def test_a_new_ingest_shows_without_a_restart(open_page, tmp_path, monkeypatch):
    monkeypatch.setattr(data, "_STAMP_TTL", 0)
    url = f"sqlite:///{tmp_path / 'store.db'}"
    results = suite.write_results(tmp_path, num_commits=3)
    with Store.open(url) as store:
        ingest_directory(store, results, project="sim")
    app = open_page(url, project="sim")
    assert "at 3 commits" in texts(app)
    (tmp_path / "more").mkdir()
    more = suite.write_results(tmp_path / "more", num_commits=5)
    with Store.open(url) as store:
        ingest_directory(store, more, project="sim")
    data._stamp.clear()  # two seconds pass
    app.run()
    assert "at 5 commits" in texts(app)
