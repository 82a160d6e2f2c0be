"""``python -m inference.serve MODEL``: serve a preset, a checkpoint directory or a GGUF file.

Exit codes: 0 ended by a signal; 2 usage, or a model that cannot be served; 4 uvicorn is not installed.
"""

from __future__ import annotations

import argparse
import dataclasses
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from inference.config import EngineConfig
from inference.errors import InferenceError
from inference.replicas import open_engine
from inference.serve.app import App


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse ``arguments`` (None: the command line's), serve until a signal, return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        import uvicorn
    except ImportError:
        sys.stderr.write("error: no uvicorn here; pip install 'pacekeeper[serve]'\n")
        return 4
    chosen = {
        f.name: value
        for f in dataclasses.fields(EngineConfig)
        if (value := getattr(options, f.name, None)) is not None
    }
    try:
        listening = _listen(options.host, options.port)
    except OSError as error:
        sys.stderr.write(f"error: cannot listen at {options.host}:{options.port}: {error}\n")
        return 2
    with listening:
        try:
            llm = open_engine(options.model, EngineConfig(**chosen))
            llm.warm_up()
        except InferenceError as error:
            sys.stderr.write(f"error: {error}\n")
            return 2
        name = options.served_model_name or Path(options.model).name
        config = uvicorn.Config(App(llm, name), log_level="warning", lifespan="on")
        host, port = listening.getsockname()[:2]
        sys.stdout.write(f"serving {name} at http://{host}:{port}\n")
        sys.stdout.flush()
        uvicorn.Server(config).run(sockets=[listening])
    return 0


def _listen(host: str, port: int) -> socket.socket:
    """Return a listening socket whose connections send each token at once.

    asyncio switches Nagle's algorithm off only for sockets that name TCP as their protocol, which
    those of ``socket.create_server`` do not; with it, tokens wait up to 40 ms for an acknowledgement.
    """
    ((family, kind, protocol, _, address), *_) = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
    )
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(1024)
    except OSError:
        listening.close()
        raise
    return listening


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m inference.serve",
        description="Serve a model over HTTP: /v1/completions, /v1/chat/completions, /v1/models, "
        "/health, /metrics.",
    )
    parser.add_argument("model", help="preset, checkpoint directory, or .gguf file")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one and prints it")
    parser.add_argument("--served-model-name", metavar="NAME", help="default: the model's own")
    group = parser.add_argument_group("engine", "the fields of EngineConfig")
    for field in dataclasses.fields(EngineConfig):
        kind: dict[str, Any] | None = _argument(str(field.type))
        if kind is not None:
            flag = f"--{field.name.replace('_', '-')}"
            group.add_argument(flag, dest=field.name, default=None, **kind)
    return parser


def _argument(annotation: str) -> dict[str, Any] | None:
    """Return how argparse reads a field of that type; None for what has no flag."""
    for name, kind in (("int", int), ("float", float), ("str", str)):
        if annotation in (name, f"{name} | None"):
            return {"type": kind, "metavar": name.upper()}
    if annotation in ("bool", "bool | None"):
        return {"action": argparse.BooleanOptionalAction}
    return None


if __name__ == "__main__":
    sys.exit(main())
