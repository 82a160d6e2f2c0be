"""Texts to calibrate on and to judge by: pieces of a file, or what the model itself says."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from inference.architecture import ModelConfig
from inference.config import EngineConfig, SamplingParams
from inference.engine import LLM
from inference.errors import ConfigError, PromptError
from inference.tokenizer import Tokenizer, load_tokenizer

__all__ = ["add_text_arguments", "own_texts", "read_texts", "texts_of"]

_EVALUATION_SEED = 10_000  # of the model's own texts: other ones than calibrate


def add_text_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that ``read_texts`` reads."""
    own = "(default: what the model itself writes)"
    parser.add_argument("--calibrate", type=Path, help=f"text file to calibrate on {own}")
    parser.add_argument("--evaluate", type=Path, help=f"text file to judge by {own}")
    parser.add_argument("--texts", type=int, default=32, help="pieces of each at most")
    parser.add_argument("--length", type=int, default=256, help="tokens of a piece")


def read_texts(
    args: argparse.Namespace, model: ModelConfig, *, calibrated: bool = True
) -> tuple[list[Tensor], list[Tensor]]:
    """Return the texts to calibrate on and those to judge by.

    Args:
        args: ``source``, a checkpoint directory, and what ``add_text_arguments`` adds.
        model: Of the source.
        calibrated: Whether the former are needed; else they are none.

    Raises:
        ConfigError: A count too small.
        PromptError: As of ``texts_of``.
    """
    if args.texts < 1 or args.length < 2:
        raise ConfigError(f"--texts {args.texts} --length {args.length}: give 1 and 2 or more")
    length = min(args.length, model.max_position)

    def read(path: Path | None, seed: int) -> list[Tensor]:
        if path is None:
            return own_texts(args.source, length=length, count=args.texts, seed=seed)
        return texts_of(path, load_tokenizer(args.source), length=length, most=args.texts)

    calibration = read(args.calibrate, 0) if calibrated else []
    return calibration, read(args.evaluate, _EVALUATION_SEED)


def texts_of(path: Path, tokenizer: Tokenizer | None, *, length: int, most: int) -> list[Tensor]:
    """Return pieces of a file's text, spread evenly over it.

    Args:
        path: A text in UTF-8.
        tokenizer: The model's.
        length: Tokens of each piece; the last one of a text may be shorter.
        most: Pieces at most.

    Raises:
        PromptError: No tokenizer, or the file cannot be read or is shorter than two tokens.
    """
    if tokenizer is None:
        raise PromptError(f"{path}: a text needs a tokenizer, and the checkpoint has none")
    try:
        tokens = tokenizer.encode(path.read_text(encoding="utf-8"), add_special_tokens=False)
    except (OSError, UnicodeDecodeError) as error:
        raise PromptError(f"{path}: cannot be read ({error})") from error
    pieces = [torch.tensor(tokens[at : at + length]) for at in range(0, len(tokens), length)]
    pieces = [piece for piece in pieces if len(piece) >= 2]
    if not pieces:
        raise PromptError(f"{path}: holds {len(tokens)} tokens; give a longer text")
    return pieces[:: -(-len(pieces) // most)]


def own_texts(model: Path, *, length: int, count: int, seed: int) -> list[Tensor]:
    """Return texts that the model itself writes at temperature 1, each after a random token.

    Args:
        model: A checkpoint directory.
        length: Tokens of each.
        count: How many.
        seed: Of tokens and samples; equal seeds give equal texts.
    """
    generator = torch.Generator().manual_seed(seed)
    with LLM(model, EngineConfig(device="cpu", max_num_seqs=count, max_model_len=length)) as llm:
        first = torch.randint(llm.model.vocab_size, (count, 1), generator=generator).tolist()
        params: Sequence[SamplingParams] = [
            SamplingParams(max_tokens=length - 1, temperature=1.0, seed=seed + i, ignore_eos=True)
            for i in range(count)
        ]
        outputs = llm.generate(first, params)
    return [torch.tensor(start + out.token_ids) for start, out in zip(first, outputs, strict=True)]
