"""Addresses of the dashboard's server that are no pages: pictures for a README.

`/badge/PROJECT.svg`, with `?machine=` for one machine, and `/sparkline/SERIES.svg`. They read the store,
write nothing, and may be cached for a few minutes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboard import data
from dashboard.badges import badge_svg, message_svg, state_of
from dashboard.markup import sparkline_svg
from dashboard.palette import DARK, LIGHT
from tracker.errors import PacekeeperError, UsageError
from tracker.store import queries

__all__ = ["ROUTES"]

MAX_AGE = 300  # seconds that a picture may be shown before it is asked for again
SPARK_POINTS = 300  # revisions in a sparkline


def _badge(store: queries.Reader, request: Request) -> str:
    project, machine = request.path_params["project"], request.query_params.get("machine")
    overview = queries.overview(store, project, machine=machine)
    searched = queries.searched_series(store, project).num_searched
    return badge_svg(*state_of(overview, searched=searched, now=datetime.now(UTC)))


def _sparkline(store: queries.Reader, request: Request) -> str:
    history = queries.history(store, request.path_params["series"], limit=SPARK_POINTS)
    dark = request.query_params.get("theme") == "dark"
    return sparkline_svg(history, DARK if dark else LIGHT)


def _answering(draw: Callable[[queries.Reader, Request], str]) -> Callable[[Request], Response]:
    """A handler for Starlette, which runs it in a thread of its own: errors become pictures."""

    def handle(request: Request) -> Response:
        try:
            with queries.open_reader(data.store_url()) as store:
                picture = draw(store, request)
        except UsageError:
            return _picture(message_svg("unknown"), status=404)
        except PacekeeperError:
            return _picture(message_svg("store unavailable"), status=503)
        tag = f'"{hashlib.sha256(picture.encode()).hexdigest()[:20]}"'
        headers = {"Cache-Control": f"public, max-age={MAX_AGE}", "ETag": tag}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return _picture(picture, headers=headers)

    return handle


def _picture(picture: str, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    fixed = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
    return Response(
        picture, status_code=status, media_type="image/svg+xml", headers=fixed | (headers or {})
    )


ROUTES = [
    Route("/badge/{project:path}.svg", _answering(_badge)),
    Route("/sparkline/{series:int}.svg", _answering(_sparkline)),
]
