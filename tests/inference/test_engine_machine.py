"""The whole engine under random traffic: every request ends, with the tokens it has alone."""

from __future__ import annotations

import functools
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from inference import LLM, EngineConfig, SamplingParams

VOCAB = 512
BLOCK_BYTES = (
    2 * 2 * 2 * 16 * 4
)  # of one position: keys and values, layers, heads, channels, float32
prompts = st.one_of(
    st.lists(st.integers(0, VOCAB - 1), min_size=1, max_size=14),
    # Few distinct tokens: prefixes are shared often.
    st.lists(st.integers(0, 1), min_size=4, max_size=14),
)
params = st.builds(
    SamplingParams,
    max_tokens=st.integers(1, 8),
    temperature=st.sampled_from([0.0, 0.0, 1.5]),
    top_k=st.sampled_from([0, 5]),
    seed=st.integers(0, 3),
)


@functools.cache
def alone() -> LLM:
    """Return an engine that shares nothing and runs one request at a time, in one chunk."""
    return LLM("tiny", EngineConfig(max_num_seqs=1, enable_prefix_sharing=False, num_blocks=16))


class EngineMachine(RuleBasedStateMachine):
    """Submits, steps and aborts in any order, in a cache that holds about two requests."""

    def __init__(self) -> None:
        super().__init__()
        self.open: dict[int, tuple[list[int], SamplingParams]] = {}
        self.aborted: set[int] = set()
        self.seen: dict[int, list[int]] = {}

    @initialize(
        block_size=st.sampled_from([1, 2, 4]),
        chunk=st.sampled_from([None, 1, 3]),
        budget=st.sampled_from([2, 7, 64]),
        chunked=st.booleans(),
        sharing=st.booleans(),
        buckets=st.booleans(),
        staging=st.booleans(),
        host_blocks=st.sampled_from([0, 1, 6]),
        responses=st.sampled_from([None, 30]),
        mlp_chunk=st.sampled_from([None, 2]),
        overlap=st.booleans(),
        batching=st.sampled_from(["continuous", "continuous", "bucketed", "padded"]),
    )
    def make(
        self,
        block_size: int,
        chunk: int | None,
        budget: int,
        batching: str,
        host_blocks: int,
        responses: int | None,
        mlp_chunk: int | None,
        **flags: bool,
    ) -> None:
        self.llm = LLM(
            "tiny",
            EngineConfig(
                block_size=block_size,
                # 21 positions at most: room for one request, and hardly for two.
                num_blocks=-(-26 // block_size),
                host_cache_bytes=host_blocks * BLOCK_BYTES * block_size or None
                if flags["sharing"]
                else None,
                response_cache_tokens=responses,
                mlp_chunk_size=mlp_chunk,
                prefill_chunk_size=chunk,
                max_num_batched_tokens=budget,
                max_num_seqs=4,
                enable_chunked_prefill=flags["chunked"],
                enable_prefix_sharing=flags["sharing"],
                enable_length_buckets=flags["buckets"],
                enable_staging=flags["staging"],
                enable_overlap=flags["overlap"] and batching == "continuous",
                batching=batching,
                bucket_edges=(2, 6),
                bucket_wait=0.0,
            ),
        )

    @rule(prompt=prompts, params=params)
    def submit(self, prompt: list[int], params: SamplingParams) -> None:
        self.open[self.llm.submit(prompt, params)] = (prompt, params)

    @rule(times=st.integers(1, 6))
    def step(self, times: int) -> None:
        for _ in range(times):
            for request, token, _ in self.llm.step():
                self.seen.setdefault(request, []).append(token)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def abort(self, data: Any) -> None:
        request = data.draw(st.sampled_from(sorted(self.open)))
        if self.llm.abort(request):
            self.aborted.add(request)

    @invariant()
    def blocks_add_up(self) -> None:
        if hasattr(self, "llm"):
            self.llm.check_integrity()

    def teardown(self) -> None:
        if not hasattr(self, "llm"):
            return
        for _ in range(3000):
            if not self.llm.has_unfinished():
                break
            self.step(1)
        assert not self.llm.has_unfinished(), "the engine never came to rest"
        for request, (prompt, own) in self.open.items():
            output = self.llm.output(request)
            expected = alone().generate([prompt], own)[0].token_ids
            assert output.token_ids == self.seen.get(request, [])
            if request in self.aborted:
                assert output.finish_reason == "abort"
                assert output.token_ids == expected[: len(output.token_ids)]
            else:
                assert output.finish_reason == "length"
                assert output.token_ids == expected
        assert self.llm.counters()["requests_finished"] == len(self.open)
        assert self.llm._blocks.num_used == 0


TestEngineMachine = EngineMachine.TestCase
TestEngineMachine.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


def test_a_cache_for_one_request_preempts_and_still_gives_the_same_tokens() -> None:
    prompts = [[i] * 12 for i in range(1, 6)]
    params = SamplingParams(max_tokens=20)
    llm = LLM("tiny", EngineConfig(block_size=4, num_blocks=10, enable_prefix_sharing=False))
    crowded = [o.token_ids for o in llm.generate(prompts, params)]
    assert llm.counters()["preemptions"] > 0
    assert llm.counters()["peak_blocks_used"] <= 10
    roomy = LLM("tiny", EngineConfig(block_size=4))
    assert [o.token_ids for o in roomy.generate(prompts, params)] == crowded
    assert roomy.counters()["preemptions"] == 0
