"""A real HTTP server on 127.0.0.1 that answers as it is told, for tests."""

import json
import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def webhook_server(*answers, on_request=lambda: None, answer_first=False):
    """Yield (url, received). Each request takes the next of `answers`, the last one forever.

    `on_request` is called before a request is answered, or after it.

    An answer is a status code, "slow" (no answer for 1.5 s), "drip" (a byte of the header every
    0.1 s) or "hang up".
    """
    received = []
    left = list(answers)
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with lock:
                received.append((dict(self.headers), json.loads(body)))
                answer = left.pop(0) if len(left) > 1 else left[0]
            if not answer_first:
                on_request()
            if answer == "hang up":
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            if answer == "slow":
                time.sleep(1.5)
                answer = 200
            if answer == "drip":
                self._drip()
                return
            try:
                self.send_response(answer)
                self.end_headers()
            except OSError:
                pass  # the client was killed
            if answer_first:
                on_request()

        def _drip(self):
            try:
                for byte in b"HTTP/1.0 200 OK\r\n" * 2:
                    self.wfile.write(bytes([byte]))
                    time.sleep(0.1)
            except OSError:
                pass  # the client gave up, as it should

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *args: None  # a client that gave up is no error of the test
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook/s3cret", received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def closed_port_url():
    """A URL that refuses connections: a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/hook/s3cret"
