"""llm-d's benchmark report 0.2, in YAML or JSON: each value with its units."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tracker.readers.inference_perf import statistics
from tracker.readers.tool import NotReadable, ToolReader, ToolRun, Value, moment, number, rate

__all__ = ["READER"]

VERSION = "0.2"
_FITS = re.compile(rb'^\s*"?request_performance"?\s*:', re.MULTILINE)
_LOAD = ("rate_qps", "concurrency", "stage", "parallelism")


def _parse(document: Any) -> Iterator[ToolRun]:
    version = str(document.get("version"))
    if not re.fullmatch(rf"{re.escape(VERSION)}(\.\d+)?", version):
        raise NotReadable(f"version {version}; {VERSION} is read")
    aggregate = document["results"]["request_performance"]["aggregate"]
    values: list[Value] = []
    requests = aggregate.get("requests") or {}
    total = number(requests.get("total", 0), "the number of requests")
    failures = number(requests.get("failures") or 0, "the number of failures")
    if total > failures or not total:
        for name, statistic in (aggregate.get("latency") or {}).items():
            values += statistics(name, statistic, str(statistic["units"]))
    for name, statistic in (aggregate.get("throughput") or {}).items():
        values.append(rate(name, statistic["mean"], str(statistic["units"])))
    if total:
        values.append(Value("error_rate", failures / total, "1", "lower"))
    scenario = document.get("scenario") or {}
    load = (scenario.get("load") or {}).get("standardized") or {}
    run = document.get("run") or {}
    yield ToolRun(
        values=tuple(values),
        source=[run.get("uid"), load.get("stage"), aggregate],
        params=tuple(_params(scenario, load)),
        tool_version=" ".join(str(load[key]) for key in ("tool", "tool_version") if key in load),
        measured_at=moment((run.get("time") or {}).get("start")),
        facts=_accelerators(scenario),
    )


def _params(scenario: Mapping[str, Any], load: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    models = {
        (part.get("standardized") or {}).get("model", {}).get("name")
        for part in scenario.get("stack") or []
    } - {None}
    yield "model", ",".join(sorted(models))
    for key in _LOAD:
        if load.get(key) is not None:
            yield key, load[key]
    for key in ("input_seq_len", "output_seq_len"):
        if isinstance(load.get(key), Mapping):
            yield key, load[key].get("value")


def _accelerators(scenario: Mapping[str, Any]) -> dict[str, str]:
    accelerators = [
        (part.get("standardized") or {}).get("accelerator") or {}
        for part in scenario.get("stack") or []
    ]
    named = [f"{item['model']} x {item.get('count')}" for item in accelerators if item.get("model")]
    return {"accelerator": ", ".join(named)} if named else {}


def _load(text: str) -> Any:
    if text.lstrip().startswith("{"):
        return json.loads(text)
    try:
        import yaml
    except ImportError:
        raise NotReadable("a report in YAML needs PyYAML: pip install 'pacekeeper[yaml]'") from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise NotReadable(f"not YAML: {' '.join(str(error).split())}") from None


READER = ToolReader("llm-d", lambda head: bool(_FITS.search(head)), _parse, load=_load)
