"""Requests as a server wants them: the JSON to post, for completions and for chat."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tracker.load.errors import ScenarioError
from tracker.load.records import LoadRequest

__all__ = ["OPTIONAL", "Api", "Body", "Payload", "Turns"]

Api = Literal["completions", "chat"]

# Fields that not every server takes, in the order in which they are given up.
OPTIONAL = ("return_token_ids", "seed", "ignore_eos", "stream_options")


class Turns:
    """What the finished turns of each chat said, for the turn after them.

    Args:
        requests: The whole load.
    """

    def __init__(self, requests: Sequence[LoadRequest]) -> None:
        self._followed = {r.follows for r in requests if r.follows is not None}
        self._said: dict[int, tuple[str, tuple[int, ...]]] = {}
        self._requests = {r.index: r for r in requests}

    def add(self, index: int, text: str, token_ids: tuple[int, ...] | None) -> None:
        """Note the output of a request that another follows."""
        if index in self._followed:
            self._said[index] = (text, token_ids or ())

    def messages(self, request: LoadRequest) -> list[dict[str, str]]:
        """Return the chat up to and with ``request``."""
        before: list[dict[str, str]] = []
        if request.follows is not None:
            before = self.messages(self._requests[request.follows])
            before.append({"role": "assistant", "content": self._said[request.follows][0]})
        return [*before, {"role": "user", "content": str(request.prompt)}]

    def prompt(self, request: LoadRequest) -> tuple[int, ...] | str:
        """Return the prompt of ``request`` with all turns before it, as ids or as text.

        Raises:
            ScenarioError: The chat is of token ids and the server sends none back.
        """
        if request.follows is None:
            return request.prompt
        before = self.prompt(self._requests[request.follows])
        text, ids = self._said[request.follows]
        if isinstance(before, str) or isinstance(request.prompt, str):
            return f"{before}{text}\n{request.prompt}"
        if text and not ids:
            raise ScenarioError(
                "a chat of token ids needs a server that sends token ids back (return_token_ids), "
                "and this one does not; give Conversations(text=True)"
            )
        return before + ids + request.prompt


@dataclass(frozen=True, slots=True)
class Payload:
    """Makes the bodies of one load.

    Attributes:
        api: ``"completions"`` or ``"chat"``.
        model: The server's name of it.
        stream: Ask for events.
        temperature: 0 is greedy.
        ignore_eos: Ask for outputs of exactly ``max_tokens``.
        seed: Of the load; each request's is this and its index.
        refused: Of ``OPTIONAL``, what the server does not take.
        extra: More fields of every body.
    """

    api: Api
    model: str
    stream: bool
    temperature: float
    ignore_eos: bool
    seed: int
    refused: frozenset[str] = frozenset()
    extra: Mapping[str, Any] | None = None

    def body(self, request: LoadRequest, turns: Turns) -> bytes:
        """Return the JSON to post for ``request``.

        Raises:
            ScenarioError: A chat of token ids cannot be sent to this endpoint.
        """
        body: dict[str, Any] = {
            "model": self.model,
            "max_tokens": request.max_tokens,
            "temperature": self.temperature,
            "stream": self.stream,
        }
        if self.api == "chat":
            if not isinstance(request.prompt, str):
                raise ScenarioError(
                    "/v1/chat/completions takes text, and the scenario's prompts are token ids; "
                    "give the workload text=True, or use /v1/completions"
                )
            body["messages"] = turns.messages(request)
        else:
            prompt = turns.prompt(request)
            body["prompt"] = prompt if isinstance(prompt, str) else list(prompt)
        optional: dict[str, Any] = {
            "return_token_ids": True,
            "seed": self.seed + request.index,
            "ignore_eos": self.ignore_eos,
            "stream_options": {"include_usage": True} if self.stream else None,
        }
        for name, value in optional.items():
            if name not in self.refused and value not in (None, False):
                body[name] = value
        return json.dumps(body | dict(self.extra or {})).encode()


Body = Callable[[LoadRequest, Turns], bytes]
