"""OpenAI's JSON: a request's body to a prompt and ``SamplingParams``; tokens and ends to JSON.

What is not known or not served is refused by name. A field that every client sends and that changes
nothing here (``user``, ``n`` of 1) is let pass.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from inference.config import SamplingParams
from inference.errors import InferenceError, did_you_mean
from inference.intake import Prompt

__all__ = ["Job", "RefusedRequestError", "error_body", "read_job"]

Kind = Literal["completions", "chat"]

_SAMPLING = (
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "seed",
    "stop",
    "stop_token_ids",
    "ignore_eos",
    "min_tokens",
    "repetition_penalty",
    "presence_penalty",
    "frequency_penalty",
)
_OWN = ("model", "stream", "stream_options", "return_token_ids", "max_tokens")
_FIELDS: dict[Kind, tuple[str, ...]] = {
    "completions": (*_OWN, *_SAMPLING, "prompt"),
    "chat": (*_OWN, *_SAMPLING, "messages", "max_completion_tokens"),
}
# Accepted at the value that changes nothing; None, where any value does.
_NEUTRAL: dict[str, Any] = {
    "n": 1,
    "best_of": 1,
    "echo": False,
    "logprobs": False,
    "user": None,
    "metadata": None,
    "store": None,
    "service_tier": None,
}
_COMPLETION_TOKENS = 16  # OpenAI's default for completions


class RefusedRequestError(Exception):
    """A request that is refused.

    Attributes:
        status: HTTP status.
        param: The field at fault, if one is.
    """

    def __init__(self, status: int, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.param = param


@dataclass(frozen=True, slots=True)
class Job:
    """A request as understood.

    Attributes:
        kind: Which endpoint.
        prompts: One for each choice; a chat has one.
        messages: Of a chat.
        params: How to sample; ``max_tokens`` is left to the model's context where None was given.
        max_tokens: As given; None: as many as the context holds.
        stream: Reply with events.
        include_usage: Of a stream: end with a chunk of usage alone.
        continuous_usage: Of a stream: usage in every chunk, too.
        token_ids: Send the ids of the tokens with their text.
    """

    kind: Kind
    prompts: tuple[Prompt, ...]
    messages: tuple[Mapping[str, Any], ...]
    sampling: Mapping[str, Any]
    max_tokens: int | None
    stream: bool
    include_usage: bool
    continuous_usage: bool
    token_ids: bool

    def params(self, room: int) -> SamplingParams:
        """Return the parameters for a prompt that leaves ``room`` tokens of the context.

        Raises:
            ConfigError: A value is out of range.
        """
        return SamplingParams(
            max_tokens=max(room, 1) if self.max_tokens is None else self.max_tokens, **self.sampling
        )


def read_job(kind: Kind, body: bytes, model: str) -> Job:
    """Return what a body asks for.

    Raises:
        RefusedRequestError: It is no JSON object, names another model, lacks or has a field it must not, or a
            field has a value that is not served.
    """
    try:
        plain = json.loads(body)
    except ValueError as error:
        raise RefusedRequestError(400, f"the body is not JSON: {error}") from error
    if not isinstance(plain, dict):
        raise RefusedRequestError(400, "the body is not a JSON object")
    _refuse_unknown(plain, _FIELDS[kind])
    asked = plain.get("model", model)
    if asked != model:
        raise RefusedRequestError(404, f"the model {asked!r} is not served; {model!r} is", "model")
    options = plain.get("stream_options") or {}
    if not isinstance(options, dict):
        raise RefusedRequestError(
            400, f"stream_options is {options!r}; give an object", "stream_options"
        )
    for name in options:
        known = ("include_usage", "continuous_usage_stats")
        if name not in known:
            raise RefusedRequestError(
                400, f"no stream option {name!r}{did_you_mean(name, known)}", name
            )
    limit = plain.get("max_completion_tokens", plain.get("max_tokens"))
    if limit is None and kind == "completions":
        limit = _COMPLETION_TOKENS
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
        raise RefusedRequestError(
            400, f"max_tokens is {limit!r}; give a whole number >= 1", "max_tokens"
        )
    sampling = {name: plain[name] for name in _SAMPLING if plain.get(name) is not None}
    return Job(
        kind=kind,
        prompts=_prompts(plain) if kind == "completions" else (),
        messages=_messages(plain) if kind == "chat" else (),
        sampling={"temperature": 1.0, **sampling},  # OpenAI's default
        max_tokens=limit,
        stream=_flag(plain, "stream"),
        include_usage=_flag(options, "include_usage"),
        continuous_usage=_flag(options, "continuous_usage_stats"),
        token_ids=_flag(plain, "return_token_ids"),
    )


def error_body(error: Exception) -> tuple[int, bytes]:
    """Return status and JSON for what went wrong with a request."""
    if isinstance(error, RefusedRequestError):
        status, param = error.status, error.param
    else:
        status, param = (400 if isinstance(error, InferenceError) else 500), None
    kind = "invalid_request_error" if status < 500 else "server_error"
    plain = {"message": str(error), "type": kind, "param": param, "code": status}
    return status, json.dumps({"error": plain}).encode()


def _refuse_unknown(plain: Mapping[str, Any], known: Sequence[str]) -> None:
    for name, value in plain.items():
        if name in known:
            continue
        if name not in _NEUTRAL:
            raise RefusedRequestError(400, f"no field {name!r}{did_you_mean(name, known)}", name)
        neutral = _NEUTRAL[name]
        if neutral is not None and value not in (None, neutral):
            raise RefusedRequestError(400, f"{name} is {value!r}; only {neutral!r} is served", name)


def _prompts(plain: Mapping[str, Any]) -> tuple[Prompt, ...]:
    prompt = plain.get("prompt")
    if isinstance(prompt, str):
        return (prompt,)
    if isinstance(prompt, list) and prompt:
        if all(_is_id(token) for token in prompt):
            return (prompt,)
        if all(isinstance(one, str) or _is_ids(one) for one in prompt):
            return tuple(prompt)
    raise RefusedRequestError(
        400, "prompt must be a string, a list of token ids, or a list of either", "prompt"
    )


def _is_id(token: object) -> bool:
    return isinstance(token, int) and not isinstance(token, bool)


def _is_ids(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(_is_id(token) for token in value)


def _messages(plain: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    messages = plain.get("messages")
    if (
        isinstance(messages, list)
        and messages
        and all(isinstance(m, dict) and isinstance(m.get("role"), str) for m in messages)
    ):
        return tuple(messages)
    raise RefusedRequestError(
        400, "messages must be a list of objects with a role and a content", "messages"
    )


def _flag(plain: Mapping[str, Any], name: str) -> bool:
    value = plain.get(name)
    if value not in (None, True, False):
        raise RefusedRequestError(400, f"{name} is {value!r}; give true or false", name)
    return bool(value)
