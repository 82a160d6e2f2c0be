"""Statistics of verdicts: pure numbers in, values out; numpy, scipy and nothing else.

* `PairedGate` decides, pair by pair of interleaved launches, whether a metric got worse.
* `detect_change_points` finds level shifts in a history, `ShiftDetector` in one that grows.
* `find_drift` finds a trend of the newest level.
"""

from tracker.stats.changepoints import ALGORITHM, ShiftDetector, detect_change_points
from tracker.stats.drift import DRIFT_ALGORITHM, find_drift
from tracker.stats.looks import can_call, fewest_pairs
from tracker.stats.paired import PairedGate
from tracker.stats.verdict import Verdict

__all__ = [
    "ALGORITHM",
    "DRIFT_ALGORITHM",
    "PairedGate",
    "ShiftDetector",
    "Verdict",
    "can_call",
    "detect_change_points",
    "fewest_pairs",
    "find_drift",
]
