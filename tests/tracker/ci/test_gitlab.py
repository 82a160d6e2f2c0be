"""GitLab's side: each request to the REST API."""

import pytest

PROJECT = "/projects/31"
NOTES = f"{PROJECT}/merge_requests/4/notes"


@pytest.fixture
def gitlab(api, checkout):
    api.answers |= {
        f"POST {PROJECT}/statuses/{checkout.head}": (201, {}),
        "GET /user": (200, {"id": 8}),
        f"GET {NOTES}": (200, []),
        f"POST {NOTES}": (201, {}),
    }
    return {
        "GITLAB_CI": "true", "CI_API_V4_URL": api.url, "CI_PROJECT_ID": "31",
        "CI_MERGE_REQUEST_IID": "4", "PACEKEEPER_GITLAB_TOKEN": "s3cret",
        "CI_COMMIT_REF_NAME": "change", "CI_JOB_URL": "https://gitlab.example.org/job/1",
    }  # fmt: skip


def test_the_status_runs_then_ends_and_the_note_is_written(checkout, api, gitlab):
    checkout.told |= {"code": 1, "outcome": "broken", "headline": "BROKEN: bench_old"}
    assert checkout.gate(**gitlab) == 1
    common = {
        "name": "pacekeeper verdict", "ref": "change",
        "target_url": "https://gitlab.example.org/job/1",
    }  # fmt: skip
    assert api.requests == [
        ("POST", f"{PROJECT}/statuses/{checkout.head}",
         {"state": "running", "description": "measuring"} | common),
        ("POST", f"{PROJECT}/statuses/{checkout.head}",
         {"state": "failed", "description": "Pacekeeper: a benchmark is broken"} | common),
        ("GET", "/user", None),
        ("GET", f"{NOTES}?per_page=100&page=1", None),
        ("POST", NOTES, {"body": checkout.comment}),
    ]  # fmt: skip
    assert {headers["PRIVATE-TOKEN"] for headers in map(lower, api.headers)} == {"s3cret"}


def lower(headers):
    return {name.upper(): value for name, value in headers.items()}


def test_our_note_is_updated_and_nobody_elses(checkout, api, gitlab):
    marked = "<!-- pacekeeper -->\nold"
    api.answers[f"GET {NOTES}"] = (200, [
        {"id": 1, "author": {"id": 9}, "body": marked},
        {"id": 2, "author": {"id": 8}, "body": "something else"},
        {"id": 3, "author": {"id": 8}, "body": marked},
    ])  # fmt: skip
    api.answers[f"PUT {NOTES}/3"] = (200, {})
    checkout.gate(**gitlab)
    assert api.asked("PUT", f"{NOTES}/3") == [{"body": checkout.comment}]
    assert api.asked("POST", NOTES) == []


@pytest.mark.parametrize(
    ("outcome", "code", "state"),
    [
        ("pass", 0, "success"),
        ("regression", 1, "failed"),
        ("inconclusive", 0, "canceled"),
        ("infrastructure", 4, "canceled"),
    ],
)
def test_the_outcomes_stay_apart_in_the_status(checkout, api, gitlab, outcome, code, state):
    checkout.told |= {"code": code, "outcome": outcome}
    checkout.gate(**gitlab)
    assert api.asked("POST", f"{PROJECT}/statuses/{checkout.head}")[-1]["state"] == state


def test_a_token_without_rights_is_said_and_the_verdict_stands(checkout, api, gitlab):
    api.answers[f"POST {PROJECT}/statuses/{checkout.head}"] = (403, {"message": "403 Forbidden"})
    api.answers["GET /user"] = (401, {"message": "401 Unauthorized"})
    checkout.told |= {"code": 1, "outcome": "regression"}
    assert checkout.gate(**gitlab) == 1
    said = [line for line in checkout.lines if line.startswith("warning: ")]
    assert len(said) == 3
    assert "the token needs the scope `api`" in said[1]
    assert "401 Unauthorized" in said[2]
    assert not any("s3cret" in line for line in checkout.lines)


def test_no_token_is_said(checkout, gitlab):
    del gitlab["PACEKEEPER_GITLAB_TOKEN"]
    checkout.gate(**gitlab)
    assert any("there is no PACEKEEPER_GITLAB_TOKEN" in line for line in checkout.lines)
