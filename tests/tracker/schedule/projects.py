"""A git repository with an asv project and a remote, for tests."""

import json
import subprocess


def git(root, *args, **environment):
    done = subprocess.run(
        ["git", "-c", "user.name=T", "-c", "user.email=t@example.org", *args],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def commit(root, number):
    """One more commit; returns its full hash."""
    (root / "speed.py").write_text(f"VALUE = {number}\n")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", f"Commit {number}")
    return git(root, "rev-parse", "HEAD")


SUITE = """\
class Suite:
    version = "1"

    def track_value(self):
        import speed

        return speed.VALUE

    track_value.unit = "1"
    track_value.better = "lower"
    track_value.kind = "exact"
    track_value.version = "1"
"""


def make_project(root, *, suite=SUITE):
    """A checkout with a suite and one commit on main; returns it."""
    root.mkdir(parents=True)
    git(root, "init", "-q", "-b", "main")
    (root / "benchmarks").mkdir()
    (root / "benchmarks" / "__init__.py").write_text("")
    (root / "benchmarks" / "bench_speed.py").write_text(suite)
    (root / ".gitignore").write_text(".pacekeeper/\n*.db*\n__pycache__/\n")
    config = {
        "version": 1,
        "project": "engine",
        "repo": ".",
        "branches": ["main"],
        "environment_type": "existing",
        "benchmark_dir": "benchmarks",
    }
    (root / "asv.conf.json").write_text(json.dumps(config))
    commit(root, 0)
    return root


def clone(root, target):
    """A clone of `root`, in which the service would run; `root` is its remote."""
    subprocess.run(["git", "clone", "-q", str(root), str(target)], check=True, capture_output=True)
    return target
