"""A whole load over HTTP on a clock that does not wait: when requests are sent, how it ends."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest

from tests.tracker.load.http.scripted import (
    MODELS,
    Scripted,
    chat_chunk,
    connected,
    driven,
    event,
    scenario,
    text_chunk,
    usage,
)
from tracker.errors import MeasurementError, UsageError
from tracker.load.arrivals import bursts, ramp
from tracker.load.errors import ScenarioError
from tracker.load.http.endpoint import Endpoint
from tracker.load.http.lag import Lag, client_bound
from tracker.load.http.workers import shares
from tracker.load.lengths import Fixed
from tracker.load.records import LoadRequest, RequestRecord
from tracker.load.run import run_scenario
from tracker.load.scenario import (
    Bursts,
    ClosedLoop,
    Conversations,
    Independent,
    OpenLoop,
    Ramp,
    Scenario,
)

DONE = event("[DONE]")


def answer(seconds=1.0, text="a", tokens=1):
    """Return the script of one chunk after ``seconds``."""
    last = {"choices": [], **usage(tokens)}
    return [(seconds, event(text_chunk(text, "length"))), (seconds, event(last)), (seconds, DONE)]


def requests(count, **more):
    return [LoadRequest(i, "a b", 1, **{k: v(i) for k, v in more.items()}) for i in range(count)]


def starts(server):
    """Return when the requests of the load came, from the first."""
    return [round(at - server.begun[1], 6) for at in server.begun[1:]]


def test_a_closed_loop_sends_the_next_when_one_ends(tmp_path):
    server = Scripted([answer(1.0)])
    done = driven(server, tmp_path, requests(5), concurrency=2)
    assert starts(server) == [0, 0, 1, 1, 2]
    assert [r.submitted for r in done.records] == pytest.approx([0, 0, 1, 1, 2])
    assert [r.ttft for r in done.records] == pytest.approx([1.0] * 5)
    assert [r.index for r in done.records] == list(range(5))


def test_a_client_that_goes_away_closes_its_connection_and_is_no_failure(tmp_path):
    tokens = [(0.5 * i, event(text_chunk("a"))) for i in range(1, 9)]
    server = Scripted([[*tokens, *answer(5.0)]])
    done = driven(server, tmp_path, requests(2, cancel_after=lambda i: 3 if i == 0 else None))
    left, stayed = done.records
    assert (left.cancelled, left.failure) == (True, None)
    assert left.chunk_times == pytest.approx((0.5, 1.0, 1.5))
    assert not stayed.cancelled
    assert len(stayed.chunk_times) == 9


def test_an_open_loop_sends_when_requests_are_due(tmp_path):
    server = Scripted([answer(10.0)])
    done = driven(server, tmp_path, requests(3, due=lambda i: 0.25 * i), concurrency=None)
    assert starts(server) == [0, 0.25, 0.5]
    assert [r.ttft for r in done.records] == pytest.approx([10.0] * 3)
    assert max(r.lag for r in done.records) < 1e-9


def test_arrivals_of_bursts_and_ramps():
    assert bursts(5, rate=4.0, size=2) == [0, 0, 0.5, 0.5, 1.0]
    times = ramp(31, 1.0, 5.0)
    assert times[-1] == pytest.approx(2 * 30 / 6)
    # The count up to t is the area under a rate that grows evenly.
    for i, t in enumerate(times):
        assert t + (4.0 / times[-1]) * t * t / 2 == pytest.approx(i)
    falling = ramp(31, 5.0, 1.0)
    assert [times[-1] - t for t in reversed(falling)] == pytest.approx(times)
    assert ramp(3, 2.0, 2.0) == [0, 0.5, 1.0]
    assert ramp(1, 1.0, 2.0) == [0.0]


@pytest.mark.parametrize("load", [Bursts(rate=10.0, size=2), Ramp(5.0, 10.0), OpenLoop(8.0)])
def test_every_open_load_runs(tmp_path, load):
    server = Scripted([answer(0.1)])
    work = Independent(6, prompt=Fixed(2), output=Fixed(1), text=True)
    result = run(server, tmp_path, scenario(load=load, workload=work))
    assert result.failures == ()
    assert result.void is None
    assert result.metrics["ttft_p50"] == pytest.approx(0.1)


def run(server, tmp_path, of, **how):
    with connected(server, tmp_path, of=of, **how) as target:
        return run_scenario("suite.X", of, lambda _: target, directory=tmp_path)


def test_the_load_ends_on_time_and_loses_nothing(tmp_path):
    server = Scripted([answer(1.0), [(0.5, event(text_chunk("a"))), (99.0, DONE)]])
    of = scenario(limit=5.0)
    done = driven(server, tmp_path, requests(3), concurrency=1, of=of)
    assert len(done.records) == 3
    assert [r.failure_kind for r in done.records] == [None, "time-out", "time-out"]
    assert done.records[1].chunk_times == pytest.approx((1.5,))  # what came of it is kept
    assert "never sent" in done.records[2].failure
    assert done.ended - done.started == pytest.approx(5.0)


def test_a_chat_sends_its_history_and_waits_for_answers(tmp_path):
    script = [
        (1.0, event(chat_chunk(content="yes", finish="stop"))),
        (1.0, event({"choices": [], **usage(1)})),
        (1.0, DONE),
    ]
    server = Scripted([script], first=[(0.0, event(chat_chunk(content="a", finish="stop")))])
    chats = Conversations(chats=2, turns=3, system=4, user=Fixed(2), output=Fixed(1), text=True)
    of = scenario(workload=chats, load=ClosedLoop(1), limit=60.0)
    result = run(server, tmp_path, of, api="chat")
    assert result.failures == ()
    sent = [body["messages"] for body in server.bodies[1:]]
    assert [len(messages) for messages in sent] == [1, 3, 5, 1, 3, 5]  # a chat goes on at once
    assert [m["role"] for m in sent[2]] == ["user", "assistant"] * 2 + ["user"]
    assert sent[2][1]["content"] == "yes"
    assert sent[2][:1] == sent[1][:1] == sent[0]
    assert starts(server) == [0, 1, 2, 3, 4, 5]
    assert result.metrics["ttft_last_turn"] == pytest.approx(1.0)


def test_a_chat_of_token_ids_needs_token_ids_back(tmp_path):
    chats = Conversations(chats=1, turns=2, system=2, user=Fixed(2), output=Fixed(1))
    of = scenario(workload=chats)
    ids = [(0.1, event(text_chunk("x", "length", token_ids=[9]))), (0.1, DONE)]
    server = Scripted([ids])
    result = run(server, tmp_path, of, vocab_size=50)
    assert result.failures == ()
    first, second = (body["prompt"] for body in server.bodies[1:])
    assert second == [*first, 9, *second[-2:]]
    with pytest.raises(ScenarioError, match="text=True"):
        run(Scripted([answer()]), tmp_path, of)


def test_what_a_server_does_not_take_is_left_out_and_said(tmp_path):
    server = Scripted([answer(0.1)], refuse=("ignore_eos", "seed"))
    of = scenario(natural_end=False)
    result = run(server, tmp_path, of)
    assert result.failures == ()
    sent = server.bodies[-1]
    assert not {"ignore_eos", "seed"} & sent.keys()
    assert sent["stream_options"] == {"include_usage": True}
    notes = header(result)["engine"]["notes"]
    assert "the server does not take ignore_eos" in notes
    assert any("lengths were not checked" in note for note in notes)


def header(result):
    return json.loads(result.artifact.read_text().splitlines()[0])


def test_a_wrong_length_is_a_failure_where_lengths_are_fixed(tmp_path):
    server = Scripted([answer(0.1, tokens=1)])
    result = run(server, tmp_path, scenario(natural_end=False))
    assert result.failures == ("1 output tokens instead of 8",)
    assert result.void.startswith("1 of 1 requests failed")
    assert header(result)["engine"]["errors"] == {"wrong length": 1}


def test_errors_up_to_the_accepted_share_leave_the_others_latencies(tmp_path):
    bad = [(0.5, event({"error": {"message": "oops"}}))]
    work = Independent(4, prompt=Fixed(2), output=Fixed(1), text=True)
    server = Scripted([bad, answer(0.1)])
    strict = run(server, tmp_path, scenario(workload=work))
    assert "1 of 4 requests failed" in strict.void
    server = Scripted([bad, answer(0.1)])
    lax = run(server, tmp_path, scenario(workload=work, max_error_rate=0.25))
    assert lax.void is None
    assert lax.metrics["error_rate"] == 0.25
    assert lax.metrics["ttft_p99"] == pytest.approx(0.1)  # without the failed one


@pytest.mark.parametrize(
    ("status", "why"), [(401, "--api-key-env"), (429, "lower the load"), (500, "server's log")]
)
def test_a_refusal_before_the_load_is_named_with_the_mend(tmp_path, status, why):
    server = Scripted([], status=status, first=[(0.0, b'{"error": "because"}')])
    with pytest.raises(MeasurementError, match=f"HTTP {status}.*because.*{why}"):
        driven(server, tmp_path)


def test_a_refusal_during_the_load_is_counted(tmp_path):
    class Overloaded(Scripted):
        async def _post(self, body, writer):
            self.status = 429 if len(self.bodies) > 1 else 200
            await super()._post(body, writer)

    done = driven(Overloaded([answer(0.1)]), tmp_path, requests(3))
    assert [r.failure_kind for r in done.records] == [None, "status", "status"]
    assert "HTTP 429" in done.records[1].failure


def test_a_connection_that_the_server_closed_meanwhile_is_replaced(tmp_path):
    class OneEach(Scripted):
        """Serves one request of a connection, and closes it when the next one comes."""

        async def _post(self, body, writer):
            used = vars(self).setdefault("used", [])
            if writer in used:
                raise ConnectionResetError
            used.append(writer)
            await super()._post(body, writer)

    server = OneEach([answer(0.1)])
    done = driven(server, tmp_path, requests(3))
    assert [r.failure_kind for r in done.records] == [None] * 3
    assert len(server.bodies) == 4  # the first asks whether the server answers; none came twice


def test_a_new_connection_that_is_closed_without_an_answer_is_a_failure(tmp_path):
    class Dying(Scripted):
        async def _post(self, body, writer):
            if len(self.bodies) == 2:
                self.bodies.append(body)
                writer.close()
                raise ConnectionResetError
            await super()._post(body, writer)
            writer.close()  # no connection is used again

    done = driven(Dying([answer(0.1)]), tmp_path, requests(3))
    assert [r.failure_kind for r in done.records].count("broken stream") == 1


def test_models_that_are_not_there(tmp_path):
    with pytest.raises(UsageError, match="no model 'n'; there are: m"):
        driven(Scripted([]), tmp_path, model="n")
    two = {"data": [*MODELS["data"], {"id": "other"}]}
    with pytest.raises(UsageError, match="2 models; name one of: m, other"):
        driven(Scripted([], gets={"/v1/models": two}), tmp_path)
    with pytest.raises(MeasurementError, match=r"404.*without /v1"):
        driven(Scripted([], gets={}), tmp_path)
    with pytest.raises(MeasurementError, match="not an OpenAI-compatible server"):
        driven(Scripted([], gets={"/v1/models": "<html>"}), tmp_path)


def test_a_server_that_never_answers_the_first_request_is_named_in_time(tmp_path):
    silent = Scripted([], first=[(999.0, DONE)])
    with pytest.raises(MeasurementError, match="within 5 s"):
        driven(silent, tmp_path, of=scenario(limit=5.0))


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://x", "http://"])
def test_what_is_no_url_is_refused(url):
    with pytest.raises(UsageError, match="http://HOST:PORT"):
        Endpoint(url=url)


def test_text_only_endpoints_refuse_token_ids(tmp_path):
    server = Scripted([], first=[(0.0, event(chat_chunk(content="a", finish="stop")))])
    with pytest.raises(ScenarioError, match="text=True"):
        driven(server, tmp_path, [LoadRequest(0, (1, 2), 4)], api="chat")


def test_the_key_comes_from_the_environment_and_is_written_nowhere(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="NO_KEY"):
        driven(Scripted([]), tmp_path, api_key_env="NO_KEY")
    monkeypatch.setenv("A_KEY", "geheim")
    result = run(Scripted([answer(0.1)]), tmp_path, scenario(), api_key_env="A_KEY")
    assert "geheim" not in result.artifact.read_text()


def test_the_servers_metrics_are_read_over_the_window(tmp_path):
    pages = iter([0, 2, 4, 6, 8, 10, 12, 14])

    class Counting(Scripted):
        async def _get(self, path, writer):
            if path == "/metrics":
                n = next(pages)
                self.gets["/metrics"] = (
                    "# TYPE vllm:num_requests_waiting gauge\n"
                    f'vllm:num_requests_waiting{{engine="0"}} {n}\n'
                    f"vllm:request_queue_time_seconds_sum {n * 0.5}\n"
                    f"vllm:request_queue_time_seconds_count {n}\n"
                    f"vllm:time_to_first_token_seconds_sum {n * 0.3}\n"
                    f"vllm:time_to_first_token_seconds_count {n}\n"
                    f"vllm:prefix_cache_hits_total {n}\nvllm:prefix_cache_queries_total {4 * n}\n"
                    f"vllm:num_preemptions_total {n}\nvllm:kv_cache_usage_perc 0.{n:02}\n"
                    f"vllm:spec_decode_num_draft_tokens_total NaN\n"
                )
            await super()._get(path, writer)

    result = run(Counting([answer(3.5)]), tmp_path, scenario())
    got = {k: v for k, v in result.metrics.items() if k.startswith("server_")}
    assert got == {
        "server_queue_length": pytest.approx(4.0),  # 2, 4, 6 during the load
        "server_queue_time": pytest.approx(0.5),
        "server_ttft": pytest.approx(0.3),
        "server_running": None,
        "server_kv_usage": pytest.approx(0.06),
        "server_prefix_hit_rate": pytest.approx(0.25),
        "server_preemptions": 8.0,
        "server_spec_acceptance": None,
    }


def test_the_servers_version_is_environment_unless_it_is_what_is_measured(tmp_path):
    gets = {
        "/v1/models": {"data": [{"id": "m", "owned_by": "vllm"}]},
        "/version": {"version": "0.32.0"},
    }
    result = run(
        Scripted([answer(0.1)], gets=dict(gets)), tmp_path, scenario(), server_args="--dtype x"
    )
    extra = header(result)["fingerprint"]["extra"]
    assert (extra["server"], extra["server_version"]) == ("vllm", "0.32.0")
    assert extra["server_args"] == "--dtype x"
    result = run(
        Scripted([answer(0.1)], gets=dict(gets)), tmp_path, scenario(), server_is_measured=True
    )
    assert "server_version" not in header(result)["fingerprint"]["extra"]
    assert header(result)["engine"]["version"] == "0.32.0"


def late(lag, ttft=0.05):
    return RequestRecord(0, 1, None, 0.0, (), "stop", chunk_times=(ttft,), num_tokens=1, lag=lag)


def test_a_late_client_voids_the_load():
    assert client_bound([late(0.0009)] * 100, Lag(), 1) is None
    void = client_bound([late(0.0001)] * 90 + [late(0.004)] * 10, Lag(), 1)
    assert void.startswith("client-bound: the client was 4.00 ms late")
    assert "more than 1 client process," in void
    # 2 % of a second: a lag of 4 ms changes nothing there.
    assert client_bound([late(0.004, ttft=1.0)] * 100, Lag(), 1) is None
    assert client_bound([late(0.004, ttft=1.0)] * 100, Lag(share=0.001), 1) is not None
    slow = dataclasses.replace(
        late(0.0), chunk_times=(0.05, 0.06, 0.07), num_tokens=3, read_delays=(0.002,)
    )
    assert "reading a chunk" in client_bound([slow] * 100, Lag(), 2)
    assert client_bound([slow] * 100, Lag(gap_share=0.2), 2) is None


@pytest.mark.parametrize("processes", [1, 2, 3, 7])
def test_processes_share_everything_and_keep_chats_together(processes):
    load = [LoadRequest(i, "a", 1, follows=None if i < 5 else i - 5) for i in range(10)]
    parts = shares(load, 4, processes)
    assert sorted(r.index for part, _ in parts for r in part) == list(range(10))
    assert sum(slots for _, slots in parts) == 4
    assert all(slots >= 1 and part for part, slots in parts)
    for part, _ in parts:
        inside = {r.index for r in part}
        assert all(r.follows is None or r.follows in inside for r in part)
    assert {slots for _, slots in shares(load, None, processes)} == {None}


def test_a_scenario_needs_a_sensible_error_rate_and_burst():
    with pytest.raises(ScenarioError, match="max_error_rate"):
        Scenario(
            version="1",
            workload=Independent(1, prompt=Fixed(1), output=Fixed(1)),
            load=ClosedLoop(1),
            max_error_rate=1.0,
        )
    with pytest.raises(ScenarioError, match="burst"):
        Bursts(rate=1.0, size=0)
    with pytest.raises(ScenarioError, match="rate"):
        Ramp(math.nan, 1.0)
