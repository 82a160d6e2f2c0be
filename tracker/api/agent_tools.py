"""The store's answers as tools for agents, over the Model Context Protocol: reading only."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from importlib.metadata import version
from typing import Any, TypeVar

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

from tracker.alerts.payload import alert_document
from tracker.api.documents import comparison_of, history_of
from tracker.domain import SeriesFilter
from tracker.errors import PacekeeperError
from tracker.evidence import evidence as evidence_of
from tracker.report.findings import finding_document
from tracker.store import Store, queries
from tracker.stored_findings import stored_findings

__all__ = ["make_server"]

Document = dict[str, Any]
T = TypeVar("T")

_INSTRUCTIONS = """\
Performance measurements of a project, commit by commit. Start with `findings`: commits at which a
metric moved, worst first. `evidence` holds all that is known of one: what moved by how much, the
interval of a paired run, the cause, suspects, gates. A change without a confirmed paired run is a
level shift in a noisy history, not a proof. Values are in base units, effects are after/before - 1,
null means not known."""


def make_server(store: Store, *, dashboard_url: str | None = None) -> MCPServer:
    """Return the server; `store` may be open for reading only."""
    server: MCPServer = MCPServer(
        "pacekeeper", version=version("pacekeeper"), instructions=_INSTRUCTIONS
    )

    def tool(answer: Callable[..., T]) -> None:
        """Register a function; what is wrong with its arguments is said to the agent."""

        @wraps(answer)
        def named(*args: Any, **kwargs: Any) -> T:
            try:
                return answer(*args, **kwargs)
            except PacekeeperError as error:
                raise ToolError(str(error)) from None

        server.tool()(named)

    @tool
    def projects() -> list[Document]:
        """List projects with their machines, and when each was measured last."""
        return [
            {
                "name": info.name,
                "machines": list(info.machines),
                "num_series": info.num_series,
                "num_revisions": info.num_revisions,
                "last_measured": info.last_measured and info.last_measured.isoformat(),
            }
            for info in queries.list_projects(store)
        ]

    @tool
    def findings(project: str, limit: int = 20) -> list[Document]:
        """List commits at which metrics moved, worst first; each has its changes and its cause."""
        return [finding_document(f) for f in stored_findings(store, project)[: max(0, limit)]]

    @tool
    def evidence(project: str, commit: str) -> Document:
        """Return everything known of one commit that moved something: intervals, suspects, gates."""
        return evidence_of(store, project, commit, dashboard_url=dashboard_url)

    @tool
    def compare(project: str, base: str, head: str, search: str | None = None) -> Document:
        """Compare the stored values of two commits; `noise` says whether a change is beyond it."""
        return comparison_of(store, project, base, head, SeriesFilter(search=search))

    @tool
    def series(project: str, search: str | None = None, limit: int = 50) -> list[Document]:
        """List series (metric, parameters, machine) whose name holds the words of `search`."""
        series = queries.list_series(store, project, search=search, limit=max(0, limit))
        return [
            {"id": s.id, "metric": s.metric, "unit": s.unit, "better": s.better, "machine": s.machine,
             "last_value": s.last_value, "num_points": s.num_points}
            for s in series
        ]  # fmt: skip

    @tool
    def history(project: str, series_id: int, limit: int = 100) -> Document:
        """Return the newest points and the level shifts of one series."""
        return history_of(store, project, series_id, limit=max(1, limit))

    @tool
    def alerts(project: str) -> list[Document]:
        """List open and acked alerts, newest first."""
        return [alert_document(alert) for alert in queries.list_alerts(store, project)]

    return server
