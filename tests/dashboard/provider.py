"""A log-in provider that speaks OpenID Connect: the real flow, with one user that the test names."""

import json
import secrets
import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.dashboard.serving import serve

CLIENT = "pacekeeper-tests"


@contextmanager
def provider(**claims):
    """Serve a provider that logs in whoever asks with `claims`; yield its address."""
    key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
    nonces = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            parts = urlsplit(self.path)
            asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
            if parts.path == "/.well-known/openid-configuration":
                self._json(
                    {
                        "issuer": url,
                        "authorization_endpoint": f"{url}/authorize",
                        "token_endpoint": f"{url}/token",
                        "jwks_uri": f"{url}/keys",
                        "response_types_supported": ["code"],
                        "subject_types_supported": ["public"],
                        "id_token_signing_alg_values_supported": ["RS256"],
                    }
                )
            elif parts.path == "/keys":
                self._json({"keys": [key.as_dict(private=False)]})
            elif parts.path == "/authorize":
                code = secrets.token_hex(8)
                nonces[code] = asked.get("nonce")
                back = urlencode({"code": code, "state": asked["state"]})
                self.send_response(302)
                self.send_header("Location", f"{asked['redirect_uri']}?{back}")
                self.end_headers()

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            code = parse_qs(body)["code"][0]
            now = int(time.time())
            token = {"iss": url, "aud": CLIENT, "sub": "1", "iat": now, "exp": now + 600, **claims}
            if nonces[code]:
                token["nonce"] = nonces[code]
            signed = jwt.encode({"alg": "RS256", "kid": "one"}, token, key)
            self._json({"access_token": "x", "token_type": "Bearer", "id_token": signed})

        def _json(self, document):
            body = json.dumps(document).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield url
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def serve_with_login(store_url, folder, *, email):
    """Serve a dashboard, started in `folder`, whose provider logs in `email` whoever asks."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with provider(email=email, email_verified=True) as address:
        _write_secrets(folder, address, port)
        with serve(store_url, cwd=folder, port=port) as dashboard:
            yield dashboard


def log_in(page, dashboard):
    """Log in as a reader would, by the button on the page Account."""
    page.goto(f"{dashboard.url}/account")
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("heading", name="Today").wait_for()


def _write_secrets(folder, provider_url, port):
    """The secrets.toml of docs/dashboard.md, for a dashboard that is started in `folder`."""
    (folder / ".streamlit").mkdir()
    (folder / ".streamlit" / "secrets.toml").write_text(
        f"""
[auth]
redirect_uri = "http://127.0.0.1:{port}/oauth2callback"
cookie_secret = "{secrets.token_hex(32)}"
client_id = "{CLIENT}"
client_secret = "not-a-secret"
server_metadata_url = "{provider_url}/.well-known/openid-configuration"
"""
    )
