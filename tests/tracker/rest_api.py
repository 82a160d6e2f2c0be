"""A REST API on loopback that answers as it is told, for tests of what calls one."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass
class FakeApi:
    """What it answers, and what it was asked.

    `answers` maps "METHOD /path" to (status, value), or to a list of them, one a request.
    """

    url: str
    answers: dict[str, object] = field(default_factory=dict)
    requests: list[tuple[str, str, object]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def asked(self, method: str, path: str) -> list[object]:
        """The bodies of the requests to one address."""
        return [body for m, p, body in self.requests if (m, urlsplit(p).path) == (method, path)]


@contextmanager
def rest_api() -> Iterator[FakeApi]:
    """Serve on a free port until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            fake.requests.append((self.command, self.path, body))
            fake.headers.append(dict(self.headers))
            known = fake.answers.get(f"{self.command} {urlsplit(self.path).path}", (404, {}))
            if callable(known):
                known = known(self)
            elif isinstance(known, list):
                known = known.pop(0)
            if known is None:  # the answer was written by hand
                return
            status, value = known
            text = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PATCH = do_PUT = answer  # noqa: N815

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    fake = FakeApi(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield fake
    server.shutdown()
    thread.join()
    server.server_close()
