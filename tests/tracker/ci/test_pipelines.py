"""Action, workflows, Jenkins step, GitLab template: their shape, their secrets, real commands."""

import re
import shlex

import click
import pytest
import yaml

from tests.tracker.ci.conftest import ROOT
from tracker.cli import cli

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
JENKINS = [ROOT / "Jenkinsfile", ROOT / ".ci" / "jenkins" / "vars" / "pacekeeperGate.groovy"]
GITLAB = ROOT / ".ci" / "gitlab" / "pacekeeper.yml"
SECRET = re.compile(r"secrets\.|github\.token")


def load(name):
    return yaml.safe_load((ROOT / name).read_text())


def jobs(path):
    """The jobs of a workflow that have steps; one that calls another workflow has none."""
    return {n: job for n, job in yaml.safe_load(path.read_text())["jobs"].items() if "steps" in job}


def steps():
    """(where, step) of every step of the workflows and of the action."""
    for path in WORKFLOWS:
        for name, job in jobs(path).items():
            for step in job["steps"]:
                yield f"{path.name} {name}", step
    for step in load("action.yml")["runs"]["steps"]:
        yield "action.yml", step


def shell_lines():
    """(where, line) of every shell line that CI runs."""
    for where, step in steps():
        for line in step.get("run", "").splitlines():
            yield where, line.strip()
    for path in JENKINS:
        for line in re.findall(
            r"\bsh(?:\(.*script:)? ?['\"](.+?)['\"]\.?(?:trim)?", path.read_text()
        ):
            yield path.name, line
    for name, job in yaml.safe_load(GITLAB.read_text()).items():
        for line in job.get("script", ()):
            yield f"gitlab {name}", line
    for line in (ROOT / ".ci" / "gate").read_text().splitlines():
        if not line.startswith("#"):
            yield ".ci/gate", line


def tracker_commands():
    for where, line in shell_lines():
        if found := re.search(r"(?:^|&& |exec )tracker ([a-z].*)", line):
            yield pytest.param(
                re.sub(r"\$\{POLICY.*\}|\$\{policy\}", "", found[1]), id=f"{where}: {line}"
            )


@pytest.mark.parametrize("text", list(tracker_commands()))
def test_every_tracker_command_is_a_real_one(text):
    name, *args = shlex.split(text.replace('"${words[@]}" "${more[@]}"', "").replace("$PULL", "1"))
    group = cli.get_command(None, name)
    command = group.get_command(click.Context(group), args.pop(0))
    with command.make_context(name, args):
        pass


def test_the_commands_were_found():
    found = sorted(" ".join(param.values[0].split()[:2]) for param in tracker_commands())
    # gate: action, workflow, fork, Jenkins, GitLab, .ci/gate; record: two in each of three systems
    assert found == ["ci authorize"] + ["ci gate"] * 6 + ["ci publish"] + ["ci record"] * 6


@pytest.mark.parametrize(("where", "line"), [x for x in shell_lines() if x[1].startswith("make ")])
def test_every_make_target_exists(where, line):
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert line.split()[1] in targets


def test_every_action_is_pinned_by_hash_and_names_its_version():
    for path in (*WORKFLOWS, ROOT / "action.yml"):
        for line in re.findall(r"uses: (.+)", path.read_text()):
            if not line.startswith("./"):
                assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


def test_every_step_runs_or_uses_and_no_text_of_a_stranger_reaches_a_shell():
    for where, step in steps():
        assert ("uses" in step) != ("run" in step), where
        assert "${{" not in step.get("run", ""), "pass it through env: it is not to be trusted"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_has_what_github_asks_for(path):
    workflow = yaml.safe_load(path.read_text())
    known = {"name", True, "permissions", "concurrency", "env", "jobs"}
    assert set(workflow) <= known
    assert workflow["permissions"]["contents"] == "read"
    assert "env" not in workflow, "a secret of a workflow would reach every job of it"
    for job in jobs(path).values():
        assert "env" not in job, "a secret of a job would reach every step of it"
        assert job["timeout-minutes"] <= 180


def test_secrets_reach_only_steps_that_run_the_tracker_and_never_a_forks_code():
    for where, step in steps():
        if SECRET.search(str(step)):
            run = step.get("run", "")
            assert run.startswith(("tracker ci", "test -n")) or "\ntracker ci" in run, where
    measure = jobs(ROOT / ".github" / "workflows" / "measure.yml")
    assert not SECRET.search(str(measure["fork"]))
    assert measure["fork"]["permissions"] == {"contents": "read"}
    assert "head.repo.full_name == github.repository" in measure["gate"]["if"]
    # Whoever holds a token that writes runs none of the fork's code.
    for name in ("ask", "publish"):
        (checkout,) = [s for s in measure[name]["steps"] if "checkout" in s.get("uses", "")]
        assert "ref" not in checkout["with"]
        assert measure[name]["runs-on"] == "ubuntu-latest"
    for job in measure.values():
        for step in job["steps"]:
            if "checkout" in step.get("uses", ""):
                assert step["with"]["persist-credentials"] is False


def test_a_forks_change_is_measured_only_where_somebody_with_rights_asked():
    measure = jobs(ROOT / ".github" / "workflows" / "measure.yml")
    assert "startsWith(github.event.comment.body, '/pacekeeper gate')" in measure["ask"]["if"]
    assert measure["ask"]["steps"][-1]["run"] == "tracker ci authorize"
    for name in ("fork", "publish"):
        assert "needs.ask.outputs.allowed == 'true'" in measure[name]["if"]
    assert measure["publish"]["if"].startswith("${{ always()"), (
        "a dead measurement is published, too"
    )
    (download,) = [s for s in measure["publish"]["steps"] if "download" in s.get("uses", "")]
    assert download["continue-on-error"] is True
    outputs = set(measure["ask"]["outputs"])
    assert outputs == {"allowed", "head", "target", "pull"}


def test_measuring_jobs_have_the_whole_history_and_a_store():
    measure = jobs(ROOT / ".github" / "workflows" / "measure.yml")
    for name in ("gate", "record", "nightly"):
        assert "PACEKEEPER_DB" in measure[name]["steps"][0]["run"]
        checkout = measure[name]["steps"][1]
        assert checkout["with"]["fetch-depth"] == 0
        assert any("PACEKEEPER_DB" in s.get("env", {}) for s in measure[name]["steps"][2:])
    conditions = {name: measure[name]["if"] for name in ("gate", "record", "nightly")}
    assert "'pull_request'" in conditions["gate"]
    assert "'push'" in conditions["record"]
    assert "'schedule'" in conditions["nightly"]


def test_this_repositorys_workflow_only_calls_the_reusable_one():
    workflow = load(".github/workflows/pacekeeper.yml")
    assert set(workflow[True]) == {"pull_request", "issue_comment", "push", "schedule"}
    (job,) = workflow["jobs"].values()
    assert job["uses"] == "./.github/workflows/measure.yml"
    called = load(".github/workflows/measure.yml")[True]["workflow_call"]
    assert set(job["with"]) <= set(called["inputs"])
    assert set(job["secrets"]) == set(called["secrets"])
    assert (ROOT / job["with"]["policy"]).is_file()
    assert workflow["permissions"] == {
        "contents": "read", "pull-requests": "write", "checks": "write",
    }  # fmt: skip


def test_the_reports_are_kept_where_the_gate_blocks_and_every_output_is_written():
    for where, step in steps():
        if "upload-artifact" in step.get("uses", ""):
            assert step["if"] == "${{ !cancelled() }}", where
    outputs = load("action.yml")["outputs"]
    assert set(outputs) == {"outcome", "conclusion", "title", "reason"}
    assert "GITHUB_OUTPUT" not in (ROOT / "action.yml").read_text()  # `tracker ci gate` writes them


def test_jenkins_gives_no_credential_to_a_forks_change():
    pipeline, step = (path.read_text() for path in JENKINS)
    for text in (pipeline, step):
        assert text.count("{") == text.count("}")
        assert text.count("(") == text.count(")")
    assert "if (options.credentials && !env.CHANGE_FORK)" in step
    # In the pipeline the credential belongs to stages that no change request reaches.
    for stage in re.split(r"(?=stage\()", pipeline)[1:]:
        if "credentials(" in stage:
            assert "branch 'main'" in stage
    assert "credentials(" not in pipeline.split("stages {")[0]
    for part in (
        "junit testResults: 'reports/gate.xml'",
        "archiveArtifacts",
        "unstable(",
        "error(",
    ):
        assert part in step


def test_gitlab_measures_no_forks_change_and_shows_junit():
    template = yaml.safe_load(GITLAB.read_text())
    gate = template["pacekeeper-gate"]
    assert "$CI_MERGE_REQUEST_SOURCE_PROJECT_ID == $CI_PROJECT_ID" in gate["rules"][0]["if"]
    assert gate["artifacts"]["reports"]["junit"] == "reports/gate.xml"
    assert gate["artifacts"]["when"] == "always"
    assert template[".pacekeeper"]["variables"]["GIT_DEPTH"] == "0"


def test_the_projects_own_tests_run_on_every_python_it_names():
    job = jobs(ROOT / ".github" / "workflows" / "tests.yml")["tests"]
    text = (ROOT / "pyproject.toml").read_text()
    named = re.findall(r"Programming Language :: Python :: (3\.\d+)", text)
    assert job["strategy"]["matrix"]["python"] == named
    assert ".ci/run" in [step.get("run") for step in job["steps"]]


def test_dependencies_are_audited():
    audit = jobs(ROOT / ".github" / "workflows" / "tests.yml")["audit"]
    assert "pip-audit" in audit["steps"][-1]["run"]
    assert "continue-on-error" not in str(audit)


def test_every_script_can_be_run():
    for path in (ROOT / ".ci").iterdir():
        if path.is_file() and path.suffix != ".toml":
            assert path.stat().st_mode & 0o111, f"{path.name} is not executable"
