"""Alerts: a new regression opens one alert per commit, which is sent once and then triaged.

* `notify(store, project, config)` after change points were found.
* `alert_for_gate(store, gate, config)` after a gate has finished.
* `AlertsConfig`: the `[alerts]` table of pacekeeper.toml, which is `load_policy().alerts`.
"""

from tracker.alerts.config import AlertsConfig, alerts_config
from tracker.alerts.rules import NewAlert, gate_alert, new_alerts
from tracker.alerts.service import Notified, alert_for_finding, alert_for_gate, notify

__all__ = [
    "AlertsConfig",
    "NewAlert",
    "Notified",
    "alert_for_finding",
    "alert_for_gate",
    "alerts_config",
    "gate_alert",
    "new_alerts",
    "notify",
]
