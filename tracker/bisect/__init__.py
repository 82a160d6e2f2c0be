"""Noisy bisection: which commit between a good and a bad one brought the regression.

Every step is a short gate of one commit against the good one, so that each pair is checked for
validity and stored before the next begins. The same call later continues from what is stored.

* `result`: what a bisection says of each commit, and its outcome.
* `target`: which regression is bisected.
* `pairs`: the pairs of the good commit with others that the store holds.
* `search`: the probabilities of the commits, given those pairs.
* `run`: the loop.
"""

from tracker.bisect.result import Bisected, BisectOutcome, CommitSeen
from tracker.bisect.run import bisect

__all__ = ["BisectOutcome", "Bisected", "CommitSeen", "bisect"]
