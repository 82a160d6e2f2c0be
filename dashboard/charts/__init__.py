"""Domain values to Altair charts: pure, no Streamlit, no store, no statistics.

Every chart states its unit and direction on the axis, breaks its line where the environment
changed or nothing was measured, and shows a failure as a mark on the axis.
"""

from dashboard.charts.creep import budget_chart
from dashboard.charts.distributions import position_chart, tail_chart
from dashboard.charts.effects import arms_chart, changes_chart, forest_chart
from dashboard.charts.frontier import frontier_chart
from dashboard.charts.history import (
    Look,
    history_chart,
    history_scale,
    is_near,
    overlay_chart,
)
from dashboard.charts.icicle import icicle_chart
from dashboard.charts.launch import panel_chart, phase_chart, request_chart, roofline_chart
from dashboard.charts.reliability import control_chart, record_chart

__all__ = [
    "Look",
    "arms_chart",
    "budget_chart",
    "changes_chart",
    "control_chart",
    "forest_chart",
    "frontier_chart",
    "history_chart",
    "history_scale",
    "icicle_chart",
    "is_near",
    "overlay_chart",
    "panel_chart",
    "phase_chart",
    "position_chart",
    "record_chart",
    "request_chart",
    "roofline_chart",
    "tail_chart",
]
