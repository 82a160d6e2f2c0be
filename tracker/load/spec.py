"""A scenario written down: the tables of a TOML or JSON file to ``Scenario``.

::

    [scenarios.chat]                 # the name is part of each metric's
    version = "1"                    # raise it when the work changes
    requests = 64
    prompt = 128                     # tokens (words of English where text = true), or
    output = {table = "azure_conv_output", scale = 0.25, most = 256}
    text = true
    load = {concurrency = 8}         # or {rate = 4.0}, {rate = 4.0, burst = 8}, {from = 1.0, to = 8.0}

    [scenarios.turns]                # conversations instead: chats and turns
    chats = 8
    turns = 4
    system = 64
    prompt = 32                      # what the user adds at a turn
    output = 32

    [scenarios.production]           # the trace that PACEKEEPER_TRACE names
    trace = true
    requests = 500
    load = {rate = 2.0}
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tracker.errors import did_you_mean
from tracker.load.errors import ScenarioError
from tracker.load.lengths import Fixed, Lengths, Production
from tracker.load.metrics import Slo
from tracker.load.scenario import (
    Bursts,
    ClosedLoop,
    Conversations,
    Independent,
    Load,
    OpenLoop,
    Ramp,
    Replay,
    Scenario,
)

__all__ = ["read_scenarios", "scenario_of"]

_PLAIN = (
    "seed",
    "warmup",
    "warmup_output",
    "temperature",
    "natural_end",
    "limit",
    "max_error_rate",
)
_WORK = ("requests", "prompt", "output", "text", "chats", "turns", "system", "trace")
_REPLAY = ("scale", "output_scale", "most_prompt", "most_output")
_KNOWN = ("version", "load", "slos", *_PLAIN, *_WORK, *_REPLAY)
_LOADS: dict[frozenset[str], Any] = {
    frozenset({"concurrency"}): lambda t: ClosedLoop(_whole("concurrency", t["concurrency"])),
    frozenset({"rate"}): lambda t: OpenLoop(_number("rate", t["rate"])),
    frozenset({"rate", "burst"}): lambda t: Bursts(
        _number("rate", t["rate"]), _whole("burst", t["burst"])
    ),
    frozenset({"from", "to"}): lambda t: Ramp(_number("from", t["from"]), _number("to", t["to"])),
}


def read_scenarios(path: Path) -> dict[str, Scenario]:
    """Return the scenarios of a file, by name.

    Raises:
        ScenarioError: The file cannot be read, or a scenario in it is not possible.
    """
    try:
        text = path.read_text(encoding="utf-8")
        plain = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise ScenarioError(f"{path}: cannot be read: {error}") from error
    tables = plain.get("scenarios")
    if not isinstance(tables, dict) or not tables:
        raise ScenarioError(f"{path} has no table [scenarios.NAME]")
    return {name: scenario_of(name, table) for name, table in tables.items()}


def scenario_of(name: str, table: Mapping[str, Any]) -> Scenario:
    """Return the scenario that ``table`` describes; see the module for its keys.

    Args:
        name: Named in errors.
        table: As read from TOML or JSON.

    Raises:
        ScenarioError: A key is unknown, missing or has an impossible value; names it.
    """
    try:
        _require_known(table, _KNOWN)
        slos = table.get("slos")
        more: dict[str, Any] = {key: table[key] for key in _PLAIN if key in table}
        if slos is not None:
            more["slos"] = tuple(Slo(float(ttft), float(tpot)) for ttft, tpot in slos)
            if len(more["slos"]) != 2:
                raise ScenarioError("slos are two pairs: [[ttft, tpot], [ttft, tpot]], in seconds")
        return Scenario(
            version=str(table.get("version", "1")),
            workload=_workload(table),
            load=_load(table.get("load", {"concurrency": 1})),
            **more,
        )
    except (ScenarioError, TypeError, ValueError) as error:
        raise ScenarioError(f"scenario {name!r}: {error}") from error


def _workload(table: Mapping[str, Any]) -> Independent | Conversations | Replay:
    if table.get("trace"):
        sizes = {key: table[key] for key in _REPLAY if key in table}
        return Replay(_whole("requests", table.get("requests")), **sizes)
    unused = [key for key in _REPLAY if key in table]
    if unused:
        raise ScenarioError(f"{unused[0]} belongs to trace = true")
    prompt = _lengths("prompt", table.get("prompt"))
    output = _lengths("output", table.get("output"))
    text = bool(table.get("text", False))
    if "chats" in table or "turns" in table:
        return Conversations(
            chats=_whole("chats", table.get("chats")),
            turns=_whole("turns", table.get("turns")),
            system=_whole("system", table.get("system", 1)),
            user=prompt,
            output=output,
            text=text,
        )
    return Independent(_whole("requests", table.get("requests")), prompt, output, text)


def _load(table: Any) -> Load:
    make = _LOADS.get(frozenset(table)) if isinstance(table, Mapping) else None
    if make is None:
        raise ScenarioError(
            f"load is {table!r}; give {{concurrency = N}}, {{rate = R}}, {{rate = R, burst = N}} or "
            "{from = R, to = R}"
        )
    load: Load = make(table)
    return load


def _lengths(key: str, value: Any) -> Lengths:
    if isinstance(value, Mapping):
        _require_known(value, ("table", "scale", "least", "most"))
        return Production(**value)
    return Fixed(_whole(key, value))


def _require_known(table: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in table:
        if key not in known:
            raise ScenarioError(f"no key {key!r}; {did_you_mean(key, known)}")


def _whole(key: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ScenarioError(f"{key} is {value!r}; give a whole number, at least 1")
    return value


def _number(key: str, value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ScenarioError(f"{key} is {value!r}; give a number")
    return float(value)
