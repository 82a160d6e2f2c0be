"""Prompts as text, output as text, and stop strings wherever the tokens happen to break."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from inference import LLM, EngineConfig, SamplingParams
from inference.tokenizer import StopChecker

WORDS = ["the", " cat", " sat", " on", " a", " mat", "é", "日本", " and", " so", "th", "e"]


def make_tokenizer() -> Any:
    """Return a byte-level tokenizer: every byte is a token, and a few words are."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<end>"],
        show_progress=False,
    )
    inner.train_from_iterator(["".join(WORDS) * 3, "the cat sat on the mat" * 5], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<end>")


@pytest.fixture(scope="session")
def text_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama over that tokenizer: its output is bytes in no good order."""
    from transformers import LlamaConfig, LlamaForCausalLM

    directory = tmp_path_factory.mktemp("text")
    tokenizer = make_tokenizer()
    tokenizer.save_pretrained(directory)
    torch.manual_seed(5)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        initializer_range=0.4,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(directory)
    return directory


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


def test_the_first_of_several_stop_strings_wins() -> None:
    checker = StopChecker(Spelled(["ab", "cd", "ef"]), ["f", "de", "cdef"])
    assert [checker.add(i) for i in range(3)] == [None, None, "ab"]


class Bytes:
    """A tokenizer whose tokens are given bytes; by default, each byte is one."""

    def __init__(self, pieces: list[bytes] | None = None) -> None:
        self.pieces = pieces or [bytes([i]) for i in range(256)]
        self.most_decoded = 0

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    def decode(self, tokens: Any) -> str:
        self.most_decoded = max(self.most_decoded, len(tokens))
        return b"".join(self.pieces[token] for token in tokens).decode(errors="replace")


def test_a_stop_string_before_half_a_character_is_found_at_once() -> None:
    checker = StopChecker(Bytes([b"a s", b"top\xe6", b"\x97\xa5"]), ["stop"])
    assert [checker.add(0), checker.add(1)] == [None, "a "]


@pytest.mark.parametrize("before", range(12))
def test_invalid_bytes_cost_no_more_and_hide_nothing(before: int) -> None:
    tokenizer = Bytes()
    checker = StopChecker(tokenizer, ["日b"])
    text = b"a" + b"\xff" * before + "日b".encode()
    got = [checker.add(byte) for byte in text]
    assert got == [None] * (len(text) - 1) + ["a" + "\ufffd" * before]
    for byte in b"\xff" * 50:
        checker.add(byte)
    assert tokenizer.most_decoded <= 12


def test_tokens_without_text_cost_no_more_and_hide_nothing() -> None:
    tokenizer = Bytes([b"a", b"", b"b"])
    checker = StopChecker(tokenizer, ["ab"])
    assert [checker.add(token) for token in [0, *[1] * 50, 2]] == [None] * 51 + [""]
    assert tokenizer.most_decoded <= 12


def test_a_replacement_character_can_be_a_stop_string() -> None:
    checker = StopChecker(Bytes(), ["\ufffd"])
    got = [checker.add(byte) for byte in b"a\xffb"]
    assert got == [None, None, "a"]


def test_a_character_in_pieces_is_waited_for() -> None:
    checker = StopChecker(Bytes(), ["本"])
    got = [checker.add(byte) for byte in "日本語".encode()]
    assert got == [None] * 5 + ["日"] + [None] * 3


class Spelled:
    """A tokenizer whose tokens are given strings."""

    def __init__(self, pieces: list[str]) -> None:
        self.pieces = pieces

    def encode(self, text: str) -> list[int]:
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
