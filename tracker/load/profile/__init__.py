"""Where the host's time goes: the calls and lines of one source tree, with exact counts.

Three runs of the same kind of load, each by a tracer of its own, so that none of them distorts the
others' figures: `CallTimer` times every call of a function of the tree (code outside of it belongs to the
line that called it), `LineCounter` counts calls, lines and the sizes of arguments exactly. What they record
is one JSON file that ui.perfetto.dev opens. A launch is asked for it by ``PACEKEEPER_PROFILE``.

Standard library alone: suites of any project can use it.
"""

from tracker.load.profile.calls import CallTimer
from tracker.load.profile.clock import own_clock
from tracker.load.profile.lines import CallNode, LineCounter
from tracker.load.profile.source import SourceTree
from tracker.load.profile.trace_file import (
    FORMAT,
    SUFFIX,
    Step,
    profile_requested,
    write_failure,
    write_trace,
)

__all__ = [
    "FORMAT",
    "SUFFIX",
    "CallNode",
    "CallTimer",
    "LineCounter",
    "SourceTree",
    "Step",
    "own_clock",
    "profile_requested",
    "write_failure",
    "write_trace",
]
