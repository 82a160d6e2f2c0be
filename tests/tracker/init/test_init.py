"""`tracker init`: what it writes is read back by the tracker, and nothing that is there changes."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from tests.tracker.measure.served import commit, git
from tracker.cli import Settings
from tracker.cli.init import command
from tracker.errors import UsageError
from tracker.gate.policy_file import load_policy
from tracker.measure.project import load_project

COMMAND = ("--command", 'python3 bench.py "{out}"')
SERVER = ("--server", "python3 serve.py {port}")


@pytest.fixture
def root(tmp_path, monkeypatch):
    root = tmp_path / "my-engine"
    commit(root, {"README": ""})
    monkeypatch.chdir(root)
    return root


def init(*args: str, **options):
    done = CliRunner().invoke(command, list(args), obj=Settings("sqlite://"), **options)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


@pytest.mark.parametrize(
    ("args", "runner"),
    [
        (COMMAND, "command"),
        ((*COMMAND, "--format", "hyperfine", "--build", "make"), "command"),
        (SERVER, "server"),
        (("--url", "http://engine:8000", "--deploy", "./deploy {commit}"), "server"),
    ],
)
def test_what_it_writes_is_a_project_with_a_policy(root, args, runner):
    assert "write pacekeeper.toml" in init(*args, "--yes").output
    policy = load_policy(start=root)
    assert (policy.name, policy.measure.runner) == ("my-engine", runner)
    given = dict(zip(args[::2], args[1::2], strict=True))
    for option, key in (("--build", "build"), ("--format", "format"), ("--deploy", "deploy")):
        assert getattr(policy.measure, key) == given.get(option)
    project = load_project()
    assert (project.name, project.benchmark_dir) == ("my-engine", None)
    ignored = git(root, "check-ignore", "pacekeeper.db", "pacekeeper.db-wal", "reports/gate.md")
    assert len(ignored.splitlines()) == 3


@pytest.mark.parametrize("layout", ["my_engine", "src/my_engine", "python/other"])
def test_a_first_suite_imports_the_package_wherever_it_lies(root, layout):
    package = root / layout
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (root / "tests").mkdir()
    (root / "tests" / "__init__.py").write_text("")
    init("--asv", "--yes")
    project = load_project()
    assert project.config["branches"] == ["main"]
    suite = (root / "benchmarks" / "first.py").read_text()
    compile(suite, "first.py", "exec")
    assert f"import {package.name}  #" in suite


def test_suites_that_are_there_stay_and_scripts_are_no_suites(root):
    (root / "my_engine.py").write_text("")
    (root / "benchmarks").mkdir()
    (root / "benchmarks" / "run.py").write_text("raise SystemExit('a script')")
    init("--asv", "--yes")
    assert load_project().benchmark_dir == root / "asv_benchmarks"
    (root / "pacekeeper.toml").unlink()
    output = init("--asv", "--yes").output
    assert "asv_benchmarks" not in output and "write pacekeeper.toml" in output


def test_nothing_that_exists_is_overwritten(root):
    (root / "pacekeeper.toml").write_text("# mine\n")
    (root / ".gitignore").write_text("*.o\n.asv/")
    done = init(*COMMAND, "--yes")
    assert "keep pacekeeper.toml (it is there)" in done.output and "by hand" in done.output
    assert (root / "pacekeeper.toml").read_text() == "# mine\n"
    ignored = (root / ".gitignore").read_text().splitlines()
    assert ignored == ["*.o", ".asv/", "pacekeeper.db*", ".pacekeeper/", "reports/"]
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert "nothing is missing" in init(*COMMAND, "--yes").output
    assert before == {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_it_shows_first_and_writes_only_after_a_yes(root):
    assert 'runner = "command"' in init(*COMMAND, "--dry-run").output
    with pytest.raises(UsageError, match="nothing is written without a yes"):
        init(*COMMAND, input="y\n")
    assert git(root, "status", "--porcelain") == ""


@pytest.mark.parametrize("system", ["github", "gitlab", "jenkins"])
def test_a_pipeline_is_whole(root, system):
    (root / "my_engine.py").write_text("")
    done = init("--asv", "--ci", system, "--yes")
    assert "by hand: set the" in done.output
    written = [p for p in root.rglob("*") if p.is_file() and ".git" not in p.parts]
    texts = {str(path.relative_to(root)): path.read_text() for path in written}
    assert not [name for name, text in texts.items() if "@branch@" in text or "@setup@" in text]
    if system == "jenkins":
        assert "load('ci/pacekeeperGate.groovy')" in texts["Jenkinsfile"]
        assert "tracker ci gate" in texts["ci/pacekeeperGate.groovy"]
        return
    documents = {n: yaml.safe_load(t) for n, t in texts.items() if n.endswith(".yml")}
    if system == "github":
        job = documents[".github/workflows/pacekeeper.yml"]["jobs"]["measure"]
        called = documents[job["uses"].removeprefix("./")]
        (inputs,) = [on["workflow_call"]["inputs"] for on in (called[True],)]
        assert set(job["with"]) <= set(inputs)
        assert set(job["secrets"]) == set(called[True]["workflow_call"]["secrets"])
        assert "pip install --quiet pacekeeper ." in job["with"]["setup"]
    else:
        (include,) = documents[".gitlab-ci.yml"]["include"]
        template = documents[include["local"]]
        assert ".pacekeeper" in documents[".gitlab-ci.yml"] and ".pacekeeper" in template


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "give one of --asv, --command, --server and --url; given: none"),
        (("--asv", *SERVER), "given: --asv and --server"),
        (("--asv",), "no importable Python package here"),
        (("--command", "bench"), r"command must hold \{out\}"),
        (("--server", "serve"), r"command must hold \{port\}"),
        (("--url", "http://engine"), "--url needs --deploy 'CMD'"),
        (("--url", "engine", "--deploy", "x"), "url must be http://HOST:PORT"),
        ((*COMMAND, "--deploy", "x"), "--deploy is for --url, not for --command"),
        ((*SERVER, "--format", "csv"), "--format is for --command, not for --server"),
        ((*COMMAND, "--format", "cvs"), "no format 'cvs'; did you mean 'csv'?"),
    ],
)
def test_a_wrong_call_writes_nothing_and_names_the_mend(root, args, message):
    with pytest.raises(UsageError, match=message):
        init(*args, "--yes")
    assert git(root, "status", "--porcelain") == ""


def test_outside_a_repository_it_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="not in a git repository"):
        init(*COMMAND, "--yes")


def test_every_commented_setting_is_one_that_the_policy_takes(root):
    init(*COMMAND, "--yes")
    text = Path("pacekeeper.toml").read_text()
    lines = [
        line.removeprefix("# ") if " = " in line or line.startswith("# [") else line
        for line in text.splitlines()
        if not line.startswith("# ") or " = " in line or line.startswith("# [")
    ]
    from tracker.gate.policy_file import parse_policy

    shown = parse_policy(tomllib.loads("\n".join(lines)))
    assert shown.on_inconclusive == "block" and shown.measure.build == "make -j8"
