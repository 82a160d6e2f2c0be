"""Sends the messages that are due: each stage of an alert to each place, at least once.

What is to be sent is written down first. A process holds a message while it sends it, so that no
other sends it too; where it is killed, the next one sends it again with the same key, by which the
receiver knows it: an issue is found by its marker, mail by its Message-ID, a webhook's by its header.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tracker.alerts.config import AlertsConfig
from tracker.alerts.context import context_of
from tracker.alerts.failure import DeliveryError
from tracker.alerts.message import message_of, stages_of
from tracker.alerts.sinks import CONSOLE, Sink
from tracker.domain import AlertInfo, DeliveryInfo
from tracker.store import Store, queries
from tracker.triage import ALL_STATES

__all__ = ["Failure", "send_due", "wanted_deliveries"]

LEASE = timedelta(minutes=5)  # longer than any sink takes
_FIRST_WAIT, _LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=1)

Wanted = tuple[int, str, str]  # alert, sink, stage


@dataclass(frozen=True, slots=True)
class Failure:
    """A delivery that one sink refused. It stays in the store, and the alert's history states it."""

    alert_id: int
    sink: str
    reason: str

    def __str__(self) -> str:
        return f"alert {self.alert_id} was not delivered to {self.sink}: {self.reason}"


def send_due(
    store: Store, project: str, config: AlertsConfig, sinks: Sequence[Sink], *, now: datetime
) -> list[Failure]:
    """Plan what is to be sent and send what is due; never raises for a sink.

    A sink that failed is not tried again in the same call: ten alerts to a dead server would
    otherwise block the measuring machine for minutes. It is tried again after a minute, then
    after twice as long each time, up to an hour.
    """
    alerts = {a.id: a for a in queries.list_alerts(store, project, states=ALL_STATES)}
    known = queries.list_deliveries(store, project)
    wanted = wanted_deliveries(
        alerts.values(), known, [sink.name for sink in sinks], config, now=now
    )
    waiting = [d for d in known if d.state == "waiting"]
    dropped = [d.id for d in waiting if (d.alert_id, d.sink, d.stage) not in wanted]
    planned = {(d.alert_id, d.sink, d.stage) for d in known if d.state != "dropped"}
    if dropped or wanted - planned:
        store.plan_deliveries(wanted, dropped=dropped, now=now)
        known = queries.list_deliveries(store, project)
    by_name = {sink.name: sink for sink in sinks if _may_send(sink.name, known, config, now)}
    references = {(d.alert_id, d.sink): d.reference for d in known if d.reference}
    failures: list[Failure] = []
    broken: dict[str, str] = {}
    for delivery in known:
        sink = by_name.get(delivery.sink)
        if sink is None or delivery.state != "waiting" or delivery.next_at > now:
            continue
        if not store.claim_delivery(delivery.id, now=now, lease=LEASE):
            continue  # another process is sending it
        alert = alerts[delivery.alert_id]
        try:
            if sink.name in broken:
                raise DeliveryError(broken[sink.name])
            lines, chart = context_of(
                store, alert, dashboard_url=os.environ.get("PACEKEEPER_DASHBOARD_URL")
            )
            message = message_of(alert, delivery.stage, now=now, lines=lines, chart=chart)
            reference = sink.send(message, references.get((alert.id, sink.name)))
        except DeliveryError as error:
            broken[sink.name] = str(error)
            failures.append(Failure(alert.id, sink.name, str(error)))
            next_at = now + min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(delivery.attempts, 10))
            store.fail_delivery(delivery.id, str(error), next_at=next_at, now=now)
        else:
            store.finish_delivery(delivery.id, reference=reference, now=now)
            if reference is not None:
                references[alert.id, sink.name] = reference
    return failures


def wanted_deliveries(
    alerts: Iterable[AlertInfo],
    known: Iterable[DeliveryInfo],
    sinks: Sequence[str],
    config: AlertsConfig,
    *,
    now: datetime,
) -> set[Wanted]:
    """Return every delivery that should be made or was made, by what is known of earlier ones. Pure.

    A place that got nothing about an alert gets no escalation and no end of it.
    """
    reached: dict[tuple[int, str], set[str]] = defaultdict(set)
    recorded = set()
    for delivery in known:
        recorded.add(delivery.alert_id)
        if delivery.state == "delivered":
            reached[delivery.alert_id, delivery.sink].add(delivery.stage)
    wanted = set()
    for alert in alerts:
        for stage in stages_of(alert, config, now=now):
            for sink in sinks:
                got = reached[alert.id, sink]
                if stage == "opened" and alert.id not in recorded and _sent_before(alert):
                    continue
                if stage.startswith(("escalated", "closed")) and not got:
                    continue
                if stage.startswith("escalated") and sink == CONSOLE:
                    continue
                wanted.add((alert.id, sink, stage))
    return wanted


def _sent_before(alert: AlertInfo) -> bool:
    """Whether a version without a record of deliveries sent it."""
    tries = [e.action for e in alert.history if e.action in ("delivered", "undelivered")]
    return tries[-1:] == ["delivered"]


def _may_send(
    sink: str, known: Iterable[DeliveryInfo], config: AlertsConfig, now: datetime
) -> bool:
    """Whether neither quiet hours nor the cool-down keep a place from messages now."""
    if sink == CONSOLE:
        return True
    if config.is_quiet(now):
        return False
    last = max(
        (d.finished_at for d in known
         if d.sink == sink and d.state == "delivered" and d.finished_at is not None),
        default=None,
    )  # fmt: skip
    return last is None or now - last >= timedelta(minutes=config.cooldown_minutes)
