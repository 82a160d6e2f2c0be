"""The policy shown in docs/gate.md, and the repository's own, are policies that load."""

import re
from pathlib import Path

from tracker.gate.policy import load_policy, parse_policy

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


def test_the_repository_s_own_policy_loads():
    policy = load_policy(start=ROOT)
    assert policy.name == "pacekeeper"
    assert policy.margin < policy.detect
