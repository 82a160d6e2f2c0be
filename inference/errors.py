"""Every error this package raises on purpose.

::

    InferenceError
    ├── ConfigError           unknown key, preset or value in EngineConfig or SamplingParams
    ├── PromptError           a prompt that cannot be run; names the request's index
    ├── CacheTooSmall         a request that the KV cache could never hold
    ├── RequestFailed         requests of a stream that ended with an error; names their indices
    ├── RequestNotFound       a request id the engine does not hold (also a KeyError)
    ├── BackendUnavailable    no implementation of an op for the backend asked for
    ├── CheckpointError       missing file, key or weight; unsupported architecture
    ├── RankFailed            a process of a tensor-parallel engine ended; names it
    └── EngineClosed          the engine was used after ``close()``

Each message names the thing at fault and what mends it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "BackendUnavailable",
    "CacheTooSmall",
    "CheckpointError",
    "ConfigError",
    "EngineClosed",
    "InferenceError",
    "PromptError",
    "RankFailed",
    "RequestFailed",
    "RequestNotFound",
]


class InferenceError(Exception):
    """Base of every error of this package."""


class ConfigError(InferenceError, ValueError):
    """A key, preset or value of the configuration is unknown or out of range."""


class PromptError(InferenceError, ValueError):
    """A prompt is empty, too long, out of the vocabulary, or text without a tokenizer."""


class CacheTooSmall(InferenceError):  # noqa: N818 (named for what is the matter)
    """A request needs more KV blocks than the whole cache has."""


class RequestFailed(InferenceError):  # noqa: N818
    """Requests of a stream ended with an error while they ran."""


class RequestNotFound(InferenceError, KeyError):  # noqa: N818
    """The engine holds no request of that id: never submitted, or already collected."""

    def __str__(self) -> str:
        # KeyError would print the repr of the message.
        return str(self.args[0]) if self.args else ""


class BackendUnavailable(InferenceError):  # noqa: N818
    """An op has no implementation for the backend asked for."""


class CheckpointError(InferenceError):
    """A checkpoint is missing, incomplete, or of an architecture not supported here."""


class RankFailed(InferenceError):  # noqa: N818
    """A process that computes a part of the model has ended or does not answer."""


class EngineClosed(InferenceError):  # noqa: N818
    """The engine was closed."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the nearest of ``known``, or the sorted list of them."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(names)}"
