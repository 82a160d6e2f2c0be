"""`.ci/gate`: what each exit code of the gate makes CI do."""

import pytest


@pytest.fixture
def branched(checkout):
    """main went on after the branch left it; HEAD is the branch's."""
    checkout.fork = checkout.git("rev-parse", "HEAD")
    checkout.git("checkout", "-q", "-b", "change")
    checkout.head = checkout.commit("change")
    checkout.git("checkout", "-q", "main")
    checkout.commit("main goes on")
    checkout.git("checkout", "-q", "change")
    return checkout


def outcome(checkout):
    return (checkout.root / "reports" / "outcome").read_text().strip()


TABLE = [
    ("0", "pass", "success", 0, None),
    ("1", "regression", "failure", 1, "::error title="),
    ("2", "infrastructure", "neutral", 0, "::warning title="),
    ("3", "inconclusive", "success", 0, "::warning title="),
    ("4", "infrastructure", "neutral", 0, "::warning title="),
    ("5", "infrastructure", "neutral", 0, "::warning title="),
    ("130", "infrastructure", "neutral", 0, "::warning title="),
    ("137", "infrastructure", "neutral", 0, "::warning title="),
]


@pytest.mark.parametrize(("code", "word", "conclusion", "exits", "annotation"), TABLE)
def test_every_code(branched, tmp_path, code, word, conclusion, exits, annotation):
    output = tmp_path / "output"
    done = branched.run(
        "gate", "main", "HEAD", FAKE_CODE=code, GITHUB_ACTIONS="true", GITHUB_OUTPUT=str(output)
    )
    assert (done.returncode, outcome(branched)) == (exits, word)
    said = dict(line.split("=", 1) for line in output.read_text().splitlines())
    assert (said["outcome"], said["conclusion"]) == (word, conclusion)
    annotations = [line for line in done.stdout.splitlines() if line.startswith("::")]
    assert len(annotations) == (annotation is not None)
    assert all(line.startswith(annotation) for line in annotations)


@pytest.mark.parametrize("code", ["2", "4", "5", "137"])
def test_what_is_no_verdict_never_speaks_of_a_regression(branched, tmp_path, code):
    summary = tmp_path / "summary"
    done = branched.run(
        "gate",
        "main",
        "HEAD",
        FAKE_CODE=code,
        FAKE_WORD="false regression",
        FAKE_SAYS="INVALID: the GPU was throttled",
        GITHUB_ACTIONS="true",
        GITHUB_STEP_SUMMARY=str(summary),
    )
    comment = (branched.root / "reports" / "comment.md").read_text()
    assert "INVALID: the GPU was throttled" in done.stdout.splitlines()[-1]
    assert "INVALID: the GPU was throttled" in comment
    for text in (done.stdout, comment, summary.read_text()):
        assert "regression" not in text.lower()


def test_the_base_is_where_the_branch_left(branched):
    branched.run("gate", "main", "HEAD", "--budget", "5m")
    (call,) = branched.calls()
    assert call.startswith(f"gate {branched.fork} HEAD --report reports/gate.md ")
    assert call.endswith("--report reports/gate.json --report reports/gate.xml --budget 5m")


def test_the_reports_and_the_comment(branched):
    branched.run("gate", "main", "HEAD", FAKE_CODE="1", FAKE_SAYS="REGRESSION: ttft (exit 1)")
    reports = branched.root / "reports"
    assert sorted(file.name for file in reports.iterdir()) == [
        "comment.md",
        "gate.json",
        "gate.log",
        "gate.md",
        "gate.xml",
        "outcome",
    ]
    assert (reports / "comment.md").read_text() == "<!-- pacekeeper -->\nreport of a gate\n"
    assert (reports / "gate.log").read_text() == "REGRESSION: ttft (exit 1)\n"


def test_a_long_comment_fits(branched):
    branched.run("gate", "main", "HEAD", FAKE_WORD="x" * 70_000)
    assert (branched.root / "reports" / "comment.md").stat().st_size < 65_536


@pytest.mark.parametrize("code", ["0", "1", "3"])
def test_a_verdict_without_a_report_is_none(branched, code):
    done = branched.run("gate", "main", "HEAD", FAKE_CODE=code, FAKE_REPORT="")
    assert (done.returncode, outcome(branched)) == (0, "infrastructure")


def test_an_old_report_is_not_taken_for_a_new_one(branched):
    branched.run("gate", "main", "HEAD", FAKE_CODE="1")
    done = branched.run("gate", "main", "HEAD", FAKE_CODE="1", FAKE_REPORT="")
    assert (done.returncode, outcome(branched)) == (0, "infrastructure")


def test_no_tracker_is_infrastructure(branched):
    done = branched.run("gate", "main", "HEAD", PATH="/usr/bin:/bin")
    assert (done.returncode, outcome(branched)) == (0, "infrastructure")


def test_no_common_ancestor_is_infrastructure(branched):
    done = branched.run("gate", "origin/gone", "HEAD")
    assert (done.returncode, outcome(branched)) == (0, "infrastructure")
    assert "fetch the whole history" in done.stdout
    assert branched.calls() == []


@pytest.mark.parametrize("code", ["2", "3", "4"])
def test_a_team_may_block_on_more(branched, code):
    blocks = "regression inconclusive infrastructure"
    assert (
        branched.run("gate", "main", "HEAD", FAKE_CODE=code, PACEKEEPER_BLOCK_ON=blocks).returncode
        == 1
    )
    assert (
        branched.run("gate", "main", "HEAD", FAKE_CODE="0", PACEKEEPER_BLOCK_ON=blocks).returncode
        == 0
    )


def test_missing_arguments_are_usage(branched):
    done = branched.run("gate", "main")
    assert done.returncode == 2
    assert "usage: .ci/gate" in done.stderr


@pytest.mark.parametrize("said", ["LIMIT BROKEN: ttft", "CREEP beyond its budget since v1.2: ttft"])
def test_whatever_blocks_is_named_in_the_annotation(branched, said):
    done = branched.run(
        "gate", "main", "HEAD", FAKE_CODE="1", FAKE_SAYS=said, GITHUB_ACTIONS="true"
    )
    (annotation,) = [line for line in done.stdout.splitlines() if line.startswith("::error")]
    assert said in annotation
