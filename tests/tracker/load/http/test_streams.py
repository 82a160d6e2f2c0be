"""What servers stream, byte by byte at known times: which times and counts the client makes of it."""

from __future__ import annotations

import json
import random

import pytest

from tests.tracker.load.http.scripted import (
    CLOSE,
    Scripted,
    chat_chunk,
    driven,
    event,
    text_chunk,
    usage,
)
from tracker.load.http.sse import read_events
from tracker.load.metrics import latency_metrics

DONE = event("[DONE]")


def played(tmp_path, *script, api="completions", **how):
    """Return the record of one request that was answered with ``script``."""
    done = driven(Scripted([script]), tmp_path, api=api, **how)
    return done.records[0]


def times(record):
    return tuple(round(t, 6) for t in record.token_times)


def chunks(record):
    return tuple(round(t, 6) for t in record.chunk_times)


def plain(*more):
    """Return a stream of three tokens at 100, 130 and 160 ms."""
    return [
        (0.10, event(text_chunk("one"))),
        (0.13, event(text_chunk(" two"))),
        (0.16, event(text_chunk(" three", "length"))),
        *more,
    ]


def test_one_token_a_chunk_with_usage_at_the_end(tmp_path):
    record = played(
        tmp_path, *plain((0.16, event({"choices": [], **usage(3, 5, 2)})), (0.16, DONE))
    )
    assert record.failure is None
    assert times(record) == chunks(record) == (0.10, 0.13, 0.16)
    assert (record.ttft, record.tpot, record.e2e) == pytest.approx((0.10, 0.03, 0.16))
    assert (record.prompt_tokens, record.cached_tokens, record.output_tokens) == (5, 2, 3)
    assert latency_metrics([record])["itl_p50"] == pytest.approx(0.03)


def test_without_usage_a_chunk_is_no_token(tmp_path):
    record = played(tmp_path, *plain((0.16, DONE)))
    assert record.failure is None
    assert record.token_times == ()
    assert record.output_tokens is None
    assert record.ttft == pytest.approx(0.10)
    metrics = latency_metrics([record])
    assert metrics["icl_p50"] == pytest.approx(0.03)
    for name in ("itl_p50", "tpot_p50", "throughput", "throughput_steady", "decode_throughput"):
        assert metrics[name] is None, name


def test_a_tokenizer_counts_where_the_server_does_not(tmp_path):
    record = played(tmp_path, *plain((0.16, DONE)), count_tokens=lambda text: len(text.split()))
    assert times(record) == (0.10, 0.13, 0.16)
    several = played(tmp_path, *plain((0.16, DONE)), count_tokens=len)
    assert several.token_times == ()
    assert several.output_tokens == len("one two three")


def test_three_tokens_in_a_chunk_are_not_spread(tmp_path):
    last = {**text_chunk("", "length"), **usage(6)}
    record = played(
        tmp_path,
        (0.2, event(text_chunk("😀"))),
        (0.5, event(text_chunk("😀"))),
        (0.5, event(last)),
        (0.5, DONE),
    )
    assert record.failure is None
    assert record.token_times == ()
    assert chunks(record) == (0.2, 0.5)
    assert record.output_tokens == 6
    assert record.tpot == pytest.approx(0.3 / 5)
    metrics = latency_metrics([record])
    assert metrics["itl_p50"] is None
    assert metrics["icl_p50"] == pytest.approx(0.3)
    assert metrics["throughput"] == pytest.approx(6 / 0.5)


def test_empty_chunks_that_are_tokens(tmp_path):
    # The first two tokens are parts of a character, the fourth is a special token.
    script = [
        (at, event(text_chunk(text))) for at, text in [(0.1, ""), (0.2, ""), (0.3, "é"), (0.4, "")]
    ]
    script += [(0.4, event({"choices": [], **usage(4)})), (0.4, DONE)]
    record = played(tmp_path, *script[:3], (0.4, event(text_chunk("", "length"))), *script[4:])
    assert times(record) == (0.1, 0.2, 0.3, 0.4)
    assert record.ttft == pytest.approx(0.1)
    assert record.first_answer == pytest.approx(0.1)


def test_empty_chunks_that_are_no_tokens(tmp_path):
    record = played(
        tmp_path,
        (0.1, event(text_chunk(""))),
        (0.2, event(text_chunk("one"))),
        (0.3, event(text_chunk(" two"))),
        (0.3, event({**text_chunk("", "stop"), **usage(2)})),
    )
    assert times(record) == (0.2, 0.3)


def test_the_end_of_sequence_is_a_token_where_usage_says_so(tmp_path):
    record = played(
        tmp_path,
        (0.1, event(text_chunk("one"))),
        (0.2, event(text_chunk("", "stop"))),
        (0.2, event({"choices": [], **usage(2)})),
        (0.2, DONE),
    )
    assert times(record) == (0.1, 0.2)


def test_token_ids_and_usage_in_every_chunk_count_it(tmp_path):
    ids = played(
        tmp_path,
        (0.1, event(text_chunk("one", token_ids=[7]))),
        (0.2, event(text_chunk(" two three", "length", token_ids=[8, 9]))),
        (0.2, DONE),
    )
    assert (ids.token_times, ids.output_tokens, chunks(ids)) == ((), 3, (0.1, 0.2))
    each = played(
        tmp_path,
        (0.1, event({**text_chunk("one"), **usage(1)})),
        (0.2, event({**text_chunk(" two", "length"), **usage(2)})),
        (0.2, DONE),
    )
    assert times(each) == (0.1, 0.2)


def test_a_role_is_no_token(tmp_path):
    record = played(
        tmp_path,
        (0.005, event(chat_chunk(role="assistant"))),
        (0.180, event(chat_chunk(content="Bon"))),
        (0.250, event(chat_chunk(content="jour"))),
        (0.250, event({**chat_chunk("length"), **usage(2)})),
        api="chat",
    )  # and there is no [DONE]
    assert record.failure is None
    assert record.ttft == pytest.approx(0.180)
    assert times(record) == (0.18, 0.25)


@pytest.mark.parametrize("content", ["", None])
def test_a_role_with_empty_content_is_no_token(tmp_path, content):
    record = played(
        tmp_path,
        (0.1, event(chat_chunk(role="assistant", content=content))),
        (0.2, event(chat_chunk(content="a", finish="stop"))),
        (0.2, DONE),
        api="chat",
    )
    assert record.ttft == pytest.approx(0.2)


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_the_first_answer_comes_after_the_reasoning(tmp_path, name):
    record = played(
        tmp_path,
        (0.1, event(chat_chunk(role="assistant", content=""))),
        (0.2, event(chat_chunk(**{name: "let me think"}))),
        (0.9, event(chat_chunk(content="4", finish="stop"))),
        (0.9, event({"choices": [], **usage(2)})),
        (0.9, DONE),
        api="chat",
    )
    assert record.ttft == pytest.approx(0.2)
    assert record.first_answer == pytest.approx(0.9)
    assert times(record) == (0.2, 0.9)
    assert latency_metrics([record])["first_answer_p50"] == pytest.approx(0.9)


def test_of_several_choices_the_first_is_measured(tmp_path):
    def chunk(index, text, finish=None):
        return event({"choices": [{"index": index, "text": text, "finish_reason": finish}]})

    record = played(
        tmp_path,
        (0.1, chunk(1, "x")),
        (0.2, chunk(0, "a")),
        (0.3, chunk(1, "y", "length")),
        (0.5, chunk(0, "b", "length")),
        (0.5, event({"choices": [], **usage(4)})),
        (0.5, DONE),
    )
    assert times(record) == (0.2, 0.5)
    assert record.output_tokens == 2


def test_a_choice_for_each_token_is_one_choice(tmp_path):
    # guidellm's mock server numbers the tokens of its only choice.
    script = [
        (0.1 * (i + 1), event({"choices": [{"index": i, "text": text, "finish_reason": None}]}))
        for i, text in enumerate(["one", " two", " three"])
    ]
    last = {"choices": [{"index": 2, "text": "", "finish_reason": "stop"}]}
    record = played(
        tmp_path, *script, (0.3, event(last)), (0.3, event({"choices": [], **usage(3)}))
    )
    assert record.failure is None
    assert times(record) == (0.1, 0.2, 0.3)
    assert record.finish_reason == "stop"


def test_comments_keep_the_connection_alive_and_no_more(tmp_path):
    keep = b": keep-alive\n\n"
    record = played(tmp_path, (0.01, keep), (0.05, keep), *plain((0.2, keep), (0.2, DONE)))
    assert record.failure is None
    assert record.ttft == pytest.approx(0.10)


def test_a_stream_may_be_cut_anywhere(tmp_path):
    text = "".join(
        f"data: {json.dumps(text_chunk('é😀'), ensure_ascii=False)}{end}{end}"
        for end in ("\n", "\r\n", "\r")
    )
    whole = text.encode() + event({**text_chunk("", "stop"), **usage(3)})
    # Byte by byte, each a millisecond after the one before.
    record = played(tmp_path, *((i / 1000, whole[i : i + 1]) for i in range(len(whole))))
    assert record.failure is None
    assert record.output_tokens == 3
    assert len(record.token_times) == 3
    sizes = random.Random(1)
    for _ in range(200):
        at, reads = 0, []
        while at < len(whole):
            step = sizes.randrange(1, 40)
            reads.append((float(at), whole[at : at + step]))
            at += step
        events = [json.loads(e.data) for e in read_events(reads)]
        assert [e["choices"][0]["text"] for e in events] == ["é😀"] * 3 + [""]


def test_a_finish_reason_without_done_is_whole_and_done_without_a_reason_too(tmp_path):
    assert played(tmp_path, *plain()).failure is None
    assert played(tmp_path, (0.1, event(text_chunk("a"))), (0.2, DONE)).failure is None


@pytest.mark.parametrize(
    ("script", "kind", "why"),
    [
        ([(0.1, event(text_chunk("a")))], "broken stream", "without a finish reason"),
        ([(0.1, event(text_chunk("a"))), (0.2, CLOSE)], "broken stream", ""),
        (
            [(0.1, event(text_chunk("a"))), (0.2, b'data: {"choi')],
            "broken stream",
            "within an event",
        ),
        ([(0.1, event("{oops"))], "malformed event", "{oops"),
        ([(0.1, event({"object": "pong"}))], "malformed event", "no list of choices"),
        ([(0.1, event({"error": {"message": "out of memory"}}))], "error event", "out of memory"),
    ],
)
def test_a_bad_stream_is_named(tmp_path, script, kind, why):
    record = played(tmp_path, *script)
    assert record.failure_kind == kind
    assert why in record.failure
    assert latency_metrics([record])["ttft_p50"] is None
    assert latency_metrics([record])["error_rate"] == 1.0


def test_an_unstreamed_reply_has_no_first_token(tmp_path):
    body = json.dumps({**text_chunk("one two", "length"), **usage(2)}).encode()
    record = played(tmp_path, (0.3, body), stream=False)
    assert record.failure is None
    assert (record.ttft, record.tpot) == (None, None)
    assert record.e2e == pytest.approx(0.3)
    assert record.output_tokens == 2
    metrics = latency_metrics([record])
    assert metrics["throughput"] == pytest.approx(2 / 0.3)
    assert metrics["goodput_relaxed"] is None
    odd = played(tmp_path, (0.1, b"<html>"), stream=False)
    assert odd.failure_kind == "malformed event"
