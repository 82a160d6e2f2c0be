"""Alerts: a new regression opens one alert per commit, which is sent once and then triaged.

* `notify(store, project, config)` after change points were found.
* `alert_for_gate(store, gate, config)` after a gate has finished.
* `AlertsConfig`: the `[alerts]` table of pacekeeper.toml, which is `load_policy().alerts`.
"""

from tracker.alerts.config import AlertsConfig, alerts_config
from tracker.alerts.rules import NewAlert, alert_key, gate_alert, new_alerts
from tracker.alerts.service import Notified, alert_for_gate, move_alert, notify

__all__ = [
    "AlertsConfig",
    "NewAlert",
    "Notified",
    "alert_for_gate",
    "alert_key",
    "alerts_config",
    "gate_alert",
    "move_alert",
    "new_alerts",
    "notify",
]
