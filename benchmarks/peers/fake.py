"""A server with known times and nothing behind it: ``python -m benchmarks.peers.fake PORT``.

The first token comes ``TTFT`` after the request was read, each further one ``ITL`` after it. What a client
reports beyond that is the client's, and the loopback's.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys

__all__ = ["ITL", "TTFT"]

TTFT = 0.050  # seconds
ITL = 0.010


def _event(plain: object) -> bytes:
    data = b"data: " + (plain if isinstance(plain, bytes) else json.dumps(plain).encode()) + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(data), data)


def _chunk(text: str, finish: str | None) -> bytes:
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}
    head = {"id": "cmpl-0", "object": "text_completion", "created": 0, "model": "fake"}
    return _event({**head, "choices": [choice]})


_TOKEN, _LAST = _chunk(" token", None), _chunk(" end", "length")
_MODELS = json.dumps({"object": "list", "data": [{"id": "fake", "owned_by": "fake"}]}).encode()


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            if head.startswith("get"):
                body = _MODELS if "/v1/models" in head else b"{}"
                known = "/v1/models" in head or "/health" in head
                status = b"200 OK" if known else b"404 Not Found"
                kind = b"content-type: application/json"
                length = b"content-length: %d" % len(body)
                writer.write(b"\r\n".join([b"HTTP/1.1 " + status, kind, length, b"", body]))
                continue
            (size,) = (int(x.split(":")[1]) for x in head.splitlines() if x.startswith("content-l"))
            await _complete(json.loads(await reader.readexactly(size)), writer)
    writer.close()


async def _complete(asked: dict[str, object], writer: asyncio.StreamWriter) -> None:
    clock = asyncio.get_running_loop().time
    began = clock()
    count = int(str(asked.get("max_tokens") or 16))
    kind = b"content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    writer.write(b"HTTP/1.1 200 OK\r\n" + kind)
    for i in range(count):
        await asyncio.sleep(began + TTFT + i * ITL - clock())
        writer.write(_TOKEN if i < count - 1 else _LAST)
    usage = {"prompt_tokens": 1, "completion_tokens": count, "total_tokens": count + 1}
    writer.write(_event({"choices": [], "usage": usage}) + _event(b"[DONE]") + b"0\r\n\r\n")
    await writer.drain()


async def _main(port: int) -> None:
    server = await asyncio.start_server(_serve, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1])))
