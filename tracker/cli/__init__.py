"""The command line: arguments in, exit code out. Each command is a file of this package.

Commands are imported when they are called, so that ``tracker --help`` costs little more than
importing click.
"""

from __future__ import annotations

import errno
import gc
import os
import signal
import sys
from dataclasses import dataclass
from importlib import import_module
from types import FrameType

import click

from tracker.errors import PacekeeperError

__all__ = ["Settings", "cli", "main"]

# name -> one-line help; the command `x-y` lives in tracker/cli/x_y.py as `command`.
COMMANDS = {
    "init": "Set up a repository: settings, a first suite, the pipeline.",
    "demo": "Make a synthetic project and store to look at.",
    "run": "Measure commits on this machine and store the results.",
    "ingest": "Read result files of asv and other tools into the store.",
    "compare": "Show two commits side by side, from the store.",
    "gate": "Measure interleaved pairs of two commits and exit with the verdict.",
    "explain": "Say which function, op or kernel of a commit got slower.",
    "expect": "Record an intended change of a metric, with its reason.",
    "changepoints": "Find level shifts in every series' history.",
    "alerts": "List, show and triage alerts.",
    "bisect": "Name the commit that made a metric worse, with a probability.",
    "calibrate": "Measure the gate's rate of false regressions with A/A gates.",
    "report": "Write the triage report of a week.",
    "schedule": "Run the service that measures new commits and the nightly head.",
    "doctor": "Check whether this machine is fit to measure.",
    "diagnose": "Say where the time is going, with figures and what to do.",
    "plan": "Say which GPU, how many and which weights hold the limits.",
    "ci": "Run the gate in a CI job and report to the CI system.",
    "db": "Maintain the store: upgrade, check, prune, export, import.",
    "serve": "Serve the store over HTTP: results in, verdicts and findings out.",
    "token": "Create, list and revoke tokens of the HTTP service.",
    "mcp": "Offer the store to an agent as tools; read only.",
    "dashboard": "Open the dashboard on the store.",
    "user": "Say who may triage in the dashboard.",
}

DEFAULT_DB = "sqlite:///pacekeeper.db"


@dataclass(frozen=True, slots=True)
class Settings:
    """What every command shares.

    Attributes:
        db: SQLAlchemy URL of the store.
    """

    db: str


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = import_module(f"tracker.cli.{name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            close = get_close_matches(args[0], COMMANDS, n=1)
            if close:
                raise click.UsageError(f"{error.message} Did you mean {close[0]!r}?", ctx) from None
            raise


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--db",
    metavar="URL",
    help=f"URL of the store (default: $PACEKEEPER_DB, or {DEFAULT_DB}).",
)
@click.version_option(package_name="pacekeeper", prog_name="pacekeeper")
@click.pass_context
def cli(ctx: click.Context, db: str | None) -> None:
    """Keep an LLM inference core as fast as it was.

    Exit codes: 0 pass, 1 regression, 2 usage, 3 inconclusive (where the policy blocks on it),
    4 measurement invalid or nothing measured, 5 store or internal error.
    """
    if db == "":  # a script's variable is unset: do not fall back to the default store
        raise click.UsageError("--db is empty; give sqlite:///FILE or postgresql://HOST/NAME", ctx)
    ctx.obj = Settings(db=db or os.environ.get("PACEKEEPER_DB") or DEFAULT_DB)


def main() -> None:
    """Run the command line and exit with its code; SIGTERM ends it as Ctrl-C does, with 143.

    `schedule`, `serve` and `dashboard` put handlers of their own in its place while they serve.
    """
    terminated = False

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal terminated
        if not terminated:  # a second signal must not interrupt the clean-up of child processes
            terminated = True
            raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    # Commands make millions of small values and hardly any cycle; by default Python looks through
    # the newest values after every 700, which takes a quarter of an ingest.
    gc.set_threshold(50_000)
    code = _run()
    sys.exit(128 + signal.SIGTERM if terminated else code)


def _run() -> int:
    try:
        code = cli.main(standalone_mode=False)
    except PacekeeperError as error:
        click.echo(f"error: {error}", err=True)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return 130
    except SystemExit:
        # click and rich exit with 1 when the reader of the output has gone; here 1 means a
        # regression.
        return 128 + signal.SIGPIPE
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            click.echo(f"error: no space left for {error.filename or 'the output'}", err=True)
            return PacekeeperError.exit_code
        # Python would exit with 1, which means a regression here.
        from traceback import print_exc

        print_exc()
        click.echo("error: a fault in Pacekeeper itself; see above", err=True)
        return PacekeeperError.exit_code
    return code if isinstance(code, int) else 0
