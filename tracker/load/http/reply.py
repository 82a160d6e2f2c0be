"""A server's reply to one request: what it said, and when each of its tokens came.

A chunk is not a token. A chunk may carry a role and no token, several tokens, a token whose text is
still empty (half a character, a special token), or the usage alone. How many tokens each chunk
carries is taken from what the server says: token ids, usage in every chunk, or the total at the end
where it equals the number of chunks. Where none of them says it, the tokens' times are unknown: a
chunk's time is never spread over its tokens.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tracker.load.http.failure import RequestFailure
from tracker.load.http.sse import ServerEvent, read_events

__all__ = ["CountTokens", "Reply", "read_body", "read_stream"]

CountTokens = Callable[[str], int]
_DONE = b"[DONE]"
_SHOWN = 120  # characters of a malformed event in its message


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. Times are those of the reads.

    Attributes:
        text: Of the first choice, reasoning left out.
        token_times: When each token came; empty where it is not known.
        chunk_times: When each chunk with a token came.
        first_answer: When the first chunk came that is answer and not reasoning.
        output_tokens: How many tokens came out; None where nothing says it.
        prompt_tokens: As the server counts them; None if it does not say.
        cached_tokens: Prompt tokens found in the server's prefix cache; None if it does not say.
        token_ids: Of the output, where the server sends them.
        finish_reason: The server's word for why the first choice ended.
        server_fingerprint: ``system_fingerprint``, if any.
        failure: What is wrong with the reply; None if nothing is.
    """

    text: str = ""
    token_times: tuple[float, ...] = ()
    chunk_times: tuple[float, ...] = ()
    first_answer: float | None = None
    output_tokens: int | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    token_ids: tuple[int, ...] | None = None
    finish_reason: str | None = None
    server_fingerprint: str | None = None
    failure: RequestFailure | None = None


_ChunkKind = Literal["answer", "reasoning", "empty", "role", "finish"]


@dataclass(slots=True)
class _Chunk:
    at: float
    kind: _ChunkKind
    choice: int
    text: str
    tokens: int | None  # as the server says for this chunk; None: it does not


@dataclass(slots=True)
class _Stream:
    """What the events said, before it is known which chunks were tokens."""

    chunks: list[_Chunk] = field(default_factory=list)
    token_ids: list[int] = field(default_factory=list)
    ids_complete: bool = True
    usage: dict[str, Any] | None = None
    finish_reasons: dict[int, str] = field(default_factory=dict)  # by choice
    server_fingerprint: str | None = None
    done: bool = False
    failure: RequestFailure | None = None


def read_stream(
    reads: Sequence[tuple[float, bytes]], count_tokens: CountTokens | None = None
) -> Reply:
    """Return the reply that a streamed body holds, for completions and chat alike.

    Args:
        reads: What each read returned and when, in order.
        count_tokens: Counts the tokens of a text, where a tokenizer is at hand; asked only where the
            server sends no usage.
    """
    stream = _Stream()
    for event in read_events(reads):
        if stream.done or stream.failure is not None:
            break
        _take(stream, event)
    if stream.failure is None and not stream.finish_reasons and not stream.done:
        stream.failure = RequestFailure(
            "broken stream", "it ended without a finish reason or [DONE]"
        )
    return _resolve(stream, count_tokens)


def read_body(at: float, body: bytes, count_tokens: CountTokens | None = None) -> Reply:
    """Return the reply that an unstreamed body holds, all of which came at ``at``."""
    try:
        plain = json.loads(body)
        choice = plain["choices"][0]
        message = choice.get("message")
        text = (message.get("content") if message else choice.get("text")) or ""
    except (ValueError, LookupError, TypeError, AttributeError):
        shown = body[:_SHOWN].decode("utf-8", "replace")
        failure = RequestFailure("malformed event", f"no completion: {shown!r}")
        return Reply(failure=failure)
    usage = plain.get("usage")
    ids = _ids(choice)
    tokens = _number(usage, "completion_tokens")
    if tokens is None:
        tokens = len(ids) if ids is not None else count_tokens(text) if count_tokens else None
    return Reply(
        text=text,
        chunk_times=(at,),
        output_tokens=tokens,
        prompt_tokens=_number(usage, "prompt_tokens"),
        cached_tokens=_cached(usage),
        token_ids=None if ids is None else tuple(ids),
        finish_reason=choice.get("finish_reason"),
        server_fingerprint=plain.get("system_fingerprint") or None,
    )


def _take(stream: _Stream, event: ServerEvent) -> None:
    """Add one event to what is known."""
    if event.data.strip() == _DONE:
        stream.done = True
        return
    try:
        plain = json.loads(event.data)
    except ValueError:
        plain = None
    if not isinstance(plain, dict):
        shown = event.data[:_SHOWN].decode("utf-8", "replace")
        cut = RequestFailure("broken stream", f"it ended within an event: {shown!r}")
        odd = RequestFailure("malformed event", f"not a JSON object: {shown!r}")
        stream.failure = odd if event.whole else cut
        return
    if plain.get("error") is not None:
        stream.failure = RequestFailure("error event", _message(plain["error"]))
        return
    stream.server_fingerprint = plain.get("system_fingerprint") or stream.server_fingerprint
    before = _number(stream.usage, "completion_tokens") or 0
    if isinstance(plain.get("usage"), dict):
        stream.usage = plain["usage"]
    choices = plain.get("choices")
    if not isinstance(choices, list) or not all(isinstance(c, dict) for c in choices):
        shown = event.data[:_SHOWN].decode("utf-8", "replace")
        stream.failure = RequestFailure("malformed event", f"no list of choices: {shown!r}")
        return
    begun = {chunk.choice for chunk in stream.chunks}
    chunks = [_chunk(event.at, choice, begun) for choice in choices]
    # Usage beside a single choice counts the tokens so far; with several it is not of one chunk.
    total = _number(plain.get("usage"), "completion_tokens")
    for chunk, choice in zip(chunks, choices, strict=True):
        ids = _ids(choice)
        if ids is not None:
            chunk.tokens = len(ids)
            stream.token_ids += ids
        elif total is not None and len(chunks) == 1 and _counted_so_far(stream, before):
            chunk.tokens = total - before
        if chunk.kind not in ("role", "finish") and ids is None:
            stream.ids_complete = False
        if choice.get("finish_reason"):
            stream.finish_reasons[chunk.choice] = str(choice["finish_reason"])
    stream.chunks += chunks


def _counted_so_far(stream: _Stream, before: int) -> bool:
    """Whether usage has come with every chunk so far: only then a difference is one chunk's."""
    return before == sum(chunk.tokens or 0 for chunk in stream.chunks) and all(
        chunk.tokens is not None for chunk in stream.chunks if chunk.kind != "role"
    )


def _chunk(at: float, choice: dict[str, Any], begun: set[int]) -> _Chunk:
    delta = choice.get("delta")
    index = choice.get("index") or 0
    if not isinstance(delta, dict):
        text, reasoning, opening = choice.get("text") or "", "", False
    else:
        text = delta.get("content") or ""
        reasoning = delta.get("reasoning_content") or delta.get("reasoning") or ""
        # A call of a tool is answer, too: its arguments are generated tokens.
        text += json.dumps(delta["tool_calls"]) if delta.get("tool_calls") else ""
        opening = "role" in delta and index not in begun
    kind: _ChunkKind
    if text:
        kind = "answer"
    elif reasoning:
        kind = "reasoning"
    elif choice.get("finish_reason"):
        kind = "finish"
    else:
        kind = "role" if opening else "empty"
    return _Chunk(at, kind, index, text, None)


def _resolve(stream: _Stream, count_tokens: CountTokens | None) -> Reply:
    """Decide which chunks were tokens, and with that the times."""
    chunks = stream.chunks
    several = _several_choices(stream)
    if not several:
        for chunk in chunks:
            chunk.choice = 0
    total = _number(stream.usage, "completion_tokens")
    text = "".join(chunk.text for chunk in chunks if chunk.choice == 0)
    if total is None and count_tokens is not None and stream.failure is None:
        whole = "".join(chunk.text for chunk in chunks)
        total = count_tokens(whole)
    carriers, known = _carriers(chunks, total)
    if total is None and all(chunk.tokens is not None for chunk in carriers):
        total = sum(chunk.tokens or 0 for chunk in carriers)
    last = None if several else next(iter(stream.finish_reasons.values()), None)
    # One choice is asked for. Where a server sends several, the first is the request's output.
    carriers = [chunk for chunk in carriers if chunk.choice == 0]
    if several:
        total = len(carriers) if known else None
    return Reply(
        text=text,
        token_times=tuple(chunk.at for chunk in carriers) if known else (),
        chunk_times=tuple(chunk.at for chunk in carriers),
        first_answer=next((chunk.at for chunk in carriers if chunk.kind != "reasoning"), None),
        output_tokens=total,
        prompt_tokens=_number(stream.usage, "prompt_tokens"),
        cached_tokens=_cached(stream.usage),
        token_ids=tuple(stream.token_ids) if stream.ids_complete and stream.token_ids else None,
        finish_reason=stream.finish_reasons.get(0, last),
        server_fingerprint=stream.server_fingerprint,
        failure=stream.failure,
    )


def _several_choices(stream: _Stream) -> bool:
    """Whether there are several choices, rather than a server that numbers its tokens as such."""
    seen: list[int] = []
    for chunk in stream.chunks:
        if not seen or chunk.choice != seen[-1]:
            seen.append(chunk.choice)
    return len(stream.finish_reasons) > 1 or len(set(seen)) < len(seen)


def _carriers(chunks: Sequence[_Chunk], total: int | None) -> tuple[list[_Chunk], bool]:
    """Return the chunks that carry tokens, and whether each carries exactly one.

    Args:
        chunks: In order.
        total: Tokens of the whole reply; None: unknown.
    """
    with_text = [c for c in chunks if c.kind in ("answer", "reasoning")]
    counted = [c for c in chunks if c.tokens is not None]
    if counted and all(c.tokens is not None for c in chunks if c.kind not in ("role", "finish")):
        carriers = [c for c in counted if c.tokens]
        if total is not None and sum(c.tokens or 0 for c in carriers) != total:
            return carriers or with_text, False
        return carriers, all(c.tokens == 1 for c in carriers)
    if total is None:
        return with_text, False
    # Which chunks make up the total, one token each? An end-of-sequence token comes as the finish.
    with_empty = [c for c in chunks if c.kind in ("answer", "reasoning", "empty")]
    with_finish = [c for c in chunks if c.kind != "role"]
    for carriers in (with_text, with_empty, with_finish):
        if len(carriers) == total:
            return carriers, True
    return with_text, False


def _ids(choice: dict[str, Any]) -> list[int] | None:
    ids = choice.get("token_ids")
    return ids if isinstance(ids, list) else None


def _number(usage: Any, name: str) -> int | None:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _cached(usage: Any) -> int | None:
    details = usage.get("prompt_tokens_details") if isinstance(usage, dict) else None
    return _number(details, "cached_tokens")


def _message(error: Any) -> str:
    return str(error.get("message") or error) if isinstance(error, dict) else str(error)
