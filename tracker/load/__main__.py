"""Send a scenario to an OpenAI-compatible server and print its metrics: ``python -m tracker.load``.

Exit codes: 0 measured; 2 usage; 4 nothing measured, or what was measured is not valid.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tracker.errors import MeasurementError, PacekeeperError
from tracker.load.http import Endpoint, Lag
from tracker.load.http.reply import CountTokens
from tracker.load.run import run_scenario
from tracker.load.scenario import Scenario
from tracker.load.show import as_json, as_text
from tracker.load.spec import read_scenarios, scenario_of


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse ``arguments`` (None: the command line's), run, and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        endpoint = Endpoint(
            url=options.url,
            model=options.model,
            api="chat" if options.chat else "completions",
            stream=not options.no_stream,
            api_key_env=options.api_key_env,
            ca=options.ca,
            processes=options.processes,
            vocab_size=options.vocab_size,
            count_tokens=None if options.tokenizer is None else _counter(options.tokenizer),
            lag=Lag(options.max_lag_ms / 1e3, options.max_lag_share),
        )
        results = {
            name: run_scenario(name, scenario, endpoint, directory=options.out)
            for name, scenario in _scenarios(options).items()
        }
    except PacekeeperError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    for name, result in results.items():
        sys.stdout.write(as_json(name, result) if options.json else as_text(name, result))
        for failure in result.failures:
            sys.stderr.write(f"{name}: request failed: {failure}\n")
        if result.void is not None:
            sys.stderr.write(f"{name}: not valid: {result.void}\n")
    void = any(result.void is not None for result in results.values())
    return MeasurementError.exit_code if void else 0


def _scenarios(options: argparse.Namespace) -> dict[str, Scenario]:
    if options.scenarios is not None:
        return read_scenarios(options.scenarios)
    if options.burst is not None:
        load = {"rate": options.rate, "burst": options.burst}
    elif options.rate is not None:
        load = {"rate": options.rate}
    else:
        load = {"concurrency": options.concurrency}
    table = {
        "requests": options.requests,
        "prompt": options.prompt,
        "output": options.output,
        "text": options.text or options.chat,
        "natural_end": options.natural_end,
        "limit": options.limit,
        "seed": options.seed,
        "load": load,
    }
    return {"load": scenario_of("load", table)}


def _counter(directory: Path) -> CountTokens:
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise MeasurementError(
            "--tokenizer needs the package tokenizers: pip install it"
        ) from error
    try:
        tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    except Exception as error:  # what the library raises is a bare Exception
        raise MeasurementError(
            f"{directory}: no tokenizer.json that can be read: {error}"
        ) from error
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tracker.load",
        description="Send a scenario to an OpenAI-compatible server and print its metrics.",
        epilog="exit codes: 0 measured, 2 usage, 4 nothing measured or not valid",
    )
    add = parser.add_argument
    add("url", help="of the server: http://127.0.0.1:8000")
    add("--model", help="the server's name of it; default: the only one it serves")
    add("--chat", action="store_true", help="use /v1/chat/completions; prompts are text")
    add("--no-stream", action="store_true", help="ask for whole replies")
    add("--scenarios", type=Path, metavar="FILE", help="TOML or JSON with [scenarios.NAME] tables")
    add("--requests", type=int, default=32)
    add("--prompt", type=int, default=64, help="tokens, or words with --text (default: 64)")
    add("--output", type=int, default=32, help="tokens (default: 32)")
    add("--text", action="store_true", help="prompts are English text, not random token ids")
    add("--natural-end", action="store_true", help="outputs may end before their length")
    add("--concurrency", type=int, default=1, help="requests in flight (default: 1)")
    add("--rate", type=float, help="Poisson arrivals a second instead")
    add("--burst", type=int, help="with --rate: that many arrive at once")
    add("--limit", type=float, default=120.0, help="seconds after which the load ends")
    add("--seed", type=int, default=0)
    add("--processes", type=int, default=1, help="client processes that share the load")
    add("--api-key-env", metavar="NAME", help="environment variable that holds the key")
    add("--ca", metavar="FILE", help="certificates to trust")
    add("--vocab-size", type=int, help="token ids are drawn below it")
    add("--tokenizer", type=Path, metavar="DIR", help="counts tokens where the server does not")
    add("--max-lag-ms", type=float, default=1.0, help="client lag that is always accepted")
    add("--max-lag-share", type=float, default=0.02, help="and its share of the median latency")
    add("--out", type=Path, metavar="DIR", help="write the launch artifact there")
    add("--json", action="store_true", help="print one line of JSON for each scenario")
    return parser


if __name__ == "__main__":
    sys.exit(main())
