"""GitHub's side: each request to the REST API, and who may ask for a gate."""

import json

import pytest

from tracker.ci.github import CHECK_NAME, GitHubJob, permit_of
from tracker.ci.jobs import publish_job
from tracker.ci.result import CiResult, save_result
from tracker.errors import UsageError

REPO = "/repos/team/engine"
COMMENTS = f"{REPO}/issues/12/comments"


@pytest.fixture
def github(api, tmp_path):
    """The environment of a pull request's job; the API answers what a token with rights gets."""
    api.answers |= {
        f"POST {REPO}/check-runs": (201, {"id": 5}),
        f"PATCH {REPO}/check-runs/5": (200, {}),
        f"GET {REPO}/issues/12": (200, {"labels": []}),
        f"GET {COMMENTS}": (200, []),
        f"POST {COMMENTS}": (201, {}),
    }
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": 12, "labels": []}}))
    return {
        "GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "team/engine", "GITHUB_TOKEN": "s3cret",
        "GITHUB_API_URL": api.url, "GITHUB_EVENT_PATH": str(event), "GITHUB_RUN_ID": "99",
    }  # fmt: skip


def test_the_check_is_begun_before_the_gate_and_completed_after_it(checkout, api, github):
    def begin(_handler):
        assert checkout.calls == []
        return 201, {"id": 5}

    api.answers[f"POST {REPO}/check-runs"] = begin
    checkout.told |= {"code": 1, "outcome": "regression", "headline": "REGRESSION: ttft"}
    assert checkout.gate(**github) == 1
    url = "https://github.com/team/engine/actions/runs/99"
    begun = {
        "name": CHECK_NAME, "head_sha": checkout.head, "status": "in_progress", "details_url": url,
    }  # fmt: skip
    ended = {
        "status": "completed", "conclusion": "failure", "details_url": url,
        "output": {"title": "Pacekeeper: slower than before", "summary": checkout.comment},
    }  # fmt: skip
    assert api.requests == [
        ("POST", f"{REPO}/check-runs", begun),
        ("GET", f"{REPO}/issues/12", None),
        ("PATCH", f"{REPO}/check-runs/5", ended),
        ("GET", f"{COMMENTS}?per_page=100&page=1", None),
        ("POST", COMMENTS, {"body": checkout.comment}),
    ]
    for headers in api.headers:
        assert headers["Authorization"] == "Bearer s3cret"
        assert headers["X-GitHub-Api-Version"] == "2022-11-28"
    assert not any("not published" in line for line in checkout.lines)


def test_our_comment_is_updated_and_nobody_elses(checkout, api, github):
    marked = "<!-- pacekeeper -->\nold"
    people = [{"id": n, "user": {"type": "User"}, "body": marked} for n in range(100)]
    bots = [
        {"id": 200, "user": {"type": "Bot"}, "body": "of another bot"},
        {"id": 201, "user": {"type": "Bot"}, "body": marked},
    ]
    api.answers[f"GET {COMMENTS}"] = [(200, people), (200, bots)]
    api.answers[f"PATCH {REPO}/issues/comments/201"] = (200, {})
    checkout.gate(**github)
    assert api.asked("PATCH", f"{REPO}/issues/comments/201") == [{"body": checkout.comment}]
    assert api.asked("POST", COMMENTS) == []


@pytest.mark.parametrize(
    ("outcome", "code", "conclusion"),
    [
        ("pass", 0, "success"),
        ("broken", 1, "failure"),
        ("inconclusive", 3, "neutral"),
        ("infrastructure", 4, "neutral"),
    ],
)
def test_the_outcomes_stay_apart_in_the_check(checkout, api, github, outcome, code, conclusion):
    checkout.told |= {"code": code, "outcome": outcome}
    checkout.gate(**github)
    (check,) = api.asked("PATCH", f"{REPO}/check-runs/5")
    assert check["conclusion"] == conclusion
    titles = {
        "pass": "no slowdown", "broken": "a benchmark is broken", "inconclusive": "undecided",
        "infrastructure": "the change was not judged",
    }  # fmt: skip
    assert check["output"]["title"] == f"Pacekeeper: {titles[outcome]}"


def test_a_token_without_rights_is_said_and_the_verdict_stands(checkout, api, github):
    refusal = (403, {"message": "Resource not accessible by integration"})
    api.answers[f"POST {REPO}/check-runs"] = refusal
    api.answers[f"GET {COMMENTS}"] = refusal
    checkout.told |= {"code": 1, "outcome": "regression"}
    assert checkout.gate(**github) == 1
    said = [line for line in checkout.lines if "not published" in line]
    assert len(said) == 3  # the announcement, the check, the comment
    assert "Resource not accessible by integration" in said[0]
    assert "give the job the permission `checks%3A write`" in said[1].replace(
        "checks:", "checks%3A"
    )
    assert "`pull-requests" in said[2]
    assert not any("s3cret" in line for line in checkout.lines)


def test_no_token_is_said(checkout, github):
    del github["GITHUB_TOKEN"]
    assert checkout.gate(**github) == 0
    assert any("no comment and no check" in line for line in checkout.lines)


def test_without_publishing_nothing_is_written_and_nothing_is_missed(checkout, api, github):
    assert checkout.gate(publish=False, **github) == 0
    assert {method for method, _, _ in api.requests} == {"GET"}
    assert not any("not published" in line for line in checkout.lines)


def test_the_label_is_asked_for_when_the_job_runs(checkout, api, github):
    api.answers[f"GET {REPO}/issues/12"] = (200, {"labels": [{"name": "perf-expected"}]})
    checkout.gate(**github)
    api.answers[f"GET {REPO}/issues/12"] = (500, {})
    checkout.gate(**github)
    told = ["--ignore-messages" in call["words"] for call in checkout.calls]
    assert told == [False, True]
    assert any("the labels could not be read" in line for line in checkout.lines)


def test_a_merge_queue_names_its_branch(checkout, github, tmp_path):
    checkout.git("update-ref", "refs/remotes/origin/main", "main")
    event = {"merge_group": {"base_ref": "refs/heads/main"}}
    (tmp_path / "event.json").write_text(json.dumps(event))
    assert checkout.gate(None, **github) == 0
    assert checkout.calls[0]["words"][1] == checkout.fork


def test_a_push_gets_a_check_and_no_comment(checkout, api, github, tmp_path):
    (tmp_path / "event.json").write_text(json.dumps({"ref": "refs/heads/main"}))
    checkout.gate(**github)
    assert [method for method, _, _ in api.requests] == ["POST", "PATCH"]


def test_an_event_that_cannot_be_read_is_said(checkout, github, tmp_path):
    (tmp_path / "event.json").write_text("{")
    assert (checkout.gate(**github), checkout.outcome) == (0, "pass")
    assert any("GITHUB_EVENT_PATH" in line for line in checkout.lines)


# ---- reports of a job without a token -----------------------------------------------------------


def test_what_a_forks_gate_left_is_published(checkout, api, github, tmp_path):
    checkout.told |= {"code": 1, "outcome": "regression"}
    checkout.gate(publish=False)
    (tmp_path / "event.json").write_text(
        json.dumps({"action": "created", "issue": {"number": 12, "pull_request": {}}})
    )
    assert publish_job(checkout.here(**github), head=checkout.head, pull=12) == 1
    (check,) = api.asked("POST", f"{REPO}/check-runs")
    assert (check["conclusion"], check["head_sha"]) == ("failure", checkout.head)
    assert api.asked("POST", COMMENTS) == [{"body": checkout.comment}]


@pytest.mark.parametrize("left", [None, "{", '{"outcome": "fine"}', "other commit"])
def test_reports_that_are_missing_or_of_another_commit_are_no_pass(checkout, api, github, left):
    here = checkout.here(**github)
    here.reports.mkdir()
    if left == "other commit":
        save_result(CiResult("pass", "PASS", "0" * 40), here.reports)
    elif left is not None:
        (here.reports / "ci.json").write_text(left)
    assert publish_job(here, head=checkout.head) == 0
    (check,) = api.asked("POST", f"{REPO}/check-runs")
    assert (check["conclusion"], check["head_sha"]) == ("neutral", checkout.head)
    assert "not judged" in api.asked("POST", COMMENTS)[0]["body"]


# ---- a maintainer's comment ---------------------------------------------------------------------


def asking(api, tmp_path, github, *, body="/pacekeeper gate", permission="write", **pull):
    """The decision on a comment of mallory's at noon; the last push was at 11:00 unless told."""
    api.answers[f"GET {REPO}/collaborators/mallory/permission"] = (200, {"permission": permission})
    known = {
        "state": "open", "base": {"ref": "main"},
        "head": {"sha": "abcdef0" + "1" * 33, "repo": {"pushed_at": "2026-01-01T11:00:00Z"}},
    }  # fmt: skip
    api.answers[f"GET {REPO}/pulls/12"] = (200, known | pull)
    event = {
        "action": "created",
        "comment": {
            "body": body, "user": {"login": "mallory"}, "created_at": "2026-01-01T12:00:00Z",
        },
        "issue": {"number": 12, "pull_request": {}},
    }  # fmt: skip
    (tmp_path / "event.json").write_text(json.dumps(event))
    return permit_of(GitHubJob.of(github))


@pytest.mark.parametrize(
    "body", ["/pacekeeper gate", " /pacekeeper gate \n", "/pacekeeper gate ABCDEF0" + "1" * 33]
)
def test_a_maintainer_starts_a_gate_of_the_head(api, tmp_path, github, body):
    permit = asking(api, tmp_path, github, body=body, permission="maintain")
    assert (permit.allowed, permit.head, permit.target, permit.pull) == (
        True, "abcdef0" + "1" * 33, "main", 12,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("why", "more"),
    [
        ("may not write", {"permission": "read"}),
        ("may not write", {"permission": "none"}),
        ("may not write", {"permission": "triage"}),
        ("is not /pacekeeper gate", {"body": "please /pacekeeper gate"}),
        ("is not /pacekeeper gate", {"body": "/pacekeeper gate --policy soft.toml"}),
        ("is not open", {"state": "closed"}),
        ("not 12345678", {"body": "/pacekeeper gate " + "12345678" * 5}),
        ("is not /pacekeeper gate", {"body": "/pacekeeper gate abcdef0"}),
        (
            "pushed since",
            {"head": {"sha": "a" * 40, "repo": {"pushed_at": "2026-01-01T12:00:01Z"}}},
        ),
        ("pushed since", {"head": {"sha": "a" * 40, "repo": None}}),
    ],
)
def test_anything_else_starts_none(api, tmp_path, github, why, more):
    permit = asking(api, tmp_path, github, **more)
    assert not permit.allowed
    assert why in permit.reason
    assert permit.head == ""


def test_an_edited_comment_and_a_missing_token_start_none(tmp_path, github):
    (tmp_path / "event.json").write_text(json.dumps({"action": "edited", "comment": {}}))
    with pytest.raises(UsageError, match="no new comment"):
        permit_of(GitHubJob.of(github))
