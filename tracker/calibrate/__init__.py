"""A/A gates through the real gate: how often they call a false regression, and how noisy metrics are.

* `result`: what the gates of a calibration show.
* `blocks`: the A/A gates that the store holds, and the blocks they are counted in.
* `noise`: the noise of each metric in them.
* `run`: the loop.
"""

from tracker.calibrate.result import Calibration, MetricNoise
from tracker.calibrate.run import calibrate

__all__ = ["Calibration", "MetricNoise", "calibrate"]
