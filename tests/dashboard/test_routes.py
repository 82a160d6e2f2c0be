"""Pictures for a README, from the server of the pages."""

import shutil

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from dashboard.routes import ROUTES
from tracker.domain import Detection, Search
from tracker.store import Store, queries


@pytest.fixture
def client():
    return TestClient(Starlette(routes=ROUTES))


def test_a_badge_says_what_is_worse_and_may_be_cached(filled, client, monkeypatch):
    monkeypatch.setenv("PACEKEEPER_DB", filled.url)
    answer = client.get("/badge/sim.svg")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/svg+xml"
    assert "max-age=300" in answer.headers["cache-control"]
    assert "4 series worse at 2 commits" in answer.text
    again = client.get("/badge/sim.svg", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_sparkline_is_drawn_for_both_themes(filled, client, monkeypatch):
    monkeypatch.setenv("PACEKEEPER_DB", filled.url)
    with Store.open(filled.url, read_only=True) as store:
        series = queries.list_series(store, "sim")[0].id
    light, dark = (client.get(f"/sparkline/{series}.svg{theme}") for theme in ("", "?theme=dark"))
    assert light.text.startswith("<svg") and "polyline" in light.text
    assert light.text != dark.text


@pytest.mark.parametrize(
    "path", ["/badge/none.svg", "/badge/sim.svg?machine=none", "/sparkline/999999.svg"]
)
def test_what_is_not_there_is_a_grey_picture_that_is_not_kept(filled, client, monkeypatch, path):
    monkeypatch.setenv("PACEKEEPER_DB", filled.url)
    answer = client.get(path)
    assert (answer.status_code, answer.headers["cache-control"]) == (404, "no-store")
    assert "unknown" in answer.text


def test_a_green_badge_needs_a_search_and_a_failing_store_is_no_pass(
    filled, client, monkeypatch, tmp_path
):
    path = tmp_path / "store.db"
    shutil.copy(filled.url.removeprefix("sqlite:///"), path)
    monkeypatch.setenv("PACEKEEPER_DB", f"sqlite:///{path}")
    with Store.open(f"sqlite:///{path}") as store:
        store.record_searches(
            [
                Search(series.id, [], "none", Detection("b", 1, 0, 1))
                for series in queries.list_series(store, "sim")
            ]
        )
    assert "nothing worse" in client.get("/badge/sim.svg").text
    path.write_bytes(b"no database at all" * 100)
    answer = client.get("/badge/sim.svg")
    assert (answer.status_code, "nothing worse" in answer.text) == (503, False)
