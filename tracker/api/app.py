"""The routes of the HTTP service.

Each route reads the store by `queries`, or writes one push; what it may do is its router's scope.
The request's token is in `request.state.token`: the entrance lets nothing else through.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from itertools import islice
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter, ValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tracker.alerts.payload import alert_document
from tracker.api.documents import comparison_of, history_of
from tracker.api.entrance import PUBLIC, Entrance, Limits
from tracker.api.metrics import exposition
from tracker.api.problems import MEDIA_TYPE, SCHEMA, problem
from tracker.domain import (
    ProjectInfo,
    Recorded,
    SeriesFilter,
    SeriesInfo,
    TokenInfo,
    TokenScope,
)
from tracker.errors import RepeatedKeyError, StoreError, UsageError, did_you_mean
from tracker.evidence import alert_evidence, evidence, gate_document
from tracker.push import Push, faults
from tracker.report.findings import finding_document
from tracker.store import Store, queries
from tracker.store.queries.service import project_states
from tracker.stored_findings import stored_findings

__all__ = ["make_app"]

_log = logging.getLogger("pacekeeper.api")

_PUSH: TypeAdapter[Push] = TypeAdapter(Push)
_NO_CONTROL = r"^[^\u0000-\u001f\u007f]+$"
_MAX_FAULTS = 20

_PROBLEMS = {
    400: "The request cannot be read.",
    401: "No token, or one that is unknown, expired or revoked.",
    403: "The token is not for this.",
    404: "There is no such project, commit, series, gate or alert.",
    405: "Another method.",
    408: "The body did not come in time.",
    409: "The idempotency key was used for another request.",
    413: "The body is too large.",
    415: "The body is no JSON, or compressed with something else than gzip.",
    422: "A parameter or the body is wrong; `errors` says where.",
    429: "Too many requests; `Retry-After` says for how long.",
    503: "The store cannot be reached.",
}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


Name = Annotated[str, Query(min_length=1, max_length=200, pattern=_NO_CONTROL)]
MaybeName = Annotated[str | None, Query(min_length=1, max_length=200, pattern=_NO_CONTROL)]
Commit = Annotated[str, Query(pattern=r"^[0-9a-f]{4,64}$", description="Hash, or its beginning.")]
Limit = Annotated[int, Query(ge=1, le=10_000)]
RowId = Annotated[int, Query(ge=1, lt=2**31)]
Document = dict[str, Any]


class Json(JSONResponse):
    """JSON with NaN and Infinity as null."""

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)


def make_app(
    store: Store, *, limits: Limits | None = None, dashboard_url: str | None = None
) -> ASGIApp:
    """Return the service as an ASGI application.

    Args:
        store: Open for writing; stays the caller's to close.
        limits: What one caller may ask.
        dashboard_url: Address of the dashboard, for links in evidence.
    """
    app = FastAPI(
        title="Pacekeeper",
        version=version("pacekeeper"),
        docs_url=None,  # their pages load scripts from elsewhere
        redoc_url=None,
        default_response_class=Json,
        responses={
            status: {"description": text, "content": {MEDIA_TYPE: {"schema": _ref("Problem")}}}
            for status, text in _PROBLEMS.items()
        },
    )
    app.state.store, app.state.dashboard_url = store, dashboard_url
    app.state.writing = threading.Lock()  # a store's writing methods are for one thread at a time
    app.state.requests = Counter()
    app.state.metrics_cache = None
    for router in (_public, _admitted, _reading, _pushing):
        app.include_router(router)
    app.add_exception_handler(StarletteHTTPException, _http_error)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, _invalid)  # type: ignore[arg-type]
    app.add_exception_handler(UsageError, _not_there)  # type: ignore[arg-type]
    app.add_exception_handler(StoreError, _store_failed)  # type: ignore[arg-type]
    app.add_exception_handler(Exception, _failed)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return _Counted(Entrance(app, lambda prefix: queries.find_token(store, prefix), limits), app)


class _Counted:
    """Counts answers by status."""

    def __init__(self, inner: ASGIApp, app: FastAPI) -> None:
        self._inner, self._requests = inner, app.state.requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counting(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._requests[message["status"]] += 1
            await send(message)

        await self._inner(scope, receive, counting)


# --- who may do what ---------------------------------------------------------------------------


def _require(token: TokenInfo, scope: TokenScope, project: str | None = None) -> None:
    if scope not in token.scopes:
        raise HTTPException(403, f"the token lacks the scope {scope!r}")
    if project is not None and token.project not in (None, project):
        raise HTTPException(403, f"the token is for project {token.project!r} only")


def _only_known(request: Request) -> None:
    """A misspelt parameter must not leave the answer wider than what was asked for."""
    route = request.scope["route"]
    known = [field.alias for field in route.dependant.query_params]
    for name in request.query_params:
        if name not in known:
            raise HTTPException(422, f"no parameter {name!r}; {did_you_mean(name, known)}")


def _may_read(request: Request) -> None:
    _require(request.state.token, "read", request.query_params.get("project"))


def _may_push(request: Request) -> None:
    _require(request.state.token, "ingest", request.query_params.get("project"))


def _store(request: Request) -> Store:
    store: Store = request.app.state.store
    return store


def _dashboard(request: Request) -> str | None:
    url: str | None = request.app.state.dashboard_url
    return url


StoreOf = Annotated[Store, Depends(_store)]
Dashboard = Annotated[str | None, Depends(_dashboard)]

_public = APIRouter()
_admitted = APIRouter(dependencies=[Depends(_only_known)])  # any active token
_reading = APIRouter(dependencies=[Depends(_may_read), Depends(_only_known)])
_pushing = APIRouter(dependencies=[Depends(_may_push), Depends(_only_known)])


# --- public ------------------------------------------------------------------------------------


@_public.get("/health", summary="Whether the service and its store answer.")
def health(store: StoreOf) -> dict[Literal["status"], Literal["ok"]]:
    with store.reading():
        return {"status": "ok"}


@_admitted.get("/api/v1/token", summary="What the token of this request may do.")
def own_token(request: Request) -> TokenInfo:
    token: TokenInfo = request.state.token
    return token


# --- reading -----------------------------------------------------------------------------------


@_reading.get(
    "/metrics",
    summary="The store's state as Prometheus text.",
    response_class=PlainTextResponse,
)
def metrics(request: Request, store: StoreOf) -> PlainTextResponse:
    token: TokenInfo = request.state.token
    names = None if token.project is None else [token.project]
    # What the store says is kept until it changes: a scrape every few seconds must stay cheap.
    stamp = (queries.version_stamp(store), token.project)
    cached = request.app.state.metrics_cache
    if cached is None or cached[0] != stamp:
        cached = (stamp, project_states(store, names))
        request.app.state.metrics_cache = cached
    text = exposition(cached[1], dict(request.app.state.requests), version=version("pacekeeper"))
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4")


@_reading.get("/api/v1/projects", summary="Projects that the token opens.")
def projects(request: Request, store: StoreOf) -> list[ProjectInfo]:
    only = request.state.token.project
    return [info for info in queries.list_projects(store) if only in (None, info.name)]


@_reading.get("/api/v1/series", summary="Series of a project.")
def series(
    store: StoreOf,
    project: Name,
    machine: MaybeName = None,
    search: MaybeName = None,
    limit: Limit = 1000,
) -> list[SeriesInfo]:
    return queries.list_series(store, project, machine=machine, search=search, limit=limit)


@_reading.get("/api/v1/history", summary="Points, level shifts and environment of one series.")
def history(store: StoreOf, project: Name, series: RowId, limit: Limit = 1000) -> Document:
    return history_of(store, project, series, limit=limit)


@_reading.get("/api/v1/comparison", summary="Two commits, as `tracker compare --format json`.")
def comparison(
    store: StoreOf,
    project: Name,
    base: Commit,
    head: Commit,
    machine: MaybeName = None,
    environment: MaybeName = None,
    search: MaybeName = None,
) -> Document:
    return comparison_of(store, project, base, head, SeriesFilter(machine, environment, search))


@_reading.get("/api/v1/gates", summary="Gates with their verdicts, newest first.")
def gates(
    store: StoreOf,
    project: Name,
    head: Annotated[str | None, Query(pattern=r"^[0-9a-f]{4,64}$")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 20,
) -> list[Document]:
    return [
        gate_document(gate) for gate in queries.list_gates(store, project, limit=limit, head=head)
    ]


@_reading.get("/api/v1/findings", summary="Level shifts by commit, worst first.")
def findings(store: StoreOf, project: Name) -> list[Document]:
    return [finding_document(finding) for finding in stored_findings(store, project)]


@_reading.get("/api/v1/evidence", summary="All that is known of a commit that moved something.")
def evidence_of(store: StoreOf, dashboard: Dashboard, project: Name, commit: Commit) -> Document:
    return evidence(store, project, commit, dashboard_url=dashboard)


@_reading.get("/api/v1/alerts", summary="Alerts, newest first.")
def alerts(
    store: StoreOf,
    project: Name,
    state: Annotated[
        list[Literal["open", "acked", "expected", "resolved"]] | None, Query(max_length=4)
    ] = None,
) -> list[Document]:
    alerts = queries.list_alerts(store, project, states=state or ("open", "acked"))
    return [alert_document(alert) for alert in alerts]


@_reading.get("/api/v1/alert", summary="One alert, as `tracker alerts show --json`.")
def alert(store: StoreOf, dashboard: Dashboard, project: Name, id: RowId) -> Document:  # noqa: A002
    alert = queries.get_alert(store, id)
    if alert.project != project:
        raise UsageError(f"no alert {id} in project {project!r}")
    return alert_evidence(store, alert, dashboard_url=dashboard)


# --- pushing -----------------------------------------------------------------------------------


async def _json_body(request: Request) -> bytes:
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise HTTPException(415, "Content-Type must be application/json")
    return await request.body()


@_pushing.post(
    "/api/v1/results",
    summary="Write results. The same key again gets the same answer and writes nothing.",
    response_model=list[Recorded],
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _ref("Push")}},
        }
    },
)
def push(
    request: Request,
    store: StoreOf,
    project: Name,
    idempotency_key: Annotated[str, Header(pattern=r"^[!-~]{1,128}$")],
    body: Annotated[bytes, Depends(_json_body)],
) -> Response:
    try:
        wanted = _PUSH.validate_json(body)
    except ValidationError as error:
        return _wrong(error.errors(include_url=False, include_context=False, include_input=False))
    if wrong := list(islice(faults(wanted), _MAX_FAULTS)):
        return problem(
            422,
            "the store cannot hold this body",
            errors=[{"pointer": f"/body{where}", "detail": why} for where, why in wrong],
        )
    if wanted.commit_url is not None or wanted.metric_rules is not None:
        _require(request.state.token, "settings")
    with request.app.state.writing:
        answer = store.answer_push(
            project,
            wanted,
            key=idempotency_key,
            digest=hashlib.sha256(body).hexdigest(),
            answer=lambda recorded: orjson.dumps(recorded).decode(),
        )
    return Response(answer, media_type="application/json")


# --- errors ------------------------------------------------------------------------------------


def _wrong(errors: Sequence[Any]) -> Response:
    return problem(
        422,
        "the request is not what this route reads",
        errors=[
            {"pointer": "/" + "/".join(map(str, _place(error["loc"]))), "detail": error["msg"]}
            for error in errors[:_MAX_FAULTS]
        ],
    )


def _place(loc: tuple[int | str, ...]) -> tuple[int | str, ...]:
    return loc if loc and loc[0] in ("query", "header", "path", "body") else ("body", *loc)


def _invalid(request: Request, error: RequestValidationError) -> Response:
    return _wrong(error.errors())


def _http_error(request: Request, error: StarletteHTTPException) -> Response:
    return problem(error.status_code, str(error.detail), headers=error.headers)


def _not_there(request: Request, error: UsageError) -> Response:
    if isinstance(error, RepeatedKeyError):
        return problem(409, str(error))
    # What follows the semicolon may name other projects than the token's.
    only = request.state.token.project
    return problem(404, str(error) if only is None else str(error).partition(";")[0])


def _store_failed(request: Request, error: StoreError) -> Response:
    _log.error("%s", error)  # where the store is, is nothing for a client
    return problem(503, "the store cannot be reached; try again later")


def _failed(request: Request, error: Exception) -> Response:
    return problem(500, "a fault in Pacekeeper itself; its log holds the details")


# --- the OpenAPI document ----------------------------------------------------------------------


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, routes=app.routes)
        components = schema.setdefault("components", {})
        pushed = _PUSH.json_schema(ref_template="#/components/schemas/{model}")
        components.setdefault("schemas", {}).update(
            pushed.pop("$defs"), Push=pushed, Problem=SCHEMA
        )
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        schema["security"] = [{"token": []}]
        for path in PUBLIC & schema["paths"].keys():
            for operation in schema["paths"][path].values():
                operation["security"] = []
        app.openapi_schema = schema
    return app.openapi_schema
