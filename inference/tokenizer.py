"""Text to tokens and back, and a chat to the tokens of its prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from inference.errors import CheckpointError, PromptError
from inference.files import read_json, refuse_pointer

__all__ = ["Message", "Tokenizer", "load_tokenizer"]

Message = Mapping[
    str, Any
]  # {"role": "user", "content": "..."}, as the checkpoint's template reads it

_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")
_JSON_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.json")


class Tokenizer(Protocol):
    """What the engine needs of a tokenizer.

    Attributes:
        special: Text of each special token by id; ``decode`` leaves these out.
    """

    special: Mapping[int, str]

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        """Return the tokens of a prompt, with the special ones that the model expects, or without."""
        ...

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens, special ones left out."""
        ...

    def chat(self, messages: Sequence[Message]) -> list[int]:
        """Return the prompt of a chat, up to where the answer begins.

        Raises:
            PromptError: The checkpoint has no chat template, or its template refuses the messages.
        """
        ...


class _HubTokenizer:
    def __init__(self, inner: Any) -> None:
        self.inner = inner
        named = dict(zip(inner.all_special_ids, inner.all_special_tokens, strict=False))
        added = getattr(inner, "added_tokens_decoder", {})
        self.special: Mapping[int, str] = {
            **{int(i): str(text) for i, text in named.items()},
            **{int(i): token.content for i, token in added.items() if token.special},
        }

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        return list(self.inner.encode(text, add_special_tokens=add_special_tokens))

    def decode(self, tokens: Sequence[int]) -> str:
        # Clean-up would drop spaces before punctuation: the text must be the tokens' own.
        return str(
            self.inner.decode(
                list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        )

    def chat(self, messages: Sequence[Message]) -> list[int]:
        if not self.inner.chat_template:
            raise PromptError(
                "the checkpoint has no chat template; give a prompt as text or tokens"
            )
        try:
            # As text first: the template writes the special tokens itself, and a second
            # beginning-of-sequence must not come before its own.
            text = self.inner.apply_chat_template(
                [dict(message) for message in messages], tokenize=False, add_generation_prompt=True
            )
        except Exception as error:  # a template raises what it likes
            raise PromptError(f"the chat template refuses the messages: {error}") from error
        return self.encode(text, add_special_tokens=False)


def load_tokenizer(directory: Path, *, gguf_file: str | None = None) -> Tokenizer | None:
    """Return the tokenizer of a checkpoint directory, or None where it has none.

    Args:
        directory: Holds the tokenizer's files, or the GGUF file.
        gguf_file: Name of that file, whose header holds the tokenizer.

    Raises:
        CheckpointError: One of the tokenizer's files is damaged, or they do not fit together.
    """
    if gguf_file is None:
        present = [directory / name for name in _FILES if (directory / name).exists()]
        if not present:
            return None
        for path in present:
            refuse_pointer(path)
        for path in (directory / name for name in _JSON_FILES):
            if path.exists():
                read_json(path)
    # Slow to import, and not needed by engines that take token ids.
    from transformers import AutoTokenizer

    extra = {} if gguf_file is None else {"gguf_file": gguf_file}
    try:
        return _HubTokenizer(AutoTokenizer.from_pretrained(directory, **extra))
    except Exception as error:  # the tokenizers library raises bare Exceptions
        raise CheckpointError(
            f"{directory / (gguf_file or '')}: the tokenizer cannot be read "
            f"({type(error).__name__}: {error})"
        ) from error
