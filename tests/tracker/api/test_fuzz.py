"""Schemathesis against the running service: its OpenAPI document holds, and nothing is a fault."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from tests.tracker.api.conftest import ENDLESS, fill, running
from tests.tracker.changepoints.histories import revision
from tracker.api.app import make_app
from tracker.api.tokens import new_token
from tracker.store import Store
from tracker.store.check import check_store

DAY = timedelta(days=1)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
EXAMPLES = int(os.environ.get("PACEKEEPER_FUZZ_EXAMPLES", "10"))
# Names that are there: random ones end at the first look-up.
KNOWN = {
    "project": "engine", "series": 1, "id": 1, "commit": revision(20).commit,
    "base": revision(19).commit, "head": revision(20).commit,
}  # fmt: skip


def test_no_request_is_a_fault_and_every_answer_is_documented(store_url: str) -> None:
    with Store.open(store_url) as store:
        fill(store)
        with running(make_app(store, limits=ENDLESS)) as url:
            made = new_token(
                "fuzz", ("read", "ingest", "settings"), None, now=datetime.now(UTC), lifetime=DAY
            )
            store.record_token(made.info, digest=made.digest)
            fuzz(url, made.text)
        assert check_store(store) == []


def fuzz(url: str, token: str) -> None:
    """Send valid and invalid requests to every operation of the service's own document."""
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) > 10
    for operation in operations:
        fuzz_operation(operation, GenerationMode.POSITIVE, token)
        if list(operation.iter_parameters()) or operation.body:  # else nothing can be wrong
            fuzz_operation(operation, GenerationMode.NEGATIVE, token)


def fuzz_operation(operation: APIOperation, mode: GenerationMode, token: str) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), known=st.booleans())
    def check(case: schemathesis.Case, known: bool) -> None:
        if known and mode is GenerationMode.POSITIVE:
            case.query = {**case.query, **{n: KNOWN[n] for n in case.query if n in KNOWN}}
        case.call_and_validate(headers={"Authorization": f"Bearer {token}"}, checks=CHECKS)

    check()
