"""Who gets in: every route that is not public refuses every token that is not for it."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.tracker.api.conftest import Service, serving
from tests.tracker.changepoints.histories import revision
from tracker.api.entrance import Limits

PUBLIC = {"/health", "/openapi.json"}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
QUERY = {
    "project": "engine", "series": "1", "id": "1", "commit": revision(20).commit,
    "base": revision(19).commit, "head": revision(20).commit,
}  # fmt: skip
# Routes that name no project: they show what the token opens.
WITHOUT_PROJECT = {"/api/v1/token", "/api/v1/projects", "/metrics"}


def routes(service: Service) -> list[tuple[str, str]]:
    """Every (method, path) of the application itself, whatever its OpenAPI document shows."""

    def listed(router: object) -> Iterator[tuple[str, str]]:
        for route in router.routes:  # type: ignore[attr-defined]
            if hasattr(route, "path"):
                methods = sorted(getattr(route, "methods", None) or METHODS)
                yield from ((method, route.path) for method in methods)
            else:  # a router that is included whole
                yield from listed(route.original_router)

    found = list(listed(service.app._inner._app))  # type: ignore[attr-defined]
    assert len(found) > 10
    return [(method, path) for method, path in found if path not in PUBLIC]


def call(client: httpx.Client, method: str, path: str) -> httpx.Response:
    body = {"json": {"format": 1}} if method == "POST" else {}
    query = {} if path in WITHOUT_PROJECT else QUERY
    headers = {"Idempotency-Key": "k"}
    return client.request(method, path, params=query, headers=headers, **body)  # type: ignore[arg-type]


def refused_tokens(service: Service) -> dict[str, str | None]:
    good = service.token("read", "ingest", "settings", project=None)
    prefix = good.split("_")[1]
    revoked = service.token("read", "ingest", "settings", project=None)
    service.store.revoke_token(revoked.split("_")[1], now=datetime.now(UTC))
    long_ago = datetime.now(UTC) - timedelta(days=9)
    return {
        "none": None,
        "garbage": "pkt_x",
        "unknown": "pkt_00000000_" + "A" * 43,
        "wrong secret": f"pkt_{prefix}_" + "A" * 43,
        "truncated": good[:-1],
        "expired": service.token("read", "ingest", "settings", project=None, now=long_ago),
        "revoked": revoked,
    }


def test_every_route_refuses_every_token_that_is_not_active_and_writes_nothing(
    service: Service,
) -> None:
    tokens = refused_tokens(service)
    before = service.bytes()
    for kind, token in tokens.items():
        with service.client(token) as client:
            for method, path in [*routes(service), ("GET", "/"), ("GET", "/docs")]:
                answer = call(client, method, path)
                assert answer.status_code == 401, (kind, method, path, answer.text)
                assert answer.headers["WWW-Authenticate"].startswith("Bearer")
                if method != "HEAD":
                    assert answer.headers["Content-Type"] == "application/problem+json"
                    assert answer.json()["status"] == 401
    assert service.bytes() == before


def test_every_route_refuses_a_token_for_something_else_and_writes_nothing(
    service: Service,
) -> None:
    other = service.token("read", "ingest", "settings", project="elsewhere")
    narrow = {"GET": service.token("ingest", "settings"), "POST": service.token("read", "settings")}
    before = service.bytes()
    for method, path in routes(service):
        if method not in narrow:
            continue
        with service.client(other) as client:
            answer = call(client, method, path)
            if path in WITHOUT_PROJECT:
                assert answer.status_code == 200
                assert "engine" not in answer.text, path
            else:
                assert answer.status_code == 403, (method, path, answer.text)
        if path != "/api/v1/token":
            with service.client(narrow[method]) as client:
                answer = call(client, method, path)
                assert answer.status_code == 403, (method, path, answer.text)
                assert "scope" in answer.json()["detail"]
    assert service.bytes() == before


def test_a_misspelt_parameter_is_named(service: Service) -> None:
    with service.client(service.token("read")) as client:
        answer = client.get("/api/v1/series", params={"project": "engine", "machin": "gpu-1"})
    assert answer.status_code == 422
    assert answer.json()["detail"] == "no parameter 'machin'; did you mean 'machine'?"


def test_settings_need_their_scope(own_service: Service) -> None:
    token = own_service.token("ingest")
    before = own_service.bytes()
    changes = [
        {"commit_url": "https://evil.example/{commit}"},
        {"metric_rules": [{"pattern": "x"}]},
    ]
    with own_service.client(token) as client:
        for number, change in enumerate(changes):
            answer = client.post(
                "/api/v1/results", params={"project": "engine"},
                headers={"Idempotency-Key": str(number)}, json=change,
            )  # fmt: skip
            assert answer.status_code == 403, answer.text
    assert own_service.bytes() == before


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.one_of(st.binary(max_size=80), st.from_regex(rb"[Bb]earer pkt_[0-9a-f]{8}_.{43}")))
def test_no_guess_of_a_header_opens_anything(service: Service, header: bytes) -> None:
    value = bytes(byte for byte in header if byte >= 32 and byte != 127).strip()
    before = service.bytes()
    with service.client() as client:
        answer = client.get("/api/v1/projects", headers={b"Authorization": value})
    assert answer.status_code == 401
    assert service.bytes() == before


def test_a_token_that_was_revoked_a_moment_ago_opens_nothing(own_service: Service) -> None:
    token = own_service.token("read")
    with own_service.client(token) as client:
        assert client.get("/api/v1/projects").status_code == 200
        own_service.store.revoke_token(token.split("_")[1], now=datetime.now(UTC))
        answer = client.get("/api/v1/projects")
    assert (answer.status_code, "revoked" in answer.json()["detail"]) == (401, True)


def test_the_secret_is_in_no_table(own_service: Service) -> None:
    token = own_service.token("read")
    assert token.split("_", 2)[2].encode() not in own_service.bytes()
    assert token.split("_")[1].encode() in own_service.bytes()


def test_requests_beyond_the_rate_wait(tmp_path) -> None:
    limits = Limits(rate=0.5, burst=3, refused_rate=0.5, refused_burst=2)
    with serving(tmp_path, limits=limits) as service:
        with service.client(service.token("read")) as client:
            answers = [client.get("/api/v1/projects") for _ in range(5)]
            assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
            assert 1 <= int(answers[-1].headers["Retry-After"]) <= 3
        with service.client("pkt_00000000_" + "A" * 43) as client:
            codes = [client.get("/api/v1/projects").status_code for _ in range(4)]
            assert codes == [401, 401, 429, 429]
        with service.client(service.token("read")) as client:  # who guesses locks nobody out
            assert client.get("/api/v1/projects").status_code == 200


def test_large_and_broken_bodies_are_refused_before_they_are_parsed(tmp_path) -> None:
    limits = Limits(body=10_000, body_seconds=1.0, burst=10**6)
    with serving(tmp_path, limits=limits) as service:
        token = service.token("ingest")
        plain = {"Idempotency-Key": "k", "Content-Type": "application/json"}
        zipped = plain | {"Content-Encoding": "gzip"}
        large = b" " * 10_001
        cases = [
            (plain, large, 413),
            (plain, iter([b" " * 6000] * 2), 413),  # chunked: no length is given
            (zipped, gzip.compress(b" " * 10**6), 413),  # small until it is uncompressed
            (zipped, gzip.compress(b"{}")[:-3], 400),
            (zipped, gzip.compress(b"{}") + gzip.compress(b"{}"), 400),
            (zipped, b"no gzip", 400),
            (plain | {"Content-Encoding": "br"}, b"{}", 415),
            (plain | {"Content-Type": "text/plain"}, b"{}", 415),
        ]
        before = service.bytes()
        with service.client(token) as client:
            for headers, body, status in cases:
                answer = client.post(
                    "/api/v1/results", params={"project": "engine"}, headers=headers, content=body
                )
                assert answer.status_code == status, answer.text
                assert answer.json()["title"]
        with service.client() as client:  # nobody's body is read
            answer = client.post("/api/v1/results", content=large)
            assert answer.status_code == 401
        assert service.bytes() == before


def test_a_body_that_does_not_come_is_given_up(tmp_path) -> None:
    def drip():
        yield b"{"
        time.sleep(2.0)
        yield b"}"

    headers = {"Idempotency-Key": "k", "Content-Type": "application/json"}
    with (
        serving(tmp_path, limits=Limits(body_seconds=0.3)) as service,
        service.client(service.token("ingest")) as client,
    ):
        answer = client.post(
            "/api/v1/results", params={"project": "engine"}, headers=headers, content=drip()
        )
    assert answer.status_code == 408


@pytest.mark.parametrize("path", sorted(PUBLIC))
def test_public_routes_show_nothing_of_the_store(service: Service, path: str) -> None:
    with service.client() as client:
        answer = client.get(path)
    assert answer.status_code == 200
    assert not {"engine", "secret-other"} & set(json.dumps(answer.json()).split('"'))
