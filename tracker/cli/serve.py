"""`tracker serve`: the HTTP service on the store."""

from __future__ import annotations

import socket

import click

from tracker.cli import Settings
from tracker.errors import PacekeeperError, UsageError
from tracker.store import Store

__all__ = ["command"]

DASHBOARD_VARIABLE = "PACEKEEPER_DASHBOARD_URL"


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8600, show_default=True,
              help="Port to listen on; 0 chooses a free port.")  # fmt: skip
@click.option(
    "--max-body", type=click.IntRange(1, 1024), default=64, show_default=True, metavar="MIB",
    help="Largest body of a request, uncompressed.",
)  # fmt: skip
@click.option(
    "--rate", type=click.FloatRange(0.1, 10_000), default=20.0, show_default=True,
    help="Requests a second of one token, after a burst of five times as many.",
)  # fmt: skip
@click.option(
    "--proxy", metavar="ADDRESS",
    help="Address of a proxy whose X-Forwarded-For header is believed (default: none).",
)  # fmt: skip
@click.option("--dashboard-url", metavar="URL", envvar=DASHBOARD_VARIABLE, show_envvar=True,
              help="Address of the dashboard, for links.")  # fmt: skip
@click.pass_obj
def command(
    settings: Settings,
    host: str,
    port: int,
    max_body: int,
    rate: float,
    proxy: str | None,
    dashboard_url: str | None,
) -> int:
    """Serve the store over HTTP: results in, histories, verdicts and findings out.

    Every request needs a token (`tracker token create`), except /health and /openapi.json. The
    service speaks plain HTTP: put a proxy with TLS before it where others shall reach it.
    """
    try:
        import uvicorn

        from tracker.api.app import make_app
    except ImportError as error:
        raise PacekeeperError(
            f"{error.name} is not installed; install it with: pip install 'pacekeeper[api]'"
        ) from None
    from tracker.api.entrance import Limits

    limits = Limits(body=max_body * 2**20, rate=rate, burst=max(1, round(5 * rate)))
    with _listening(host, port) as listening, Store.open(settings.db) as store:
        config = uvicorn.Config(
            make_app(store, limits=limits, dashboard_url=dashboard_url),
            log_level="warning",
            lifespan="off",
            server_header=False,
            proxy_headers=proxy is not None,
            forwarded_allow_ips=proxy,
            timeout_graceful_shutdown=30,
        )
        shown = f"[{host}]" if ":" in host else host
        click.echo(f"Pacekeeper API: http://{shown}:{listening.getsockname()[1]}")
        uvicorn.Server(config).run(sockets=[listening])
    return 0


def _listening(host: str, port: int) -> socket.socket:
    try:
        ((family, kind, protocol, _, address), *_) = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
        )
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UsageError(f"--host {host!r}: {error.strerror or error}") from None
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(1024)
    except OSError as error:
        listening.close()
        raise UsageError(
            f"cannot listen on {host}:{port} ({error.strerror}); choose another port with --port, "
            "0 for a free one"
        ) from None
    return listening
