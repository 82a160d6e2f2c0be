"""Prompts as text, output as text, and stop strings wherever the tokens happen to break."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference import LLM, EngineConfig, PromptError, SamplingParams
from inference.text import TextStream
from tests.inference.conftest import make_tokenizer


@pytest.fixture(scope="session")
def llm(text_directory: Path) -> LLM:
    return LLM(text_directory, EngineConfig(num_blocks=256))


FREE = SamplingParams(max_tokens=40, ignore_eos=True, temperature=1.0, seed=4)
PROMPT = "the cat sat on é mat"


def test_text_in_text_out(llm: LLM) -> None:
    inner = llm._tokenizer.inner
    output = llm.generate([PROMPT], FREE)[0]
    assert output.num_prompt_tokens == len(inner.encode(PROMPT))
    assert output.text == inner.decode(output.token_ids, skip_special_tokens=True)
    assert llm.generate([inner.encode(PROMPT)], FREE)[0].token_ids == output.token_ids


@pytest.mark.parametrize("length", [1, 2, 3, 7])
def test_a_stop_string_is_found_wherever_tokens_break(llm: LLM, length: int) -> None:
    free = llm.generate([PROMPT], FREE)[0]
    assert free.text is not None
    inner = llm._tokenizer.inner
    for start in range(0, len(free.text) - length, 3):
        stop = free.text[start : start + length]
        if "\ufffd" in stop:
            continue  # half a character is no text to look for
        output = llm.generate(
            [PROMPT],
            SamplingParams(max_tokens=40, ignore_eos=True, temperature=1.0, seed=4, stop=[stop]),
        )[0]
        assert output.finish_reason == "stop"
        assert output.text == free.text[: free.text.index(stop)]
        assert output.token_ids == free.token_ids[: len(output.token_ids)]
        # Not a token too late: without its last token the output does not hold the string.
        assert stop in inner.decode(output.token_ids)
        assert stop not in inner.decode(output.token_ids[:-1])


def test_a_string_that_never_comes_stops_nothing(llm: LLM) -> None:
    params = SamplingParams(
        max_tokens=40, ignore_eos=True, temperature=1.0, seed=4, stop=["never this", "nor this"]
    )
    free, output = llm.generate([PROMPT, PROMPT], [FREE, params])
    assert (output.token_ids, output.text) == (free.token_ids, free.text)
    assert output.finish_reason == "length"


def test_the_end_token_is_no_part_of_the_text(llm: LLM) -> None:
    free = llm.generate([PROMPT], FREE)[0]
    stop = free.token_ids[7]
    params = SamplingParams(
        max_tokens=40, ignore_eos=True, temperature=1.0, seed=4, stop_token_ids=[stop]
    )
    output = llm.generate([PROMPT], params)[0]
    at = free.token_ids.index(stop)
    assert output.token_ids == free.token_ids[: at + 1]
    assert output.text == llm._tokenizer.decode(free.token_ids[:at])


def shown(stream: TextStream, token: int) -> str | None:
    """The text before a stop string once one is complete, else None."""
    return stream.text if stream.add(token) else None


def test_the_first_of_several_stop_strings_wins() -> None:
    stream = TextStream(Spelled(["ab", "cd", "ef"]), ["f", "de", "cdef"])
    assert [shown(stream, i) for i in range(3)] == [None, None, "ab"]


class Bytes:
    """A tokenizer whose tokens are given bytes; by default, each byte is one."""

    def __init__(self, pieces: list[bytes] | None = None) -> None:
        self.pieces = pieces or [bytes([i]) for i in range(256)]
        self.most_decoded = 0
        self.special: dict[int, str] = {}

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        return list(text.encode())

    def chat(self, messages: Any) -> list[int]:
        raise NotImplementedError

    def decode(self, tokens: Any) -> str:
        self.most_decoded = max(self.most_decoded, len(tokens))
        return b"".join(self.pieces[token] for token in tokens).decode(errors="replace")


def test_a_stop_string_before_half_a_character_is_found_at_once() -> None:
    stream = TextStream(Bytes([b"a s", b"top\xe6", b"\x97\xa5"]), ["stop"])
    assert [shown(stream, 0), shown(stream, 1)] == [None, "a "]


@pytest.mark.parametrize("before", range(12))
def test_invalid_bytes_cost_no_more_and_hide_nothing(before: int) -> None:
    tokenizer = Bytes()
    stream = TextStream(tokenizer, ["日b"])
    text = b"a" + b"\xff" * before + "日b".encode()
    got = [shown(stream, byte) for byte in text]
    assert got == [None] * (len(text) - 1) + ["a" + "\ufffd" * before]
    plain = TextStream(tokenizer)
    for byte in b"\xff" * 50:
        plain.add(byte)
    assert tokenizer.most_decoded <= 12


def test_tokens_without_text_cost_no_more_and_hide_nothing() -> None:
    tokenizer = Bytes([b"a", b"", b"b"])
    stream = TextStream(tokenizer, ["ab"])
    assert [shown(stream, token) for token in [0, *[1] * 50, 2]] == [None] * 51 + [""]
    assert tokenizer.most_decoded <= 12


def test_a_replacement_character_can_be_a_stop_string() -> None:
    stream = TextStream(Bytes(), ["\ufffd"])
    got = [shown(stream, byte) for byte in b"a\xffb"]
    assert got == [None, None, "a"]


@pytest.mark.parametrize("stop", ["<end>", "b<end>", "<end>c", "<e"])
def test_a_special_tokens_text_stops_and_is_never_shown(stop: str) -> None:
    spelled = Spelled(["a", "b", "c", ""], special={3: "<end>"})
    tokens = [0, 3, 1, 3, 2] if stop in ("b<end>", "<end>c") else [0, 1, 3]
    stream = TextStream(spelled, [stop])
    taken, stopped = "", False
    for token in tokens:
        stopped = stream.add(token)
        taken += stream.take()
        assert taken == stream.text
        if stopped:
            break
    assert stopped
    assert taken == {"<end>": "ab", "b<end>": "a", "<end>c": "ab", "<e": "ab"}[stop]


def test_text_is_held_back_while_it_may_be_a_stop_string() -> None:
    stream = TextStream(Spelled(["a", "b", "c", "d"]), ["abd"])
    taken = []
    for token in (0, 1, 2, 0, 1):
        assert not stream.add(token)
        taken.append(stream.take())
    assert taken == ["", "", "abc", "", ""]
    stream.finish()
    assert stream.take() == "ab"
    assert stream.text == "abcab"


@settings(deadline=None)
@given(st.binary(max_size=30), st.lists(st.text(min_size=1, max_size=3), max_size=2), st.randoms())
def test_text_only_grows_and_ends_as_the_whole_does(
    data: bytes, stops: list[str], random: Any
) -> None:
    """Of any bytes, cut into tokens anywhere: what is released is never taken back."""
    cuts = sorted({0, len(data), *(random.randint(0, len(data)) for _ in range(8))})
    pieces = [data[a:b] for a, b in itertools.pairwise(cuts)]
    stream = TextStream(Bytes(pieces), stops)
    before = ""
    for token in range(len(pieces)):
        stopped = stream.add(token)
        assert stream.text.startswith(before)
        before = stream.text
        if stopped:
            break
    else:
        stream.finish()
    whole = data.decode(errors="replace")
    found = [whole.index(stop) for stop in stops if stop in whole]
    assert stream.text.startswith(before)
    # Where an invalid character begins depends on what follows, so a stop may be met sooner.
    if "\ufffd" not in whole:
        assert stream.text == whole[: min(found, default=len(whole))]
    elif not stops:
        assert stream.text == whole


def test_a_character_in_pieces_is_waited_for() -> None:
    stream = TextStream(Bytes(), ["本"])
    got = [shown(stream, byte) for byte in "日本".encode()]
    assert got == [None] * 5 + ["日"]


class Spelled:
    """A tokenizer whose tokens are given strings."""

    def __init__(self, pieces: list[str], special: dict[int, str] | None = None) -> None:
        self.pieces = pieces
        self.special = special or {}

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        raise NotImplementedError

    def chat(self, messages: Any) -> list[int]:
        raise NotImplementedError

    def decode(self, tokens: Any) -> str:
        return "".join(self.pieces[token] for token in tokens)


def test_a_tokenizer_that_fails_ends_its_own_request_only(
    llm: LLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = llm.generate([PROMPT], FREE)[0]
    decode = llm._tokenizer.decode
    bad = free.token_ids[3]
    at = free.token_ids.index(bad)

    def picky(tokens: Any) -> str:
        # The unwatched request is decoded whole, and only at its end.
        if bad in tokens and len(tokens) < len(free.token_ids):
            raise OverflowError(f"no piece {bad}")
        return str(decode(tokens))

    monkeypatch.setattr(llm._tokenizer, "decode", picky)
    watched = SamplingParams(max_tokens=40, ignore_eos=True, temperature=1.0, seed=4, stop=["#!#"])
    ids = [llm.submit(PROMPT, watched), llm.submit(PROMPT, FREE)]
    events = []
    for _ in range(100):
        events += llm.step()
    assert not llm.has_unfinished()
    failed, whole = (llm.output(i) for i in ids)
    assert (failed.finish_reason, failed.error) == ("error", f"OverflowError: no piece {bad}")
    assert failed.token_ids == free.token_ids[: at + 1]
    assert len(failed.timing.token_times) == at + 1
    assert [e.finish_reason for e in events if e.request == ids[0]] == [None] * at + ["error"]
    assert failed.text is not None
    assert free.text is not None
    assert free.text.startswith(failed.text)
    assert (whole.token_ids, whole.text) == (free.token_ids, free.text)
    assert len(whole.timing.token_times) == len(whole.token_ids)
    llm.check_integrity()
    assert llm._blocks.num_used == 0


def test_a_stream_yields_the_text_as_it_grows(llm: LLM) -> None:
    params = SamplingParams(max_tokens=40, ignore_eos=True, temperature=1.0, seed=4)
    whole = llm.generate([PROMPT], params)[0]
    assert whole.text is not None
    stopping = dataclasses.replace(params, stop=[whole.text[20:23]])
    events = list(llm.stream([PROMPT, PROMPT], [params, stopping]))
    texts = ["".join(e.text for e in events if e.request == i) for i in (0, 1)]
    assert texts == [whole.text, whole.text[: whole.text.index(whole.text[20:23])]]
    assert [e.token_id for e in events if e.request == 0] == whole.token_ids


def test_the_text_of_a_running_request_is_never_taken_back(llm: LLM) -> None:
    request_id = llm.submit(PROMPT, FREE)
    seen = ""
    while llm.has_unfinished():
        llm.step()
        if llm.has_unfinished():
            text = llm.output(request_id).text
            assert text is not None
            assert text.startswith(seen)
            seen = text
    final = llm.output(request_id).text
    assert final is not None
    assert final.startswith(seen)


CHAT = [{"role": "user", "content": "the cat"}, {"role": "assistant", "content": " sat"}]
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}[go]{% endif %}"
)


def test_a_chat_is_laid_out_by_the_template_once(text_directory: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    for file in text_directory.iterdir():
        (tmp_path / file.name).symlink_to(file)
    theirs = AutoTokenizer.from_pretrained(text_directory, bos_token="<end>")
    theirs.chat_template = TEMPLATE
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).unlink()
    theirs.save_pretrained(tmp_path)
    chatty = LLM(tmp_path, EngineConfig(num_blocks=64))
    expected = theirs.apply_chat_template(CHAT, add_generation_prompt=True, return_dict=False)
    assert chatty.chat_prompt(CHAT) == expected
    assert expected.count(theirs.bos_token_id) == 1
    short = SamplingParams(max_tokens=3, ignore_eos=True)
    one = chatty.chat(CHAT, short)
    several = chatty.chat([CHAT, CHAT[:1]], short)
    assert [len(one), len(several)] == [1, 2]
    assert one[0].token_ids == several[0].token_ids
    assert one[0].num_prompt_tokens == len(expected)


def test_a_chat_without_a_template_or_with_odd_roles_is_refused(llm: LLM) -> None:
    with pytest.raises(PromptError, match="no chat template"):
        llm.chat(CHAT)
    with pytest.raises(PromptError, match="a chat needs a tokenizer"):
        LLM("tiny", EngineConfig(num_blocks=8)).chat(CHAT)


def test_special_tokens_of_a_prompt_are_a_choice(tmp_path: Path, text_directory: Path) -> None:
    from tokenizers import processors
    from transformers import PreTrainedTokenizerFast

    for file in text_directory.iterdir():
        (tmp_path / file.name).symlink_to(file)
    inner = make_tokenizer()._tokenizer
    inner.post_processor = processors.TemplateProcessing(
        single="<end> $A", special_tokens=[("<end>", inner.token_to_id("<end>"))]
    )
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).unlink()
    PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<end>").save_pretrained(tmp_path)
    adding = LLM(tmp_path, EngineConfig(num_blocks=64))
    short = SamplingParams(max_tokens=2, ignore_eos=True)
    counts = [
        adding.generate(["the cat"], short, add_special_tokens=add)[0].num_prompt_tokens
        for add in (True, False)
    ]
    assert counts[0] == counts[1] + 1
