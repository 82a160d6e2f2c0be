"""One registry of counters: read, reset and documented from what each owner declares."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference import LLM, EngineConfig, SamplingParams
from inference.counters import Counter, Counters

METRICS_PAGE = Path(__file__).parents[2] / "docs/metrics.md"


class Owner:
    def __init__(self) -> None:
        self.calls, self.peak, self.size = 3, 9, 100
        self.now = 4


OWNED = (
    Counter("calls", "calls"),
    Counter("peak_used", "most at once", attribute="peak", reset="now"),
    Counter("size", "size", reset=None),
)


def test_a_reset_zeroes_restarts_or_keeps_what_the_owner_declares() -> None:
    owner, by_name = Owner(), {"add": 5}
    counters = Counters()
    counters.register(owner, OWNED)
    counters.register(by_name, [Counter("op_calls.add", "calls", attribute="add")])
    counters.register(None, [Counter("replays", "no such part here")])
    assert list(counters.read().values()) == [3, 9, 100, 5, 0]
    counters.reset()
    assert list(counters.read().values()) == [0, 4, 100, 0, 0]
    assert (owner.calls, owner.peak, by_name) == (0, 4, {"add": 0})


def test_a_name_that_is_taken_or_an_attribute_that_is_missing_is_refused() -> None:
    counters = Counters()
    counters.register(Owner(), OWNED)
    with pytest.raises(ValueError, match="'calls' is registered twice"):
        counters.register(Owner(), OWNED)
    with pytest.raises(AttributeError, match="misses"):
        counters.register(Owner(), [Counter("misses", "")])


def test_the_documentation_lists_exactly_the_counters_that_exist() -> None:
    llm = LLM("tiny", EngineConfig(num_blocks=8))
    expected = dict.fromkeys(_row(counter) for counter in llm._counters.declared())
    section = METRICS_PAGE.read_text(encoding="utf-8").split("### Every counter\n")[1]
    table = section.split("\n#")[0].strip().splitlines()
    assert [line for line in table if line.startswith("| `")] == list(expected)


def _row(counter: Counter) -> str:
    name, description = counter.name, counter.description
    if name.startswith("op_calls."):  # one row for all ops
        name, description = "op_calls.<op>", "calls of the op"
    after = {0: "0", None: "as before"}.get(counter.reset, "what is in use")  # type: ignore[call-overload]
    return f"| `{name}` | {description} | {after} |"


def test_a_step_with_prompt_tokens_is_a_prefill_step() -> None:
    llm = LLM("tiny", EngineConfig(num_blocks=8))
    llm.generate([[1, 2, 3]], SamplingParams(max_tokens=1))
    prefill = llm.counters()
    assert prefill["prefill_steps"] == prefill["steps"] == 1
    assert prefill["prefill_flops"] == prefill["model_flops"]
    llm.generate([[1, 2, 3]], SamplingParams(max_tokens=4))
    both = llm.counters()
    assert (both["prefill_steps"], both["steps"]) == (2, 5)
    assert both["prefill_bytes"] == 2 * prefill["model_bytes"]
    assert both["model_bytes"] > both["prefill_bytes"]


@pytest.mark.parametrize("overlap", [False, True])
def test_the_seconds_of_steps_belong_to_their_kind(overlap: bool) -> None:
    llm = LLM("tiny", EngineConfig(num_blocks=8, enable_overlap=overlap))
    ticks = iter(range(1000))
    llm._pipeline._clock = lambda: float(next(ticks))
    llm.reset_counters()  # one look at the clock
    llm.generate([[1, 2, 3]], SamplingParams(max_tokens=4))
    # Apart from overlap a step looks at the clock twice, one tick apart. With it, a step is enqueued
    # by one advance and read by the next: the first of four steps takes two advances.
    prefill = 2.0 if overlap else 1.0
    assert llm.step_seconds() == {"prefill": prefill, "decode": 3.0}
    llm.reset_counters()
    assert llm.step_seconds() == {"prefill": 0.0, "decode": 0.0}
