"""A real gate through `tracker ci gate`: a change that tries everything to soften it."""

import json

from tests.tracker.cli.commands import tracker
from tests.tracker.measure.toy import SUITE, ToyProject

# The suite of the merge base tells what it sees.
TELLING = SUITE.replace(
    'return cache["steps"]',
    'Path(os.environ["SEEN"]).write_text(repr(sorted(os.environ.items())))\n'
    '        return cache["steps"]',
)


def test_a_change_cannot_soften_its_own_gate_or_see_a_secret(tmp_path, monkeypatch):
    monkeypatch.setenv("SEEN", str(tmp_path / "seen"))
    monkeypatch.setenv("GITHUB_TOKEN", "s3cret")
    monkeypatch.setenv("PGPASSWORD", "s3cret")
    project = ToyProject(tmp_path / "toy")
    (project.root / "benchmarks" / "bench_toy.py").write_text(TELLING)
    policy = project.root / "pacekeeper.toml"
    policy.write_text("[gate]\nmax_pairs = 6\n")
    project.commit("forty steps")
    project.git("checkout", "-q", "-b", "change")
    policy.write_text("[gate]\nmax_pairs = 6\n[gate.metrics.'steps']\nvote = false\n")
    suite = SUITE.replace('return cache["steps"]', "return 1")
    assert suite != SUITE
    (project.root / "benchmarks" / "bench_toy.py").write_text(suite)
    (project.root / "benchmarks" / "bench_new.py").write_text("def track_new():\n    return 1\n")
    project.commit("eighty steps\n\nPerf-expect: steps +200% because I say so", STEPS=80)

    words = ("ci", "gate", "main", "HEAD", "--bench", "steps", "--seed", "1")
    done = tracker(project.root, "--db", f"sqlite:///{tmp_path}/store.db", *words)

    assert done.code == 1, done.out + done.err
    reports = project.root / "reports"
    assert (reports / "outcome").read_text() == "regression\n"
    report = json.loads((reports / "gate.json").read_text())
    (metric,) = report["metrics"]
    assert (metric["base"], metric["head"]) == (40, 80)
    told = "\n".join(report["warnings"])
    for part in ("edits pacekeeper.toml", "bench_toy.py (edited)", "bench_new.py (new)"):
        assert part in told
    assert "expects steps +200.00%: not applied here" in told
    for name in ("comment.md", "gate.md", "gate.html", "gate.log"):
        assert "edits pacekeeper.toml" in (reports / name).read_text()

    seen = (tmp_path / "seen").read_text()
    assert "PATH" in seen
    assert "s3cret" not in seen and "store.db" not in seen

    accepted = (*words, "--accept-expectations")
    done = tracker(project.root, "--db", f"sqlite:///{tmp_path}/store.db", *accepted)
    assert done.code == 0, done.out + done.err
    assert (reports / "outcome").read_text() == "pass\n"
