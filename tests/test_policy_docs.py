"""The policy shown in docs/gate.md, and the repository's own, are policies that load."""

import re
from pathlib import Path

import pytest

from tracker.gate.policy_file import load_policy, parse_policy

ROOT = Path(__file__).parent.parent


def test_the_documented_policy_is_read_and_holds_the_documented_defaults():
    import tomllib

    page = (ROOT / "docs" / "gate.md").read_text()
    (block,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    shown = tomllib.loads(block)
    policy = parse_policy(shown, "docs/gate.md")
    default = parse_policy({}, "nothing")
    for key in ("alpha", "margin", "detect", "max_pairs", "on_inconclusive", "same_work"):
        assert shown["gate"][key] == getattr(default, key) == getattr(policy, key)


@pytest.mark.parametrize("path", ["pacekeeper.toml", ".ci/gpu.toml"])
def test_the_repository_s_own_policies_load_and_name_suites_that_exist(path):
    policy = load_policy(ROOT / path)
    assert policy.name == "pacekeeper"
    assert policy.margin < policy.detect
    classes = [
        f"{file.stem}.{name}."
        for file in (ROOT / "benchmarks").glob("bench_*.py")
        for name in re.findall(r"^class (\w+)", file.read_text(), re.MULTILINE)
    ]
    for pattern in policy.bench:
        assert any(re.search(pattern, name) for name in classes), pattern
