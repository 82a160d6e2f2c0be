"""`tracker dashboard`: the Streamlit app on the store, in a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import webbrowser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlencode

import click

from tracker.cli import Settings
from tracker.errors import PacekeeperError, UsageError, did_you_mean

START_TIMEOUT = 60.0  # seconds until the server must listen


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8501, show_default=True,
              help="Port to listen on; 0 chooses a free port.")  # fmt: skip
@click.option("--address", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--no-browser", is_flag=True, help="Do not open the page in a browser.")
@click.option("--project", help="Project to show first.")
@click.pass_obj
def command(
    settings: Settings, port: int, address: str, no_browser: bool, project: str | None
) -> int:
    """Open the dashboard of the store; Ctrl-C ends it.

    Exits 2 for an unknown project or a port in use, 5 if the store is missing or cannot be read.
    """
    url = absolute_url(settings.db)
    _check_store(url, project)
    port = _free_port(address, port)
    query = f"?{urlencode({'project': project})}" if project else ""
    shown = "127.0.0.1" if address in ("0.0.0.0", "::") else address
    page = f"http://{shown}:{port}/{query}"
    server = subprocess.Popen(
        streamlit_arguments(address, port),
        env={**os.environ, "PACEKEEPER_DB": url},
        # Streamlit greets on stdout; our own line says the URL once it answers.
        stdout=subprocess.DEVNULL,
    )
    previous = signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    try:
        if not _listening(server, shown, port):
            raise PacekeeperError(
                "the dashboard's server did not start; its messages stand above "
                f"(python -m streamlit, exit code {server.poll()})"
            )
        click.echo(f"Pacekeeper dashboard: {page}")
        click.echo("Press Ctrl-C to end it.", err=True)
        if not no_browser:
            threading.Thread(target=webbrowser.open, args=(page,), daemon=True).start()
        code = server.wait()
    except KeyboardInterrupt:
        code = 0
    finally:
        signal.signal(signal.SIGTERM, previous)
        _end(server)
    return 0 if code in (0, -signal.SIGTERM, -signal.SIGINT) else 5


def absolute_url(url: str) -> str:
    """Return the store's URL with a SQLite file's path made absolute, for another process."""
    prefix = "sqlite:///"
    name, mark, query = url.removeprefix(prefix).partition("?")
    if not url.startswith(prefix) or not name or name.startswith((":memory:", "file:")):
        return url
    return f"{prefix}{Path(name).absolute()}{mark}{query}"


def script() -> Path:
    """Return the path of the installed `dashboard/server.py`.

    Raises:
        PacekeeperError: The dashboard or Streamlit is not installed.
    """
    spec = find_spec("dashboard")
    places = list(spec.submodule_search_locations or []) if spec else []
    scripts = [Path(place) / "server.py" for place in places]
    for path in scripts:
        if path.is_file():
            return path
    raise PacekeeperError("the dashboard is not installed; install it with: pip install pacekeeper")


def streamlit_arguments(address: str, port: int) -> list[str]:
    """Return the command line that starts the server; colours come from beside the script."""
    path = script()
    if find_spec("streamlit") is None:
        raise PacekeeperError("streamlit is not installed; install it with: pip install streamlit")
    return [
        sys.executable, "-m", "streamlit", "run", str(path),
        "--server.headless", "true",
        "--server.address", address,
        "--server.port", str(port),
        "--server.fileWatcherType", "none",
        "--browser.gatherUsageStats", "false",
    ]  # fmt: skip


def _check_store(url: str, project: str | None) -> None:
    from tracker.store import Store, queries

    if url in ("sqlite://", "sqlite:///:memory:"):
        raise UsageError(f"{url}: a store in memory cannot be shown; give a file or a server")
    with Store.open(url, read_only=True) as store:
        names = [info.name for info in queries.list_projects(store)]
    if project is not None and project not in names:
        raise UsageError(f"no project {project!r} in the store; {did_you_mean(project, names)}")


def _free_port(address: str, port: int) -> int:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As the server does: a port that only lingers from a process that ended is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except PermissionError:
            raise UsageError(f"port {port} needs root; choose one above 1023 with --port") from None
        except OSError as error:
            raise UsageError(
                f"cannot listen on {address}:{port} ({error.strerror}); "
                "is a dashboard open already? Choose another port with --port, 0 for a free one"
            ) from None
        chosen: int = probe.getsockname()[1]
        return chosen


def _listening(server: subprocess.Popen[bytes], address: str, port: int) -> bool:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with socket.create_connection((address, port), timeout=1):
                return True
        except OSError:
            time.sleep(0.1)
    return False


def _end(server: subprocess.Popen[bytes]) -> None:
    if server.poll() is not None:
        return
    server.terminate()
    try:
        server.wait(timeout=5)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
