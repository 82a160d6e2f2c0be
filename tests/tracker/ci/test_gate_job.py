"""`tracker ci gate`: what each end of the gate makes CI do, and whose rules it judges by."""

import json
import re
import signal
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from tracker.ci.gate_run import run_logged
from tracker.errors import UsageError

# exit code and outcome of the gate -> the job's outcome, the check's conclusion, the exit code
TABLE = [
    (0, "pass", "pass", "success", 0, None),
    (0, "improvement", "improvement", "success", 0, None),
    (1, "regression", "regression", "failure", 1, "::error title="),
    (1, "broken", "broken", "failure", 1, "::error title="),
    (3, "inconclusive", "inconclusive", "neutral", 0, "::warning title="),
    (0, "inconclusive", "inconclusive", "neutral", 0, "::warning title="),
    (4, "invalid", "invalid", "neutral", 0, "::warning title="),
    (4, "infrastructure", "infrastructure", "neutral", 0, "::warning title="),
    (2, None, "infrastructure", "neutral", 0, "::warning title="),
    (5, None, "infrastructure", "neutral", 0, "::warning title="),
    # No report, or one that contradicts the exit code, is never a verdict.
    (0, None, "infrastructure", "neutral", 0, "::warning title="),
    (1, None, "infrastructure", "neutral", 0, "::warning title="),
    (0, "regression", "infrastructure", "neutral", 0, "::warning title="),
    (1, "pass", "infrastructure", "neutral", 0, "::warning title="),
    (5, "pass", "infrastructure", "neutral", 0, "::warning title="),
    (0, "fine", "infrastructure", "neutral", 0, "::warning title="),
]


@pytest.mark.parametrize(("code", "said", "word", "conclusion", "exits", "annotation"), TABLE)
def test_every_end_of_a_gate(checkout, tmp_path, code, said, word, conclusion, exits, annotation):
    checkout.told |= {"code": code, "outcome": said}
    output = tmp_path / "output"
    done = checkout.gate(GITHUB_ACTIONS="true", GITHUB_OUTPUT=str(output))
    assert (done, checkout.outcome) == (exits, word)
    outputs = dict(line.split("=", 1) for line in output.read_text().splitlines())
    assert (outputs["outcome"], outputs["conclusion"]) == (word, conclusion)
    verdicts = [x for x in checkout.lines if x.startswith("::") and "not published" not in x]
    assert [x.startswith(annotation or "-") for x in verdicts] == [True] * (annotation is not None)
    cases = ElementTree.fromstring((checkout.reports / "gate.xml").read_text().replace(
        "### the report\n", "<testsuites/>"))  # fmt: skip
    assert bool(cases.findall(".//error")) == (word == "infrastructure")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_killed_gate_is_infrastructure_though_its_report_says_pass(checkout, number):
    checkout.told |= {"kill": number}
    assert (checkout.gate(), checkout.outcome) == (0, "infrastructure")
    assert f"killed by signal {int(number)}" in checkout.comment


@pytest.mark.parametrize("code", [2, 4, 5, 137])
def test_what_is_no_verdict_never_speaks_of_a_regression(checkout, tmp_path, code):
    summary = tmp_path / "summary"
    checkout.told |= {
        "code": code, "outcome": "infrastructure" if code == 4 else None,
        "says": "INVALID: the GPU was throttled", "headline": "INVALID: the GPU was throttled",
        "report": "a false regression",
    }  # fmt: skip
    checkout.gate(GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(summary))
    for text in (*checkout.lines, checkout.comment, summary.read_text()):
        assert "regression" not in text.lower()
    if code != 137:
        assert "INVALID: the GPU was throttled" in checkout.comment


def test_the_gate_process_that_dies_with_the_job_leaves_infrastructure_behind(checkout):
    """The files are there from the start: a job killed at any moment reads as not judged."""
    checkout.told |= {"code": 0}
    here = checkout.here()
    code = (
        "import os, signal, sys\n"
        "from tests.tracker.ci.conftest import Checkout\n"
        "from tracker.ci import jobs\n"
        "jobs._run_gate = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)\n"
        "jobs.gate_job(jobs.surroundings_of(os.environ, 'sqlite://'), 'main', 'HEAD')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=checkout.root,
        env=here.environ | {"PACEKEEPER_REPORTS": str(checkout.reports), "PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    assert checkout.outcome == "infrastructure"


def test_the_base_is_where_the_branch_left_and_options_are_passed_on(checkout):
    checkout.gate("main", "HEAD", "--budget", "5m")
    (call,) = checkout.calls
    assert call["words"][:3] == ["gate", checkout.fork, checkout.head]
    assert call["words"][-2:] == ["--budget", "5m"]
    assert "--ignore-messages" in call["words"]
    assert call["env"]["PACEKEEPER_DB"] == "sqlite:///elsewhere.db"
    assert not [word for word in call["words"] if "sqlite" in word]


def test_the_reports_and_the_comment(checkout):
    checkout.told |= {"code": 1, "outcome": "regression", "headline": "REGRESSION: ttft"}
    checkout.gate()
    assert {file.name for file in checkout.reports.iterdir()} >= {
        "comment.md", "gate.json", "gate.log", "gate.md", "gate.xml", "outcome", "ci.json",
    }  # fmt: skip
    assert checkout.comment == "<!-- pacekeeper -->\n### the report\n"
    assert (checkout.reports / "gate.log").read_text() == "measuring\n"


def test_a_comment_mentions_nobody(checkout):
    checkout.told |= {"report": "- `bench@2` slower, says @team\n"}
    checkout.gate()
    assert "@team" not in checkout.comment and "@\u200bteam" in checkout.comment


def test_a_long_comment_fits(checkout):
    checkout.told |= {"report": "→" * 70_000}
    checkout.gate()
    assert len(checkout.comment.encode()) < 65_536
    assert checkout.comment.endswith("the whole report is among the job's artifacts.\n")


def test_an_old_report_is_not_taken_for_a_new_one(checkout):
    checkout.told |= {"code": 1, "outcome": "regression"}
    checkout.gate()
    checkout.told |= {"outcome": None}
    assert (checkout.gate(), checkout.outcome) == (0, "infrastructure")


def test_a_report_of_other_commits_is_not_believed(checkout):
    checkout.told |= {"base": "0" * 40}
    assert (checkout.gate(), checkout.outcome) == (0, "infrastructure")
    assert "other commits" in checkout.comment


@pytest.mark.parametrize(
    ("target", "head", "said"),
    [("origin/gone", "HEAD", "origin/gone"), ("main", "nothing", "nothing")],
)
def test_what_is_not_there_is_infrastructure(checkout, target, head, said):
    assert (checkout.gate(target, head), checkout.outcome) == (0, "infrastructure")
    assert said in checkout.comment
    assert checkout.calls == []


def test_no_common_ancestor_is_infrastructure(checkout):
    checkout.git("checkout", "-q", "--orphan", "other")
    checkout.commit("unrelated")
    assert (checkout.gate(), checkout.outcome) == (0, "infrastructure")
    assert "fetch the whole history" in checkout.comment


def test_a_team_may_block_on_more_and_sees_red_everywhere(checkout, tmp_path):
    output = tmp_path / "output"
    blocks = "regression, inconclusive infrastructure"
    for said, code in (("inconclusive", 0), ("invalid", 4), ("broken", 1)):
        checkout.told |= {"outcome": said, "code": code}
        environ = {"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": str(output)}
        assert checkout.gate(PACEKEEPER_BLOCK_ON=blocks, **environ) == 1
        assert "conclusion=failure" in output.read_text()
        output.unlink()
    checkout.told |= {"outcome": "pass", "code": 0}
    assert checkout.gate(PACEKEEPER_BLOCK_ON=blocks) == 0


def test_a_team_that_does_not_block_on_regressions_sees_no_green(checkout, tmp_path):
    output = tmp_path / "output"
    checkout.told |= {"outcome": "regression", "code": 1}
    environ = {"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": str(output)}
    assert checkout.gate(PACEKEEPER_BLOCK_ON="infrastructure", **environ) == 0
    assert "conclusion=neutral" in output.read_text()


def test_a_word_that_is_no_outcome_is_usage(checkout):
    with pytest.raises(UsageError, match="did you mean 'regression'"):
        checkout.gate(PACEKEEPER_BLOCK_ON="regresion")


def test_without_a_target_outside_of_a_request_is_usage(checkout):
    with pytest.raises(UsageError, match="give TARGET"):
        checkout.gate(None)


@pytest.mark.parametrize(
    "environ",
    [
        {"GITHUB_ACTIONS": "true", "GITHUB_BASE_REF": "main"},
        {"GITLAB_CI": "true", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main"},
        {"CHANGE_TARGET": "main"},
    ],
)
def test_the_target_of_the_request_is_known(checkout, environ):
    checkout.git("update-ref", "refs/remotes/origin/main", "main")
    assert checkout.gate(None, **environ) == 0
    assert checkout.calls[0]["words"][1] == checkout.fork


def test_measured_code_cannot_speak_to_the_ci_system(checkout, tmp_path, capsys):
    files = {name: str(tmp_path / name) for name in ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH")}
    tokens = {"GITHUB_TOKEN": "t", "PACEKEEPER_GITLAB_TOKEN": "t", "ACTIONS_RUNTIME_URL": "u",
              "CI_JOB_TOKEN": "t", "CI_REGISTRY_PASSWORD": "p", "CI_REPOSITORY_URL": "u"}  # fmt: skip
    checkout.told |= {"says": "::error::a benchmark's own words\n::set-output name=outcome::pass"}
    checkout.gate(
        GITHUB_ACTIONS="true",
        publish=False,
        HF_TOKEN="mine",
        **files,
        **tokens,
    )
    (call,) = checkout.calls
    assert not set(call["env"]) & {*files, *tokens}
    assert call["env"]["HF_TOKEN"] == "mine"  # the runner decides on the user's own
    out = capsys.readouterr().out.splitlines()
    stop = re.fullmatch(r"::stop-commands::([0-9a-f]{32})", out[0])
    end = out.index(f"::{stop[1]}::")
    assert {"::error::a benchmark's own words", "::set-output name=outcome::pass"} <= set(
        out[1:end]
    )


def test_a_title_cannot_end_an_annotation(checkout):
    checkout.told |= {
        "outcome": "regression", "code": 1, "headline": "REGRESSION: a%\n::error::b\r, c",
    }  # fmt: skip
    checkout.gate(GITHUB_ACTIONS="true")
    (line,) = [line for line in checkout.lines if line.startswith("::error")]
    assert line.endswith("::REGRESSION: a%25 ::error::b , c")


def test_an_interrupted_job_ends_the_gate_and_says_so(checkout, monkeypatch):
    monkeypatch.setattr("tracker.ci.jobs.run_logged", lambda *a, **k: 130)
    with pytest.raises(KeyboardInterrupt):
        checkout.gate()
    assert checkout.outcome == "infrastructure"
    assert "interrupted" in checkout.comment


def test_a_command_that_cannot_start_and_one_that_leaves_a_child_behind(tmp_path, monkeypatch):
    log = tmp_path / "log"
    assert run_logged(["/nowhere/tracker"], log, environ={}) == 127
    assert "cannot be started" in log.read_text()
    monkeypatch.setattr("tracker.ci.gate_run._DRAIN", 0.2)
    leaving = "import subprocess, sys; print(1); subprocess.Popen(['sleep', '3']); sys.exit(7)"
    assert run_logged([sys.executable, "-c", leaving], log, environ={"PATH": "/usr/bin:/bin"}) == 7


# ---- whose rules -------------------------------------------------------------------------------


def test_the_policy_is_the_merge_bases(checkout):
    checkout.write("pacekeeper.toml", "[gate]\nmargin = 0.5\n")
    checkout.commit("soften")
    checkout.gate()
    assert checkout.calls[0]["policy"] == "[gate]\nmargin = 0.01\n"
    (note,) = checkout.notes
    assert note == (
        "This change edits pacekeeper.toml. It was judged by the policy of the merge base "
        f"{checkout.fork[:8]}."
    )  # fmt: skip


def test_a_named_policy_is_the_merge_bases_too(checkout):
    checkout.write(".ci/gpu.toml", "[gate]\nmargin = 0.5\n")
    checkout.commit("soften")
    checkout.gate(policy=checkout.root / ".ci" / "gpu.toml")
    assert checkout.calls[0]["policy"] == "[gate]\nmargin = 0.02\n"
    assert "edits .ci/gpu.toml" in checkout.notes[0]


def test_a_link_that_leads_out_of_the_repository_is_not_followed(checkout, tmp_path):
    (tmp_path / "soft.toml").write_text("[gate]\nmargin = 0.5\n")
    (checkout.root / ".ci" / "gpu.toml").unlink()
    (checkout.root / ".ci" / "gpu.toml").symlink_to(tmp_path / "soft.toml")
    checkout.commit("soften")
    checkout.gate(policy=checkout.root / ".ci" / "gpu.toml")
    assert checkout.calls[0]["policy"] == "[gate]\nmargin = 0.02\n"


def test_a_policy_of_the_machine_is_taken_as_it_is(checkout, tmp_path):
    path = tmp_path / "machine.toml"
    path.write_text("[gate]\nmargin = 0.03\n")
    checkout.gate(policy=path)
    assert checkout.calls[0]["policy"] == "[gate]\nmargin = 0.03\n"
    assert checkout.notes == []


def test_a_change_cannot_bring_the_policy_that_it_is_judged_by(checkout):
    checkout.write("new.toml", "[gate]\nmargin = 0.5\n")
    checkout.commit("soften")
    assert (checkout.gate(policy=checkout.root / "new.toml"), checkout.outcome) == (
        0,
        "infrastructure",
    )
    assert "merge the policy first" in checkout.comment
    assert checkout.calls == []


def test_a_first_policy_does_not_judge_the_change_that_brings_it(checkout):
    checkout.git("checkout", "-q", "main")
    checkout.git("rm", "-q", "pacekeeper.toml")
    checkout.commit("no policy")
    checkout.git("checkout", "-q", "-b", "brings")
    checkout.write("pacekeeper.toml", "[gate]\nmargin = 0.5\n")
    checkout.commit("brings a policy")
    checkout.gate()
    assert checkout.calls[0]["policy"] == ""
    assert "adds pacekeeper.toml. It was judged by the default policy" in checkout.notes[0]


@pytest.mark.parametrize("committed", [True, False])
def test_edited_and_new_suites_are_listed_and_the_merge_bases_measure(checkout, committed):
    checkout.write("benchmarks/bench_old.py", "def track_old():\n    return 0\n")
    checkout.write("benchmarks/bench_new.py", "def track_new():\n    return 1\n")
    if committed:
        checkout.commit("suites")
    checkout.gate()
    (call,) = checkout.calls
    assert call["suites"] == ["__init__.py", "bench_old.py"]
    (note,) = checkout.notes
    assert "benchmarks/bench_old.py (edited)" in note
    assert "benchmarks/bench_new.py (new)" in note
    assert "What is new is judged from the next change on" in note


def test_a_deleted_suite_is_measured_all_the_same(checkout):
    checkout.git("rm", "-q", "benchmarks/bench_old.py")
    checkout.commit("delete")
    checkout.gate()
    assert checkout.calls[0]["suites"] == ["__init__.py", "bench_old.py"]
    assert "benchmarks/bench_old.py (removed)" in checkout.notes[0]


def test_an_edited_asv_configuration_is_the_merge_bases(checkout):
    checkout.write("asv.conf.json", '{"project": "toy", "benchmark_dir": "easy"}\n')
    checkout.write("easy/__init__.py", "")
    checkout.commit("easier suites")
    checkout.gate()
    assert '"benchmark_dir": "benchmarks"' in checkout.calls[0]["config"]
    assert "asv.conf.json (edited)" in checkout.notes[0]


def test_unchanged_rules_measure_in_the_checkout_at_hand(checkout):
    checkout.write("code.py", "")
    checkout.commit("code")
    checkout.gate()
    assert "--config" not in checkout.calls[0]["words"]
    assert checkout.notes == []


def test_a_project_without_suites_at_the_merge_base_is_told_why(checkout):
    checkout.git("checkout", "-q", "main")
    checkout.git("rm", "-q", "-r", "asv.conf.json", "pacekeeper.toml")
    checkout.commit("nothing")
    checkout.git("checkout", "-q", "-b", "first")
    checkout.write("asv.conf.json", '{"project": "toy"}\n')
    checkout.commit("first suites")
    assert (checkout.gate(), checkout.outcome) == (0, "infrastructure")
    assert "used once it is merged" in checkout.comment


def test_a_project_that_is_measured_by_a_command_needs_no_suites(checkout):
    checkout.git("checkout", "-q", "main")
    checkout.git("rm", "-q", "-r", "asv.conf.json")
    checkout.write("pacekeeper.toml", '[measure]\nrunner = "command"\n')
    checkout.commit("command")
    checkout.git("checkout", "-q", "-b", "other")
    checkout.git("rm", "-q", "pacekeeper.toml")
    checkout.commit("no command at all")
    assert (checkout.gate(), checkout.outcome) == (0, "pass")
    (call,) = checkout.calls
    assert call["policy"] == call["config"] == '[measure]\nrunner = "command"\n'
    assert call["words"][call["words"].index("--project") + 1] == "checkout"
    assert len(checkout.notes) == 1 and "edits pacekeeper.toml" in checkout.notes[0]


@pytest.mark.parametrize(
    ("environ", "event"),
    [
        ({"GITHUB_ACTIONS": "true"}, {"pull_request": {"labels": [{"name": "perf-expected"}]}}),
        ({"GITLAB_CI": "true", "CI_MERGE_REQUEST_LABELS": "bug,perf-expected"}, None),
    ],
)
def test_a_maintainers_label_accepts_what_the_change_expects(checkout, tmp_path, environ, event):
    if event is not None:
        path = tmp_path / "event.json"
        path.write_text(json.dumps(event))
        environ = environ | {"GITHUB_EVENT_PATH": str(path)}
    checkout.gate(**environ)
    assert "--ignore-messages" not in checkout.calls[0]["words"]


# ---- recording ---------------------------------------------------------------------------------


def test_what_was_pushed_is_measured_then_looked_at(checkout):
    checkout.commit("two")
    assert checkout.record(checkout.fork) == 0
    assert [call["words"] for call in checkout.calls] == [
        ["run", f"{checkout.fork}..HEAD"],
        ["changepoints", "--alert"],
    ]


@pytest.mark.parametrize("before", [None, "", "0" * 40, "HEAD", "main"])
def test_without_a_usable_commit_before_it_is_head(checkout, before):
    assert checkout.record(before, "--repeat", "3") == 0
    assert checkout.calls[0]["words"] == ["run", "HEAD", "--repeat", "3"]


def test_a_failed_measurement_fails_with_its_code_and_looks_at_nothing(checkout):
    checkout.told |= {"code": 4}
    assert checkout.record(GITHUB_ACTIONS="true") == 4
    assert len(checkout.calls) == 1
    assert any(
        line.startswith("::error title=Pacekeeper: nothing")
        for line in (x.replace("%3A", ":") for x in checkout.lines)
    )
