"""Repositories without asv: a command that writes a CSV, a server whose delay stands in its commit."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

# Writes `decode` (milliseconds, from the file `delay`) and the exact `steps`.
COMMAND = """
import random, sys
from pathlib import Path

delay = float(Path("delay").read_text())
rows = [
    "benchmark,value,unit,better,kind",
    f"decode,{delay * random.gauss(1, 0.002)},ms,lower,timing",
    "steps,40,1,lower,exact",
]
Path(sys.argv[1]).write_text("\\n".join(rows) + "\\n")
"""

# An OpenAI-compatible server: each token takes the seconds that stand in the file `delay`.
SERVER = """
import json, os, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

DELAY = float(Path("delay").read_text())
print("serving process", os.getpid(), flush=True)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        models = {"object": "list", "data": [{"id": "toy"}]}
        body = json.dumps(models if self.path == "/v1/models" else {"status": "ok"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        tokens = asked["max_tokens"]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for number in range(tokens):
            time.sleep(DELAY)
            reason = "length" if number == tokens - 1 else None
            self.event({"choices": [{"index": 0, "text": " a", "finish_reason": reason}]})
        usage = {"prompt_tokens": 4, "completion_tokens": tokens, "total_tokens": tokens + 4}
        self.event({"choices": [], "usage": usage})
        self.wfile.write(b"data: [DONE]\\n\\n")
        self.close_connection = True

    def event(self, body):
        self.wfile.write(b"data: " + json.dumps(body).encode() + b"\\n\\n")
        self.wfile.flush()


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def git(root: Path, *args: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), "-c", "user.name=t", "-c", "user.email=t@t", *args],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def commit(root: Path, files: Mapping[str, str], subject: str = "change") -> str:
    """Write `files`, commit everything, and return the full hash; makes the repository at first."""
    if not (root / ".git").exists():
        root.mkdir(parents=True, exist_ok=True)
        git(root, "init", "--quiet", "--initial-branch=main")
    for name, text in files.items():
        (root / name).write_text(text)
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--allow-empty", "--message", subject)
    return git(root, "rev-parse", "HEAD")
