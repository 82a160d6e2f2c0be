"""The workflow and the Jenkinsfile: their shape, and that every command in them exists."""

import re
import shlex

import pytest
import yaml

from tests.tracker.ci.conftest import ROOT
from tracker.cli import cli

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
JENKINSFILE = (ROOT / "Jenkinsfile").read_text()


def load(name):
    return yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text())


def run_lines(workflow):
    return [
        line.strip()
        for job in workflow["jobs"].values()
        for step in job["steps"]
        if "run" in step
        for line in step["run"].splitlines()
    ]


def shell_lines():
    """(where, line) of every shell line that CI runs."""
    for path in WORKFLOWS:
        for line in run_lines(yaml.safe_load(path.read_text())):
            yield path.name, line
    for line in re.findall(r"\bsh\(?[^'\n]*'([^'\n]+)'", JENKINSFILE):
        yield "Jenkinsfile", line
    for script in ("gate", "record", "alone", "run"):
        text = (ROOT / ".ci" / script).read_text().replace("\\\n", " ")
        for line in text.splitlines():
            if not line.lstrip().startswith(("#", "echo", "printf")):
                yield f".ci/{script}", line.strip()


def tracker_commands():
    for where, line in shell_lines():
        found = re.search(r"(?:^|\.ci/alone |\s)tracker ((?!gate ended)[a-z].*)", line)
        if found and not re.search(r"title=|reason", line):
            command = re.split(r" 2>&1| \|\| | && ", found[1])[0]
            yield pytest.param(command.replace('"$@"', ""), id=f"{where}: {command}")


@pytest.mark.parametrize("text", list(tracker_commands()))
def test_every_tracker_command_is_a_real_one(text):
    name, *args = shlex.split(text)
    command = cli.get_command(None, name)
    assert command is not None, f"there is no tracker {name}"
    # --report looks at its directory only when the command runs, so parsing needs no files.
    with command.make_context(name, args):
        pass


def test_the_commands_were_found():
    names = [param.values[0].split()[0] for param in tracker_commands()]
    assert sorted(names) == sorted(["gate", "run", "changepoints"] + ["run", "changepoints"] * 2), (
        names
    )


@pytest.mark.parametrize(("where", "line"), [x for x in shell_lines() if x[1].startswith("make ")])
def test_every_make_target_exists(where, line):
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert line.split()[1] in targets


def test_every_script_of_ours_exists_and_can_be_run():
    named = {name for _, line in shell_lines() for name in re.findall(r"\.ci/([a-z.]+)", line)}
    assert {"gate", "record", "alone", "run", "gpu.toml"} <= named
    for name in named:
        if name.endswith(".toml"):
            assert (ROOT / ".ci" / name).is_file()
            continue
        assert (ROOT / ".ci" / name).stat().st_mode & 0o111, f".ci/{name} is not executable"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_has_what_github_asks_for(path):
    workflow = yaml.safe_load(path.read_text())
    assert set(workflow) <= {"name", True, "permissions", "concurrency", "env", "jobs"}
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"]["group"]
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 180
        assert job["steps"]
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", step.get("uses", "actions/x@v1"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_text_of_a_stranger_reaches_a_shell(path):
    for line in run_lines(yaml.safe_load(path.read_text())):
        assert "${{" not in line, "pass it through env, a branch name is not to be trusted"


def test_measuring_jobs_run_on_the_gpu_with_the_whole_history_and_a_store():
    workflow = load("pacekeeper.yml")
    assert workflow["env"]["PACEKEEPER_DB"] == "${{ secrets.PACEKEEPER_DB }}"
    assert set(workflow["jobs"]) == {"gate", "record", "nightly"}
    for job in workflow["jobs"].values():
        assert job["runs-on"] == ["self-hosted", "linux", "gpu"]
        (checkout,) = [s for s in job["steps"] if s.get("uses", "").startswith("actions/checkout")]
        assert checkout["with"]["fetch-depth"] == 0
        assert "PACEKEEPER_DB" in job["steps"][0]["run"]


def test_each_event_has_its_job():
    workflow = load("pacekeeper.yml")
    assert set(workflow[True]) == {"pull_request", "push", "schedule"}
    conditions = {name: job["if"] for name, job in workflow["jobs"].items()}
    assert "'pull_request'" in conditions["gate"]
    assert "head.repo.full_name == github.repository" in conditions["gate"]
    assert "'push'" in conditions["record"]
    assert "'schedule'" in conditions["nightly"]


def test_the_gate_reports_even_where_it_blocks():
    steps = {step.get("name"): step for step in load("pacekeeper.yml")["jobs"]["gate"]["steps"]}
    assert steps["Judge"]["run"] == '.ci/gate "$TARGET" HEAD --policy .ci/gpu.toml'
    for name in ("Comment on the pull request", "Set the check", "Keep the reports"):
        assert "!cancelled()" in steps[name]["if"]
    assert "reports/comment.md" in steps["Comment on the pull request"]["with"]["script"]
    assert steps["Set the check"]["env"]["CONCLUSION"] == "${{ steps.gate.outputs.conclusion }}"
    assert steps["Keep the reports"]["with"]["path"] == "reports/"


def test_every_output_that_is_used_is_written():
    text = (ROOT / ".github" / "workflows" / "pacekeeper.yml").read_text()
    script = (ROOT / ".ci" / "gate").read_text()
    used = set(re.findall(r"steps\.gate\.outputs\.(\w+)", text))
    assert used == {"outcome", "conclusion", "title"}
    assert all(f'"{name}=$' in script for name in used)


def test_the_jenkinsfile_does_the_same():
    assert "agent { label 'linux && gpu' }" in JENKINSFILE
    assert (
        """sh(returnStatus: true, script: '.ci/gate "origin/$CHANGE_TARGET" HEAD --policy .ci/gpu.toml')"""
        in JENKINSFILE
    )
    assert JENKINSFILE.count("{") == JENKINSFILE.count("}")
    assert JENKINSFILE.count("(") == JENKINSFILE.count(")")
    for part in ("junit testResults: 'reports/gate.xml'", "archiveArtifacts", "unstable(", "lock("):
        assert part in JENKINSFILE
    github = {line for line in run_lines(load("pacekeeper.yml")) if "tracker run" in line}
    assert all(line in JENKINSFILE for line in github)


def test_the_projects_own_tests_run_on_every_python_it_names():
    workflow = load("tests.yml")
    (job,) = workflow["jobs"].values()
    text = (ROOT / "pyproject.toml").read_text()
    named = re.findall(r"Programming Language :: Python :: (3\.\d+)", text)
    assert job["strategy"]["matrix"]["python"] == named
    assert ".ci/run" in [step.get("run") for step in job["steps"]]
