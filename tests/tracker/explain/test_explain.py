"""Known edits of a toy engine, under the real tracers and a scripted clock: who is named first?"""

import gzip
import json
import time

import pytest

from tests.tracker.explain.toy import SOURCES, toy_pairs, toy_trace
from tracker.explain.analysis import explain
from tracker.explain.changed import changed_code
from tracker.explain.trace import TraceError, read_trace
from tracker.load.profile import own_clock, write_failure


def edited(file, old, new):
    assert SOURCES[file].count(old) == 1
    return {**SOURCES, file: SOURCES[file].replace(old, new)}


EDITS = {
    "an op made slow": (
        edited("ops.py", "spend(300 * len(x))", "spend(300 * len(x))\n    spend(500 * len(x))"),
        "ops.py:17", "product", "slower", "spend(500 * len(x))",
    ),
    "an op called twice": (
        edited("engine.py", "        x = self.ops.linear(self.spend, x)\n",
               "        x = self.ops.linear(self.spend, x)\n" * 2),
        "engine.py:9", "Engine.step", "calls linear here, new", "x = self.ops.linear(self.spend, x)",
    ),
    "called in a loop": (
        edited("engine.py", "        x = self.ops.norm(self.spend, tokens)\n",
               "        for _ in range(9):\n            x = self.ops.norm(self.spend, tokens)\n"),
        "engine.py:8", "Engine.step", "calls norm 20 → 180 times", None,
    ),
    "new helper": (
        edited("queue.py", "    spend(5_000)\n",
               "    spend(5_000)\n    look(spend)\n\n\ndef look(spend):\n    spend(9_000)\n"),
        "queue.py:3", "choose", "calls look here, new", "look(spend)",
    ),
    "a lost fusion": (
        edited("engine.py", "        x = self.ops.gate(self.spend, x)\n",
               "        x = self.ops.product(self.spend, self.ops.linear(self.spend, x))\n"
               "        x = self.ops.product(self.spend, x)\n"),
        "engine.py:", "Engine.step", "calls ", None,
    ),
    "larger arguments": (
        edited("engine.py", "x = self.ops.norm(self.spend, tokens)",
               "x = self.ops.norm(self.spend, tokens * 3)"),
        "engine.py:", "Engine.step", "elements a call", None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_the_edit_is_named_first_with_its_line(name, tmp_path):
    sources, where, function, what, code = EDITS[name]
    result = explain(*toy_pairs(tmp_path, {}, {"sources": sources}))
    first = result.rows[0]
    assert first.where.startswith(where) and first.function == function and what in first.what
    assert code is None or first.code == code
    assert first.is_certain and first.low is not None and first.low > 0
    assert 0.8 < first.share < 1.2
    assert result.verdict == "slower"
    assert result.total.low < result.total.seconds < result.total.high


def test_rows_hold_the_scripted_seconds(tmp_path):
    sources = EDITS["an op made slow"][0]
    result = explain(*toy_pairs(tmp_path, {"noise": 0.0}, {"sources": sources, "noise": 0.0}))
    tokens = 64 + 20 * 8
    assert result.steps == 21
    assert result.rows[0].seconds == pytest.approx(500e-9 * tokens / 21, rel=1e-6)
    assert result.total.seconds == pytest.approx(500e-9 * tokens / 21, rel=1e-6)
    assert sum(phase.seconds for phase in result.phases) == pytest.approx(result.total.seconds)
    assert len(result.rows) == 1


def test_the_same_commit_twice_shows_no_difference(tmp_path):
    wrong = 0
    for number in range(5):
        result = explain(*toy_pairs(tmp_path / str(number), {}, {}))
        wrong += result.verdict != "no difference" or bool(result.rows)
        assert result.hidden > 0
    assert wrong == 0


def test_few_pairs_decide_nothing(tmp_path):
    sources = EDITS["an op made slow"][0]
    result = explain(*toy_pairs(tmp_path, {}, {"sources": sources}, pairs=3))
    assert result.verdict == "no difference" and not result.rows
    assert result.total.low is None


def test_more_steps_of_fewer_tokens_are_the_steps_own_doing(tmp_path):
    decode = (("decode", 8),) * 20
    base, head = (("prefill", 64), *decode), (*(("prefill", 16),) * 4, *decode)
    traces = toy_pairs(
        tmp_path, {"steps": base, "counters": {"prefill_steps": 1, "x": 1}},
        {"steps": head, "counters": {"prefill_steps": 4, "x": 1}},
    )  # fmt: skip
    result = explain(*traces)
    first = result.rows[0]
    assert first.where == "the steps themselves" and first.function == ""
    assert first.what == "prefill: 1 → 4 steps" and first.is_exact
    assert result.counters == {"prefill_steps": (1, 4)}


def test_a_renamed_function_and_moved_lines_are_no_difference(tmp_path):
    sources = {name: text.replace("product", "multiplied") for name, text in SOURCES.items()}
    sources["engine.py"] = "# a comment\n\n" + sources["engine.py"].replace(
        "        self.queue.choose(self.spend)\n        x = self.ops.norm(self.spend, tokens)\n",
        "        x = self.ops.norm(self.spend, tokens)\n        self.queue.choose(self.spend)\n",
    )
    result = explain(*toy_pairs(tmp_path, {}, {"sources": sources}))
    assert result.verdict == "no difference" and not result.rows


def test_changed_code_is_marked_and_comments_are_no_change(tmp_path):
    sources = EDITS["an op made slow"][0]
    files = {name: (SOURCES[name], sources[name] + "# more\n") for name in SOURCES}
    changed = changed_code(files)
    assert [code.text for code in changed] == ["ops.py:15 product"]
    result = explain(*toy_pairs(tmp_path, {}, {"sources": sources}), changed=changed)
    assert result.rows[0].is_changed


def test_code_outside_of_functions_is_changed_code():
    base = 'class Config:\n    """Settings."""\n\n    chunk: int = 512\n    seed: int = 0\n'
    head = base.replace('"Settings."', '"All settings."').replace("512", "64")
    (code,) = changed_code({"config.py": (base, head)})
    assert code.text == "config.py:4"
    assert [c.text for c in changed_code({"a.cu": ("x", "y"), "b.py": ("x=1", None)})] == [
        "a.cu:1", "b.py:0",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.unlink(), "the trace is gone"),
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "cut off or damaged"),
        (lambda path: path.write_bytes(b"hello"), "cannot be read|damaged"),
        (lambda path: rewrite(path, lambda d: d["traceEvents"].pop()), "cut off: 189 of 190 events"),
        (lambda path: rewrite(path, lambda d: d["pacekeeper"].pop("functions")), "damaged.*functions"),
        (lambda path: rewrite(path, lambda d: d.pop("pacekeeper")), "not a trace of the tracker"),
        (lambda path: rewrite(path, lambda d: d["pacekeeper"].update(format=9)), "format 9; 1 is read"),
        (lambda path: write_failure(path.parent, "toy.Suite", "RuntimeError: no profiler"),
         "toy.Suite could not be traced: RuntimeError: no profiler"),
    ],
)  # fmt: skip
def test_what_is_no_trace_is_said_by_name(damage, reason, tmp_path):
    path = toy_trace(tmp_path)
    damage(path)
    with pytest.raises(TraceError, match=reason) as raised:
        read_trace(path)
    assert str(path) in str(raised.value)


def rewrite(path, change):
    with gzip.open(path, "rt") as file:
        document = json.load(file)
    change(document)
    with gzip.open(path, "wt") as file:
        json.dump(document, file)


def test_the_clock_leaves_out_what_others_ran_on_the_core(tmp_path):
    account = tmp_path / "schedstat"
    account.write_text("0 0 0\n")
    clock = own_clock(account)
    before, began = clock(), time.perf_counter_ns()
    while time.perf_counter_ns() - began < 20_000_000:
        pass
    account.write_text("0 19000000 1\n")
    wall = time.perf_counter_ns() - began
    assert 0 <= clock() - before < wall - 18_000_000
    assert own_clock(tmp_path / "none") is time.perf_counter_ns


def test_other_work_takes_the_blame_for_all_below_it_but_new_code(tmp_path):
    """Longer prompts make every op slower; a function that the base does not have is named beside."""
    sources = edited(
        "queue.py", "    spend(5_000)\n",
        "    spend(5_000)\n    look(spend)\n\n\ndef look(spend):\n    spend(900_000)\n",
    )  # fmt: skip
    decode = (("decode", 8),) * 20
    base, head = ((("prefill", tokens), *decode) for tokens in (64, 640))
    result = explain(*toy_pairs(tmp_path, {"steps": base}, {"steps": head, "sources": sources}))
    rows = {row.where: row for row in result.rows}
    assert rows["the steps themselves"].what == "prefill: 64 → 640 tokens"
    assert rows["queue.py:3"].what == "calls look here, new"
    assert set(rows) == {"the steps themselves", "queue.py:3"}


def test_ops_behind_one_wrapper_are_told_apart(tmp_path):
    """Each op is called through the same wrapper; one of them takes the place of another."""
    wrapped = SOURCES["engine.py"].replace("self.ops.", "self.ops.call(self.ops.").replace(
        "(self.ops.norm(self.spend, tokens)", "(self.ops.norm, self.spend, tokens)"
    ).replace("(self.ops.linear(self.spend, x)", "(self.ops.linear, self.spend, x)").replace(
        "(self.ops.gate(self.spend, x)", "(self.ops.gate, self.spend, x)"
    )  # fmt: skip
    call = "\n\ndef call(kernel, *arguments):\n    return kernel(*arguments)\n"
    base = {**SOURCES, "engine.py": wrapped, "ops.py": SOURCES["ops.py"] + call}
    head = {**base, "engine.py": wrapped.replace("self.ops.norm,", "self.ops.linear,")}
    result = explain(*toy_pairs(tmp_path, {"sources": base}, {"sources": head}))
    first = result.rows[0]
    assert (first.where, first.function) == ("engine.py:7", "Engine.step")
    assert first.what == "calls linear in place of norm" and first.is_certain
