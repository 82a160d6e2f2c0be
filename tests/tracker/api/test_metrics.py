"""`/metrics`: what it counts, that Prometheus reads it, and that the Grafana dashboard asks for it."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from tests.tracker.api.conftest import Service
from tests.tracker.changepoints.histories import START, revision
from tests.tracker.changepoints.stores import STEPS, record_history
from tracker.api.metrics import METRICS
from tracker.load.http.prometheus import parse

DASHBOARD = Path(__file__).parents[3] / "deploy" / "grafana-dashboard.json"
# The panel types that come with Grafana.
CORE_PANELS = {"stat", "timeseries", "bargauge", "gauge", "table", "text", "row", "heatmap"}
SAMPLE = re.compile(r'^(\w+)(?:\{((?:\w+="(?:[^"\\]|\\.)*",?)*)\})? (\S+)$')


def scrape(service: Service, token: str) -> str:
    with service.client(token) as client:
        answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return answer.text


def samples(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    """Value by name and sorted labels; every line must be a sample or a comment."""
    found = {}
    for line in text.splitlines():
        if not line.startswith("# "):
            match = SAMPLE.match(line)
            assert match, line
            labels = tuple(sorted(re.findall(r'\w+="(?:[^"\\]|\\.)*"', match[2] or "")))
            assert (match[1], labels) not in found, line
            found[match[1], labels] = float(match[3])
    return found


def test_what_is_counted(service: Service) -> None:
    text = scrape(service, service.token("read", project=None))
    values = samples(text)
    engine = 'project="engine"'

    def value(name: str, *labels: str) -> float:
        return values[f"pacekeeper_{name}", tuple(sorted((engine, *labels)))]

    assert value("results_total") == 80
    assert value("gates_total", 'outcome="regression"') == 1
    assert value("gates_total", 'outcome="pass"') == 0
    assert value("gates_running") == 0
    assert value("verdicts_total", 'status="regression"') == 1
    assert value("verdicts_total", 'status="pass"') == 1
    assert value("alerts", 'state="open"') == 1
    assert value("jobs", 'state="queued"') == 0
    newest = START.timestamp() + 39 * 86400 + 3600
    assert value("newest_result_timestamp_seconds", 'machine="gpu-1"') == newest
    assert value("calibration_gates_total") == 0
    assert ("pacekeeper_false_block_rate_upper_bound", (engine,)) not in values
    assert {name for name, _ in values} <= set(METRICS)
    assert parse(text)["pacekeeper_results_total"] == 83


def test_a_token_of_one_project_sees_its_numbers_alone(service: Service) -> None:
    everything = scrape(service, service.token("read", project=None))
    assert "secret-other" in everything
    assert "secret-other" not in scrape(service, service.token("read"))
    assert "engine" not in scrape(service, service.token("read", project="secret-other"))


def test_a_bound_appears_with_the_first_aa_gate_and_a_name_is_escaped(
    own_service: Service,
) -> None:
    name = 'a"b\\c\nd'
    store = own_service.store
    record_history(store, {STEPS: [1.0] * 2}, project=name)
    commit = revision(0).commit
    gate = store.begin_gate(name, base=commit, head=commit, machine="m", policy={})
    store.finish_gate(gate, 0, [], 8, outcome="pass")
    values = samples(scrape(own_service, own_service.token("read", project=None)))
    label = r'project="a\"b\\c\nd"'
    assert values["pacekeeper_calibration_gates_total", (label,)] == 1
    assert 0.9 < values["pacekeeper_false_block_rate_upper_bound", (label,)] <= 1


def expressions() -> list[str]:
    dashboard = json.loads(DASHBOARD.read_text())
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


def test_the_dashboard_is_what_grafana_loads_and_asks_for_what_is_exported(
    service: Service,
) -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    assert {"title", "uid", "schemaVersion", "panels", "templating", "time"} <= dashboard.keys()
    assert dashboard["schemaVersion"] >= 36  # data sources are objects from there on
    assert re.fullmatch(r"[\w-]{1,40}", dashboard["uid"])
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    variables = {item["name"] for item in dashboard["templating"]["list"]}
    for panel in panels:
        assert panel["type"] in CORE_PANELS
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24  # Grafana's columns
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, f"{panel['title']} lies over another panel"
        taken |= cells
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
        for target in panel["targets"]:
            assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert set(re.findall(r"\$(\w+)", target["expr"])) <= variables
    exported: dict[str, set[str]] = {name: set() for name in METRICS}
    for name, labels in samples(scrape(service, service.token("read"))):
        exported[name] |= {label.split("=")[0] for label in labels}
    exported["pacekeeper_false_block_rate_upper_bound"].add("project")
    queries = [
        item["definition"] for item in dashboard["templating"]["list"] if "definition" in item
    ]
    asked = set()
    for expression in [*expressions(), *queries]:
        (name,) = set(re.findall(r"pacekeeper_\w+", expression))
        asked.add(name)
        assert name in METRICS, expression
        named = re.findall(r"(\w+)(?:=~|=|!=)\"", expression)
        named += re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", expression)))
        assert set(named) <= exported[name], (expression, exported[name])
    assert set(METRICS) - asked == {"pacekeeper_build_info"}, "exported, and on no panel"


@pytest.mark.prometheus
def test_a_real_prometheus_scrapes_it_and_answers_every_panel(
    service: Service, tmp_path: Path
) -> None:
    binary, promtool = shutil.which("prometheus"), shutil.which("promtool")
    if binary is None or promtool is None:
        pytest.skip("no Prometheus: neither prometheus nor promtool in PATH (Debian: prometheus)")
    token = service.token("read")
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=scrape(service, token), capture_output=True, text=True
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = {
        "global": {"scrape_interval": "200ms", "scrape_timeout": "200ms"},
        "scrape_configs": [
            {
                "job_name": "pacekeeper",
                "authorization": {"credentials": token},
                "static_configs": [{"targets": [service.url.removeprefix("http://")]}],
            }
        ],
    }
    (tmp_path / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
    log = (tmp_path / "log").open("w")
    process = subprocess.Popen(
        [binary, f"--config.file={tmp_path}/prometheus.yml", f"--web.listen-address=127.0.0.1:{port}",
         f"--storage.tsdb.path={tmp_path}/tsdb"], stdout=log, stderr=log,
    )  # fmt: skip
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:

            def query(expression: str) -> list[dict[str, object]]:
                answer = client.get("/api/v1/query", params={"query": expression}).json()
                assert answer["status"] == "success", (expression, answer)
                result: list[dict[str, object]] = answer["data"]["result"]
                return result

            deadline = time.monotonic() + 60
            while time.monotonic() < deadline and process.poll() is None:
                try:
                    if client.get("/-/ready").is_success and query("count_over_time(up[1m]) > 2"):
                        break
                except httpx.TransportError:
                    pass  # it does not listen yet
                time.sleep(0.1)
            (up,) = query("up")
            assert up["value"][1] == "1", (tmp_path / "log").read_text()
            for expression in expressions():
                result = query(expression.replace("$project", ".*"))
                absent = "false_block_rate" in expression  # no A/A gate was run here
                assert bool(result) is not absent, expression
            (alerts,) = query('sum(pacekeeper_alerts{state="open"})')
            assert alerts["value"][1] == "1"
    finally:
        process.terminate()
        process.wait(timeout=30)
        log.close()
