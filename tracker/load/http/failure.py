"""What can go wrong with one request over HTTP: counted by kind, described in a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["FailureKind", "RequestFailure"]

FailureKind = Literal[
    "refused",  # nothing listens there, or the name does not resolve
    "tls",  # the certificate or the handshake
    "time-out",  # not finished within the load's limit
    "status",  # an HTTP status other than 200
    "broken stream",  # the connection or the stream ended too early
    "malformed event",  # what came is no completion
    "error event",  # the server reported an error inside the stream
    "wrong length",  # another number of tokens than asked for
    "cancelled",  # the load was ended from outside
]


@dataclass(frozen=True, slots=True)
class RequestFailure:
    """Why one request failed."""

    kind: FailureKind
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"
