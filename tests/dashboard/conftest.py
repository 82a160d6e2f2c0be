"""Stores to look at: a filled one, an empty one; and where other projects' results lie."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import dashboard
from tests.dashboard import suite
from tests.dashboard.values import verdict
from tracker.changepoints import analyze
from tracker.ingest import ingest_directory
from tracker.store import Store

APP = Path(dashboard.__file__).parent / "streamlit_app.py"
ROOT = Path(__file__).parent.parent.parent
SHARED = Path(os.environ.get("PACEKEEPER_DATA") or ROOT.parent / "shared" / "data")
RECORDED = SHARED / "asv" / "django" / "results"  # a large project's real history, where it is


@dataclass(frozen=True)
class Filled:
    """A store's URL, and the projects in it whose results are real or written as asv does."""

    url: str
    gate_id: str
    projects: tuple[str, ...]


@pytest.fixture(scope="session")
def filled(tmp_path_factory) -> Filled:
    root = tmp_path_factory.mktemp("filled")
    url = f"sqlite:///{root / 'store.db'}"
    results = suite.write_results(root)
    (results / "runner-a" / "deadbeef-existing.json").write_text("{")
    with Store.open(url) as store:
        store.record_project("sim", commit_url="https://example.org/commit/{commit}")
        ingest_directory(store, results, project="sim")
        projects = ["sim"]
        if RECORDED.is_dir():
            ingest_directory(store, RECORDED, project="recorded")
            projects.append("recorded")
        analyze(store)
        base, head = suite.commit(39), suite.commit(40)
        gate_id = store.begin_gate(
            "sim", base=base, head=head, machine="runner-a", policy={"margin": 0.01}
        )
        verdicts = [
            verdict(suite.WORST, "regression", 0.31, 0.29, 0.33),
            verdict("bench_serving.Chat.track_mbu", "inconclusive", 0.01, -0.02, 0.04),
            verdict("bench_serving.Chat.track_energy", "pass", 0.0, -0.004, 0.004),
        ]
        store.finish_gate(gate_id, 1, verdicts, 8)
        store.begin_gate("sim", base=base, head=head, machine="runner-a", policy={})
        store.open_alert(
            "sim", key="k", title="time to first token is *worse*", detail="two series",
            revision_commit=head, num_series=2, worst_effect=0.31,
        )  # fmt: skip
    return Filled(url, gate_id, tuple(projects))


@pytest.fixture(scope="session")
def empty_url(tmp_path_factory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('empty') / 'store.db'}"
    Store.open(url).close()
    return url


@pytest.fixture(autouse=True)
def fresh_cache():
    yield
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture
def open_page(monkeypatch):
    def opened(url, page="overview", user=None, **params):
        monkeypatch.setenv("PACEKEEPER_DB", url)
        app = AppTest.from_file(str(APP), default_timeout=60)
        app.user = dict(user or {})
        for name, value in params.items():
            app.query_params[name] = value
        if page != "overview":
            app.run()
            app.switch_page(f"app_pages/{page}.py")
            for name, value in params.items():
                app.query_params[name] = value
        app.run()
        assert not app.exception
        return app

    return opened
