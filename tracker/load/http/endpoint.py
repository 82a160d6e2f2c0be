"""An OpenAI-compatible server as the target of a load."""

from __future__ import annotations

import asyncio
import gc
import os
import ssl
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp

from tracker.errors import MeasurementError, UsageError
from tracker.fingerprint import collect
from tracker.load.address import is_local
from tracker.load.drive import Drive
from tracker.load.http.client import Exchange, HttpSession, open_session
from tracker.load.http.drive import drive_http, read_reply
from tracker.load.http.lag import Lag, client_bound
from tracker.load.http.loop import ReadDelay, measured_loop
from tracker.load.http.payload import OPTIONAL, Api, Payload, Turns
from tracker.load.http.prometheus import parse, server_metrics
from tracker.load.http.reply import CountTokens, Reply
from tracker.load.http.server import ServerInfo, ask, get, refused_fields
from tracker.load.http.workers import drive_in_processes
from tracker.load.metrics import quantile
from tracker.load.nvml import open_gpus, visible_uuids
from tracker.load.records import LoadRequest, RequestRecord
from tracker.load.scenario import Scenario
from tracker.load.target import Observation
from tracker.load.telemetry import Readable

__all__ = ["Endpoint", "HttpTarget"]

T = TypeVar("T")
SCRAPE_INTERVAL = 1.0  # seconds
_PATHS: dict[Api, str] = {"completions": "/v1/completions", "chat": "/v1/chat/completions"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where to send a load, and how. Calling it opens a target: ``run_scenario(..., endpoint)``.

    Attributes:
        url: Of the server, with or without a final ``/v1``.
        model: The server's name of it; None: the only one it serves.
        api: ``"completions"`` or ``"chat"``.
        stream: Ask for events; without, there is no time to first token.
        api_key_env: Environment variable that holds the key, sent as a bearer token.
        headers: Sent with every request.
        extra: More fields of every request's body.
        processes: Client processes that share the load; more where one is the limit.
        vocab_size: Random token ids are drawn below it; None: what the server says, else 1,000.
        count_tokens: Counts the tokens of a text, for servers that report no usage.
        ca: File with the certificates to trust; None: the system's.
        lag: How late the client may be before the load is void.
        server_args: The server's command line, for the fingerprint.
        server_is_measured: The server is built from the measured commit: its version is then a
            result of the code and stays out of the fingerprint.
    """

    url: str
    model: str | None = None
    api: Api = "completions"
    stream: bool = True
    api_key_env: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    processes: int = 1
    vocab_size: int | None = None
    count_tokens: CountTokens | None = None
    ca: str | None = None
    lag: Lag = field(default_factory=Lag)
    server_args: str | None = None
    server_is_measured: bool = False

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"{self.url!r} is not the URL of a server; give http://HOST:PORT")
        if self.api not in _PATHS:
            raise UsageError(f"api is {self.api!r}; give 'completions' or 'chat'")
        if self.processes < 1:
            raise UsageError(f"processes is {self.processes}; give at least 1")

    @property
    def base(self) -> str:
        """The URL without ``/v1``."""
        return self.url.rstrip("/").removesuffix("/v1").rstrip("/")

    @property
    def target_url(self) -> str:
        """Where requests are posted."""
        return self.base + _PATHS[self.api]

    def all_headers(self) -> dict[str, str]:
        """Return the headers of every request, the key among them.

        Raises:
            UsageError: The variable for the key is not set.
        """
        headers = dict(self.headers)
        if self.api_key_env is not None:
            key = os.environ.get(self.api_key_env)
            if not key:
                raise UsageError(f"the environment variable {self.api_key_env} holds no key")
            headers["Authorization"] = f"Bearer {key}"
        return headers

    def connector(self) -> aiohttp.BaseConnector:
        """Return new connections without a limit on their number; call it inside a loop."""
        if self.ca is None:
            return aiohttp.TCPConnector(limit=0)
        try:
            trusted = ssl.create_default_context(cafile=self.ca)
        except OSError as error:
            raise UsageError(f"{self.ca}: cannot be read as certificates: {error}") from error
        return aiohttp.TCPConnector(limit=0, ssl=trusted)

    def __call__(self, scenario: Scenario) -> HttpTarget:
        """Connect to the server for ``scenario``.

        Raises:
            MeasurementError: Nothing answers there, or it refuses; says why.
            UsageError: The server has no such model.
        """
        return HttpTarget(self, scenario)


class HttpTarget:
    """A connected server; a ``tracker.load.target.Target``."""

    def __init__(
        self,
        endpoint: Endpoint,
        scenario: Scenario,
        *,
        loop: asyncio.AbstractEventLoop | None = None,
        clock: Callable[[], float] = time.perf_counter,
        connector: Callable[[], aiohttp.BaseConnector] | None = None,
        spin: float | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._scenario = scenario
        self._clock = clock
        self._spin = {} if spin is None else {"spin": spin}
        delay: ReadDelay | None = None
        self._own_loop = loop is None
        if loop is None:
            loop, delay = measured_loop()
        self._loop = loop
        self._session: HttpSession | None = None
        self._scrapes: list[str] = []
        self._has_metrics = True
        self._timed = False
        self.gpus: Sequence[Readable] = ()
        self.num_serving: int | None = None
        try:
            self._session = self._run(
                _opened(endpoint, clock, delay, connector or endpoint.connector)
            )
            self._server = self._run(ask(self._session, endpoint.base, endpoint.model))
            self._payload = self._run(self._negotiate())
        except BaseException:
            self.close()
            raise
        self.gpus = open_gpus(visible_uuids()) if is_local(endpoint.url) else []
        self.vocab_size = endpoint.vocab_size or self._server.vocab_size or 1_000

    @property
    def server(self) -> ServerInfo:
        """What answers at the URL."""
        return self._server

    def drive(self, requests: Sequence[LoadRequest], concurrency: int | None) -> Drive:
        """Run the requests to their ends; in several processes for the timed part."""
        if not requests:
            now = self._clock()
            return Drive(now, now, (), (), ())
        if self._timed and self._endpoint.processes > 1:
            work = drive_in_processes(
                self._endpoint, self._payload, requests, concurrency, self._scenario.limit
            )
        else:
            work = self._drive_here(requests, concurrency)
        if self._timed:
            work = self._while_scraping(work)
        # A collection of garbage would stop the client in the middle of a stream.
        collecting = gc.isenabled()
        gc.disable()
        try:
            began, done = self._run(work)
        finally:
            if collecting:
                gc.enable()
        return self._collect(requests, began, done)

    def begin(self) -> None:
        """Start the timed part; the server's own metrics are read before, during and after it."""
        self._timed = True
        self._run(self._scrape())

    def finish(self, warm: Drive, done: Drive) -> Observation:
        """Return what the client and the server say of the timed part."""
        self._run(self._scrape())
        lags = [r.lag for r in done.records if r.lag is not None]
        delays = [delay for r in done.records for delay in r.read_delays]
        metrics = {
            **server_metrics([parse(text) for text in self._scrapes]),
            "client_lag_p99": quantile(lags, 0.99),
            "client_read_delay_p99": quantile(delays, 0.99),
        }
        facts = collect()
        return Observation(
            metrics=metrics,
            counters={},
            engine=self._described(done.records),
            fingerprint=self._fingerprint(facts),
            client_bound=client_bound(done.records, self._endpoint.lag, self._endpoint.processes),
        )

    def close(self) -> None:
        """Close the connections, and the event loop unless it was given."""
        if self._loop.is_closed():
            return
        for gpu in self.gpus:
            gpu.close()
        if self._session is not None:
            self._run(self._session.http.close())
        if self._own_loop:
            self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(work)

    async def _negotiate(self) -> Payload:
        """Send one short request and leave out the optional fields that the server refuses."""
        scenario = self._scenario
        payload = Payload(
            api=self._endpoint.api,
            model=self._server.model,
            stream=self._endpoint.stream,
            temperature=scenario.temperature,
            ignore_eos=not scenario.natural_end,
            seed=scenario.seed,
            extra=dict(self._endpoint.extra),
        )
        text = self._endpoint.api == "chat" or getattr(scenario.workload, "text", False)
        probe = LoadRequest(0, "Hello" if text else (1, 2, 3), 2)
        assert self._session is not None
        try:
            refused = await asyncio.wait_for(
                refused_fields(
                    self._session,
                    self._endpoint.target_url,
                    lambda without: replace(payload, refused=without).body(probe, Turns([probe])),
                    OPTIONAL,
                ),
                scenario.limit,
            )
        except TimeoutError as error:
            raise MeasurementError(
                f"{self._endpoint.target_url}: no reply to a first request of two tokens within "
                f"{scenario.limit:g} s"
            ) from error
        return replace(payload, refused=refused)

    async def _drive_here(
        self, requests: Sequence[LoadRequest], concurrency: int | None
    ) -> tuple[float, dict[int, Exchange]]:
        assert self._session is not None
        return await drive_http(
            self._session,
            self._endpoint.target_url,
            requests,
            self._payload.body,
            concurrency=concurrency,
            limit=self._scenario.limit,
            streamed=self._endpoint.stream,
            **self._spin,
        )

    async def _while_scraping(self, work: Coroutine[Any, Any, T]) -> T:
        async def scrape() -> None:
            while True:
                await asyncio.sleep(SCRAPE_INTERVAL)
                await self._scrape()

        scraper = asyncio.ensure_future(scrape())
        try:
            return await work
        finally:
            scraper.cancel()

    async def _scrape(self) -> None:
        """Keep the text of the server's metrics; a server that has none is not asked again."""
        assert self._session is not None
        if not self._has_metrics:
            return
        try:
            status, body = await get(self._session, f"{self._endpoint.base}/metrics")
        except MeasurementError:
            return  # the server may be down by now; its requests say so
        if status == 200:
            self._scrapes.append(body.decode("utf-8", "replace"))
        self._has_metrics = status == 200

    @property
    def _fixed_length(self) -> bool:
        """Whether outputs have exactly the length that was asked for."""
        return not self._scenario.natural_end and "ignore_eos" not in self._payload.refused

    def _collect(
        self, requests: Sequence[LoadRequest], began: float, done: Mapping[int, Exchange]
    ) -> Drive:
        replies = {
            r.index: read_reply(
                done[r.index],
                streamed=self._endpoint.stream,
                count_tokens=self._endpoint.count_tokens,
            )
            for r in requests
        }
        turns = Turns(requests)
        for request in requests:
            reply = replies[request.index]
            turns.add(request.index, reply.text, reply.token_ids)
        records = tuple(self._record(r, began, done[r.index], replies[r.index]) for r in requests)
        return Drive(
            started=began,
            ended=max(item.ended or item.scheduled for item in done.values()),
            records=records,
            prompts=tuple(_prompt_of(r, turns, self._endpoint.api) for r in requests),
            outputs=tuple(
                reply.text if reply.token_ids is None else reply.token_ids
                for reply in replies.values()
            ),
        )

    def _record(
        self, request: LoadRequest, began: float, item: Exchange, reply: Reply
    ) -> RequestRecord:
        def since(times: Sequence[float]) -> tuple[float, ...]:
            return tuple(at - began for at in times)

        prompt_tokens = reply.prompt_tokens
        if (
            prompt_tokens is None
            and not isinstance(request.prompt, str)
            and request.follows is None
        ):
            prompt_tokens = len(request.prompt)
        failure = None if item.cancelled else reply.failure
        finish = reply.finish_reason or (None if failure else "[DONE]")
        late = 0.0 if item.sent is None else item.sent - item.scheduled
        return RequestRecord(
            index=request.index,
            prompt_tokens=prompt_tokens,
            expected_tokens=request.max_tokens if self._fixed_length else None,
            submitted=item.scheduled - began,
            token_times=since(reply.token_times),
            finish_reason=finish,
            cached_tokens=reply.cached_tokens,
            error=None if failure is None else str(failure),
            error_kind=None if failure is None else failure.kind,
            chunk_times=since(reply.chunk_times),
            num_tokens=reply.output_tokens,
            streamed=self._endpoint.stream,
            first_answer=None if reply.first_answer is None else reply.first_answer - began,
            lag=late + (item.delays[0] if item.delays else 0.0),
            read_delays=tuple(item.delays),
            cancelled=item.cancelled,
        )

    def _described(self, records: Sequence[RequestRecord]) -> dict[str, Any]:
        server, endpoint = self._server, self._endpoint
        errors = Counter(r.failure_kind for r in records if r.failure_kind is not None)
        notes = [f"the server does not take {name}" for name in sorted(self._payload.refused)]
        if not self._scenario.natural_end and not self._fixed_length:
            notes.append("outputs end where the model ends them: their lengths were not checked")
        if any(r.output_tokens is None for r in records):
            notes.append("the server reports no number of output tokens")
        return {
            "server": server.kind,
            "version": server.version,
            "model": server.model,
            "settings": server.settings,
            "url": redacted(endpoint.target_url),
            "stream": endpoint.stream,
            "client": f"aiohttp {aiohttp.__version__}",
            "processes": endpoint.processes,
            "connections": "kept alive and used again",
            "errors": dict(sorted(errors.items())),
            "notes": notes,
        }

    def _fingerprint(self, facts: Any) -> dict[str, Any]:
        plain = {name: getattr(facts, name) for name in facts.__dataclass_fields__}
        server = self._server
        extra = {
            "server": server.kind,
            "server_args": self._endpoint.server_args,
            "client": f"aiohttp {aiohttp.__version__}",
            "client_processes": str(self._endpoint.processes),
            "gpus": ", ".join(gpu.uuid for gpu in self.gpus) or None,
        }
        if not self._endpoint.server_is_measured:
            extra["server_version"] = server.version
        return {**plain, "extra": {k: v for k, v in sorted(extra.items()) if v is not None}}


async def _opened(
    endpoint: Endpoint,
    clock: Callable[[], float],
    delay: ReadDelay | None,
    connector: Callable[[], aiohttp.BaseConnector],
) -> HttpSession:
    return open_session(endpoint.all_headers(), clock, delay, connector())


def _prompt_of(request: LoadRequest, turns: Turns, api: Api) -> tuple[int, ...] | str:
    if api == "chat":
        return "\n".join(message["content"] for message in turns.messages(request))
    return turns.prompt(request)


def redacted(url: str) -> str:
    """Return ``url`` without a user's name and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
