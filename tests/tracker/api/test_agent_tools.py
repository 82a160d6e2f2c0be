"""The tools for agents, called through the protocol as an agent calls them."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from mcp import Client, StdioServerParameters

from tests.tracker.api.conftest import fill
from tests.tracker.changepoints.histories import revision
from tracker.evidence import evidence
from tracker.store import Store

COMMIT = revision(20).commit


def test_an_agent_reads_what_the_store_knows_and_an_error_is_named(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    with Store.open(url) as store:
        fill(store)
        known = json.loads(json.dumps(evidence(store, "engine", COMMIT)))
    before = (tmp_path / "store.db").read_bytes()
    command = StdioServerParameters(
        command=sys.executable, args=["-m", "tracker", "--db", url, "mcp"]
    )

    async def talk() -> None:
        async with Client(command) as client:

            async def call(name: str, **arguments: Any) -> Any:
                result = await client.call_tool(name, arguments)
                assert not result.is_error, result.content
                return result.structured_content

            listed = await client.list_tools()
            assert all(tool.description for tool in listed.tools)
            (finding,) = (await call("findings", project="engine"))["result"]
            assert finding["commit"] == COMMIT
            assert await call("evidence", project="engine", commit=COMMIT[:20]) == known
            (first, *_) = (await call("series", project="engine", search="steps"))["result"]
            history = await call("history", project="engine", series_id=first["id"], limit=5)
            assert [point["value"] for point in history["points"]] == [150.0] * 5
            before_it = revision(19).commit
            compared = await call("compare", project="engine", base=before_it, head=COMMIT)
            assert {row["base"] for row in compared["metrics"]} >= {141.0}
            assert len((await call("alerts", project="engine"))["result"]) == 1
            assert len((await call("projects"))["result"]) == 2
            wrong = await client.call_tool("findings", {"project": "engin"})
            assert wrong.is_error
            assert "did you mean 'engine'" in str(wrong.content)

    asyncio.run(talk())
    assert (tmp_path / "store.db").read_bytes() == before
