import pytest

from tracker.domain import BenchmarkInfo
from tracker.errors import PolicyError
from tracker.gate.policy import Policy, identity_of
from tracker.gate.policy_file import load_policy, parse_policy

INFO = BenchmarkInfo("suite.A.track_ttft", "1", "track", "s", "lower", "timing")


def test_without_a_file_the_defaults_hold(tmp_path):
    assert load_policy(start=tmp_path) == Policy()


def test_a_whole_file(tmp_path):
    (tmp_path / "pacekeeper.toml").write_text(
        """
        [project]
        name = "engine"
        commit_url = "https://example.org/c/{commit}"
        source = "src"
        [gate]
        bench = ["serving", "decode"]
        alpha = 0.05
        margin = 0.02
        detect = 0.06
        max_pairs = 30
        budget = 600
        on_inconclusive = "block"
        same_work = "counts"
        [gate.metrics."ttft"]
        margin = 0.04
        detect = 0.2
        [gate.metrics."A.track_ttft$"]
        vote = false
        kind = "exact"
        unit = "ticks"
        step = 1
        [limits]
        "ttft" = 1.5
        """
    )
    policy = load_policy(start=tmp_path)
    assert (policy.name, policy.source, policy.bench) == ("engine", ("src",), ("serving", "decode"))
    assert (policy.alpha, policy.max_pairs, policy.budget) == (0.05, 30, 600.0)
    judged = policy.metric("suite.A.track_ttft", INFO)
    assert (judged.margin, judged.detect, judged.vote) == (0.04, 0.2, False)
    assert (judged.kind, judged.step, judged.better) == ("exact", 1.0, "lower")
    other = policy.metric("suite.A.track_e2e", INFO)
    assert (other.margin, other.detect, other.vote) == (0.02, 0.06, True)
    limit = policy.limit("suite.A.track_ttft", "s")
    assert (limit.worst, limit.stated) == (1.5, True)
    assert policy.as_dict()["metrics"]["ttft"] == {"margin": 0.04, "detect": 0.2}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"gates": {}}, "unknown key 'gates'; did you mean 'gate'"),
        ({"gate": {"magrin": 0.1}}, r"\[gate\] unknown key 'magrin'; did you mean 'margin'"),
        ({"gate": {"metrics": {"x": {"votes": True}}}}, "did you mean 'vote'"),
        ({"project": {"title": "x"}}, "there are: name, commit_url, source"),
        ({"gate": {"alpha": 0}}, "alpha must be a number above 0 and below 1, not 0"),
        ({"gate": {"alpha": "1 %"}}, "alpha must be a number"),
        ({"gate": {"alpha": float("nan")}}, "alpha must be a number"),
        ({"gate": {"margin": 0.05}}, "margin 0.05 must be below detect 0.03"),
        ({"gate": {"max_pairs": 0}}, "max_pairs must be a whole number"),
        ({"gate": {"max_pairs": True}}, "max_pairs must be a whole number"),
        ({"gate": {"on_inconclusive": "maybe"}}, "must be one of pass, block, not 'maybe'"),
        ({"gate": {"bench": "("}}, "is no regular expression"),
        ({"gate": {"metrics": {"(": {}}}}, "is no regular expression"),
        ({"gate": {"metrics": {"x": {"better": "up"}}}}, "must be one of lower, higher"),
        ({"gate": {"metrics": {"x": 3}}}, "must be a table"),
        ({"gate": 3}, "gate must be a table"),
        ({"limits": {"x": "2 s"}}, "must be a number"),
        ({"creep": {"budjet": 0.1}}, r"\[creep\] unknown key 'budjet'; did you mean 'budget'"),
        ({"creep": {"budget": 0}}, "budget must be a number above 0"),
        ({"creep": {"against": 1}}, "against must be a text"),
        ({"project": {"commit_url": "https://example.org"}}, "must hold {commit}"),
    ],
)
def test_what_means_nothing_is_refused_by_name(content, said):
    with pytest.raises(PolicyError, match=said):
        parse_policy(content)


def test_files_that_are_none(tmp_path):
    with pytest.raises(PolicyError, match="no such policy file"):
        load_policy(tmp_path / "x.toml")
    (tmp_path / "x.toml").write_text("[gate\n")
    with pytest.raises(PolicyError, match=r"x\.toml: not TOML"):
        load_policy(tmp_path / "x.toml")


def test_a_raised_margin_takes_detect_along():
    policy = parse_policy({"gate": {"metrics": {"ttft": {"margin": 0.05}}}})
    judged = policy.metric("suite.A.track_ttft", INFO)
    assert judged.detect == pytest.approx(0.15)


def test_margin_and_detect_of_one_metric_must_fit():
    policy = parse_policy({"gate": {"metrics": {"ttft": {"margin": 0.05, "detect": 0.04}}}})
    with pytest.raises(PolicyError, match=r"suite\.A\.track_ttft: margin 0.05 must be below"):
        policy.metric("suite.A.track_ttft", INFO)


@pytest.mark.parametrize(
    ("metric", "unit", "worst"),
    [
        ("suite.A.track_ttft_p50", "s", 2.0),
        ("suite.A.track_ttft", "ms", None),
        ("suite.A.track_ttft_p99", "s", None),
        ("suite.A.track_tpot_p50(1, 'x')", "s", 0.5),
        ("suite.A.track_error_rate", "1", 0.005),
        ("suite.A.track_throughput", "tokens/s", None),
    ],
)
def test_default_limits(metric, unit, worst):
    limit = Policy().limit(metric, unit)
    assert (limit.worst if limit else None) == worst


def test_against_the_release_the_budget_is_the_margin_and_detect_is_nearer():
    policy = parse_policy(
        {"creep": {"budget": 0.05}, "gate": {"metrics": {"noisy": {"margin": 0.1}}}}
    ).for_creep()
    judged = policy.metric("suite.A.track_ttft", INFO)
    assert judged.margin == 0.05
    assert judged.detect == pytest.approx(1.05 * (1 + (1.03 / 1.01 - 1) / 2) - 1)
    assert policy.metric("suite.A.track_noisy", INFO).margin == 0.1
    assert policy.limits == ()


def test_a_policy_is_the_same_while_nothing_that_changes_a_verdict_differs():
    plain = Policy()
    same = parse_policy(
        {
            "project": {"name": "other"},
            "gate": {"budget": 60, "timeout": 9, "on_inconclusive": "block"},
            "creep": {"budget": 0.1},
            "alerts": {"console": False},
        }
    )
    assert identity_of(same.as_dict()) == identity_of(plain.as_dict())
    # An earlier version did not know the key, a later one has one more at its default.
    older = {key: value for key, value in plain.as_dict().items() if key != "same_work"}
    assert identity_of(older) == identity_of(plain.as_dict()) == identity_of({})


@pytest.mark.parametrize(
    "content",
    [
        {"gate": {"alpha": 0.02}},
        {"gate": {"same_work": "tokens"}},
        {"gate": {"bench": "x"}},
        {"gate": {"metrics": {"x": {"better": "higher"}}}},
        {"gate": {"metrics": {"x": {"vote": False}}}},
        {"limits": {"x": 1.0}},
        {"measure": {"build": "make"}},
    ],
)
def test_what_changes_a_verdict_makes_another_policy(content):
    assert identity_of(parse_policy(content).as_dict()) != identity_of(Policy().as_dict())
    assert identity_of(Policy().as_dict()) != identity_of(Policy().for_creep().as_dict())
