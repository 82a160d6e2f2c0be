"""Changes to the logits of a request beyond temperature, top-k and top-p.

They are penalties, a minimum length, min-p and log probabilities. Each reads the tokens of its own
request on the host. A step with such a request therefore waits for the tokens of the step before,
and no CUDA graph replays it. Rows without such a parameter stay unchanged.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from inference.request import Request, TokenLogprobs

__all__ = ["adjust", "logprobs"]


def adjust(
    logits: Tensor, rows: Iterable[int], requests: Sequence[Request], eos: Iterable[int]
) -> Tensor:
    """Return the logits with the rows of some requests adjusted as their params ask.

    Args:
        logits: ``[requests, vocab]``.
        rows: Indices of the rows to adjust; the host has read every token of their requests.
        requests: One a row.
        eos: Tokens that end an output of the model.

    Returns:
        New tensor, ``[requests, vocab]``, float32.

    Source:
        Repetition: Keskar et al. 2019, arXiv:1909.05858, section 4.1, over prompt and output.
        Presence and frequency: OpenAI's API, over the output. Min-p: arXiv:2407.01082; it keeps
        the tokens of at least ``min_p`` times the largest probability at the request's temperature.
    """
    logits = logits.to(torch.float32, copy=True)
    for index in rows:
        _adjust_row(logits[index], requests[index], eos)
    return logits


def _adjust_row(row: Tensor, request: Request, eos: Iterable[int]) -> None:
    params = request.params
    output = request.tokens[request.num_prompt :]
    if len(output) < params.min_tokens:
        # Also where the request ignores the model's end tokens: it must not sample one.
        row[[*eos, *params.stop_token_ids]] = -math.inf
    if params.repetition_penalty != 1.0:
        seen = torch.tensor(request.tokens, device=row.device).unique()
        values = row[seen]
        penalty = params.repetition_penalty
        row[seen] = torch.where(values < 0, values * penalty, values / penalty)
    if output and (params.presence_penalty or params.frequency_penalty):
        used, counts = torch.tensor(output, device=row.device).unique(return_counts=True)
        row[used] -= params.presence_penalty + params.frequency_penalty * counts
    if params.min_p and params.temperature:
        row[row < row.max() + params.temperature * math.log(params.min_p)] = -math.inf


def logprobs(
    logits: Tensor, rows: Iterable[int], requests: Sequence[Request], tokens: Tensor
) -> list[tuple[Request, TokenLogprobs]]:
    """Return the log probabilities of the rows whose requests ask for them.

    They are computed before penalties, temperature and filters.

    Args:
        logits: As the model gave them, ``[requests, vocab]``.
        rows: Indices of the rows to consider.
        requests: One a row.
        tokens: What was sampled, ``[requests]``.
    """
    result = []
    for index in rows:
        wanted = requests[index].params.logprobs
        if wanted is None:
            continue
        row = logits[index].float().log_softmax(dim=-1)
        values, ids = row.topk(min(wanted, len(row)))
        top = tuple(zip(ids.tolist(), values.tolist(), strict=True))
        own = float(row[tokens[index].clamp(min=0)])
        result.append((requests[index], TokenLogprobs(own, top)))
    return result
