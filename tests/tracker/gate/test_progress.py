"""What somebody waiting for a gate reads, in a log and on a terminal."""

import io
import itertools

import pytest
from rich.console import Console
from rich.live import Live

from tests.tracker.gate.fakes import BASE, HEAD, Lab
from tracker.gate.policy import Policy
from tracker.gate.progress import LiveProgress, PlainProgress
from tracker.gate.session import Session


def watched(lab, make, **options):
    out = io.StringIO()
    console = Console(file=out, width=110, height=40, **options)
    ticks = itertools.count(0, 10)
    with make(console) as listener:
        Session(
            lab, BASE, HEAD, Policy(max_pairs=10), listener=listener,
            clock=lambda: float(next(ticks)),
        ).run()  # fmt: skip
    return out.getvalue()


class Plain(PlainProgress):
    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None


class OnTerminal:
    def __init__(self, console):
        self._live = Live(console=console, auto_refresh=False)
        self._console = console

    def __enter__(self):
        live = self._live.__enter__()
        progress = LiveProgress(self._console, live)
        plain = progress.pair_done

        def pair_done(standing):
            plain(standing)
            live.refresh()

        progress.pair_done = pair_done
        return progress

    def __exit__(self, *told):
        self._live.__exit__(*told)


def test_a_log_gets_a_line_a_pair_with_what_is_left():
    lines = watched(Lab(noise=0.01), Plain).splitlines()
    assert lines[0].startswith("pair 1 after 20 s: 1 pass, 3 undecided")
    assert "to go" not in lines[0]
    assert "; about " in lines[1] and " pairs to go, " in lines[1]
    assert lines[-1].startswith(f"pair {len(lines)} after ") and "to go" not in lines[-1]


def test_a_dropped_pair_says_why():
    numbers = itertools.count()

    class Unsteady(Lab):
        def __call__(self, commit, arm, bench):
            work = {"requests": 4 if next(numbers) else 5}
            self.work = {arm: work}
            return super().__call__(commit, arm, bench)

    lines = watched(Unsteady(), Plain).splitlines()
    assert lines[0].startswith("pair dropped: work differs in suite.A: requests")


@pytest.mark.parametrize("shown", ["undecided", "99% interval", "to go", "track_ttft", "about "])
def test_a_terminal_gets_a_table_of_what_is_undecided(shown):
    text = watched(Lab(noise=0.01), OnTerminal, force_terminal=True)
    assert shown in text


def test_what_is_decided_leaves_the_table():
    text = watched(Lab(noise=0.01), OnTerminal, force_terminal=True)
    assert "track_steps" not in text
