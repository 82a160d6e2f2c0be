"""One commit that moved something: what, since when, who is suspected, what was done about it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import streamlit as st

from dashboard import charts, data, explained, figure, scope, tables, url_state, writes
from dashboard.cards import gate_row
from dashboard.groups import label, short_name
from dashboard.markup import Tile, badge_of, code, lines_html, plain, shortened, tiles_html
from dashboard.palette import palette_for
from dashboard.triage_panel import actions, attempt
from dashboard.units import ago, counted, format_date, format_effect, scale_for
from tracker.domain import AlertInfo, JobInfo, JobKind, RevisionInfo
from tracker.errors import UsageError
from tracker.findings import Change, group_by_commit
from tracker.triage import Triaged

WINDOW = 300  # commits in the chart of the worst series


def draw() -> None:
    """Draw the page."""
    here = scope.choose("Finding")
    commit = _chosen(here)
    if commit is None:
        st.info(
            "No commit is known to have moved a series. `tracker changepoints` looks for level "
            "shifts; a finding then stands on Today.",
            icon=":material/search:",
        )
        return
    project = here.project.name
    items = [
        item
        for item in data.triaged(project, commit.commit)
        if here.machine is None or item.finding.machine == here.machine
    ]
    _heading(here, commit)
    _who()
    if not items:
        st.info(
            "No stored level shift stands at this commit: a level that a gate measured may not "
            "have shown in the history yet, or the finding was moved to another commit.",
            icon=":material/info:",
        )
    for number, item in enumerate(items):
        _finding(here, item, number)
    _suspects(here, commit, items)
    explained.draw(here.project.name, commit.commit)
    _gates(here, commit)
    _other_alerts(here, commit, items)


def _chosen(here: scope.Scope) -> RevisionInfo | None:
    """The commit of the URL, else the worst of Today; chosen among the findings that stand."""
    state = data.overview(here.project.name, here.machine)
    listed = group_by_commit(Change(*pair) for pair in (*state.worse, *state.better))
    known = {finding.revision.commit: finding.revision for finding in listed}
    worst = {finding.revision.commit: finding for finding in reversed(listed)}
    wanted = url_state.read("commit")
    if wanted:
        try:
            revision = data.revision(here.project.name, wanted)
        except UsageError as error:
            st.warning(plain(str(error)))
        else:
            known.setdefault(revision.commit, revision)
            wanted = revision.commit
    if not known:
        return None
    current = wanted if wanted in known else next(iter(known))
    url_state.write("commit", current)

    def show(commit: str) -> str:
        parts = [commit[:10], format_date(known[commit].committed_at)]
        if commit in worst:
            parts.append(format_effect(worst[commit].changes[0].shift.effect))
        return " · ".join([*parts, shortened(known[commit].subject or "")]).removesuffix(" · ")

    picked = url_state.select("Commit", list(known), name="commit", current=current, show=show)
    return known[picked]


def _heading(here: scope.Scope, commit: RevisionInfo) -> None:
    st.subheader(plain(commit.subject or commit.commit), anchor=False)
    link = tables.commit_link(here.project.commit_url, commit.commit)
    name = f"[`{commit.commit}`]({link})" if link else f"`{commit.commit}`"
    branch = f" · {plain(commit.branch)}" if commit.branch else ""
    since = f"{commit.committed_at:%Y-%m-%d %H:%M} UTC, {ago(commit.committed_at, _now())}"
    st.markdown(f":small[{name} · {since}{branch}]")


def _who() -> None:
    """Why there are no buttons, where there are none."""
    user = writes.user()
    if not user.may("triager"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f":small[:material/lock: {plain(user.reason)}]")
            st.page_link("app_pages/account.py", label="Account")


def _finding(here: scope.Scope, item: Triaged, number: int) -> None:
    finding = item.finding
    worst = finding.changes[0]
    scale = scale_for(worst.series.unit, [worst.shift.before, worst.shift.after])
    standing = [c for c in finding.changes if not c.shift.recovered]
    st.html(
        tiles_html(
            [
                Tile("Machine", finding.machine),
                Tile(
                    f"Largest, {finding.direction}",
                    format_effect(worst.shift.effect),
                    scale.change(worst.shift.before, worst.shift.after),
                ),
                Tile(
                    "Series moved",
                    str(len(finding.changes)),
                    f"{len(finding.of('worse'))} worse, {len(finding.of('better'))} better, "
                    f"{len(standing)} still there",
                ),
                Tile("Cause", finding.cause, "what changed where the level did"),
                Tile(
                    "Paired run",
                    finding.confirmation or "not judged",
                    "against the commit measured before",
                ),
            ]
        )
    )
    _triage(here, item, number)
    history = data.history(worst.series.id, limit=WINDOW)
    st.page_link(
        "app_pages/series.py",
        label=f"**{plain(label(worst.series))}**",
        query_params=here.link(series=worst.series.id),
    )
    if history.points:
        chart = charts.history_chart(
            history,
            palette_for(st.context.theme.type),
            commit_url=here.project.commit_url,
            height=260,
        )
        figure.show(
            chart,
            key=f"history:{number}",
            name=short_name(worst.series),
            rows=tables.history_table(history),
        )
    frame = tables.changes_frame(finding, here.link())
    st.dataframe(
        frame,
        hide_index=True,
        key=f"changes:{number}",
        column_config={
            "series": st.column_config.LinkColumn("series", display_text="open series"),
            "paired run": st.column_config.TextColumn(
                help="What both commits, measured in turn, say of this series."
            ),
        },
    )


def _triage(here: scope.Scope, item: Triaged, number: int) -> None:
    """The state of a finding, what can be done to it, what the service does for it, its history."""
    finding, alert = item.finding, item.alert
    project, commit = finding.project, finding.revision.commit
    may = writes.user().may("triager")
    with st.container(border=True, gap="small", key=f"state-{number}"):
        if alert is None:
            st.markdown("No alert was opened for this finding.")
            if may and st.button("Open an alert", icon=":material/campaign:", key=f"open:{number}"):
                attempt(lambda: writes.open_alert(project, commit, finding.machine), "alert opened")
        else:
            _state(here, commit, alert, item.merged)
            if may:
                actions([alert], key=f"f{number}")
        _measure(here, item, number, may=may)
        if alert is not None:
            _history(alert)
            if not may and alert.state in ("open", "acked"):
                verb = "ack" if alert.state == "open" else "resolve"
                st.code(f"tracker alerts {verb} {alert.id}", language="bash")


def _state(
    here: scope.Scope, commit: str, alert: AlertInfo, merged: Sequence[AlertInfo] = ()
) -> None:
    """What an alert is in one line, on the page of `commit`."""
    colour, icon = badge_of(alert.state)
    facts = []
    if alert.assignee:
        facts.append(f"assigned to {code(alert.assignee)}")
    if alert.issue:
        facts.append(f"[{plain(shortened(alert.issue, 60))}]({_url(alert.issue)})")
    if alert.until:
        facts.append(f"accepted until {alert.until:%Y-%m-%d %H:%M} UTC")
    if alert.fixed_by:
        link = tables.commit_link(here.project.commit_url, alert.fixed_by)
        name = f"`{alert.fixed_by[:10]}`"
        word = "fixed by" if alert.state == "fixed" else "said to be fixed by"
        facts.append(f"{word} {f'[{name}]({link})' if link else name}")
    if alert.detected is not None and alert.detected.commit != commit:
        facts.append(f"moved here from `{alert.detected.commit[:10]}`")
    facts += [f"with alert {part.id} of {plain(part.machine or 'a gate')}" for part in merged]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(f"alert {alert.id} · {alert.state}", color=colour, icon=icon)  # type: ignore[arg-type]
        if facts:
            st.markdown(f":small[{' · '.join(facts)}]")


def _url(url: str) -> str:
    """A URL inside of Markdown's parentheses."""
    return url.replace("(", "%28").replace(")", "%29").replace("\\", "%5C").replace("<", "%3C")


def _history(alert: AlertInfo) -> None:
    with st.expander(f"History · {counted(len(alert.history) + 1, 'event')}", expanded=True):
        events = [(alert.created_at, "opened", "")]
        events += [(event.at, event.text, event.by or "") for event in alert.history]
        st.html(lines_html((f"{at:%Y-%m-%d %H:%M} UTC", text, by) for at, text, by in events))


_ASK: tuple[tuple[JobKind, str, str, str], ...] = (
    (
        "confirm",
        "Confirm",
        ":material/repeat:",
        "Measure this commit and the one before in turns until the gate decides.",
    ),
    (
        "bisect",
        "Bisect",
        ":material/account_tree:",
        "Measure the commits in between until one of them has the probability to be named.",
    ),
)


def _measure(here: scope.Scope, item: Triaged, number: int, *, may: bool) -> None:
    """What the service was asked to measure for a finding, and the buttons that ask."""
    finding, alert = item.finding, item.alert
    project, commit, machine = finding.project, finding.revision.commit, finding.machine
    alert_id = alert.id if alert is not None else None
    before = data.before(project, item)
    if may and before is not None:
        with st.container(horizontal=True, gap="small", key=f"ask-{number}"):
            for kind, label_, icon, help_ in _ASK:
                if st.button(label_, icon=icon, help=help_, key=f"ask:{number}:{kind}"):
                    attempt(
                        lambda kind=kind: writes.ask_for(kind, project, commit, machine, alert_id),
                        f"{kind}: queued for the service on {machine}",
                    )
            if alert is not None and alert.state in ("open", "acked", "expected"):
                with st.popover("Fixed by", icon=":material/build:", key=f"fix:{number}"):
                    _fix(project, commit, machine, alert.id, number)
    for job in data.jobs(project, commit):
        if job.machine == machine and job.arguments.get("alert") in (None, alert_id):
            _job(here, job)


def _fix(project: str, commit: str, machine: str, alert_id: int, number: int) -> None:
    with st.form(f"fix-form:{number}", border=False):
        fix = st.text_input("Commit that fixes it", placeholder="hash", key=f"fix-hash:{number}")
        st.caption(
            "The service measures it against the last commit of the old level. The alert becomes "
            "*fixed* only if the pairs say so."
        )
        if st.form_submit_button("Check the fix"):
            attempt(
                lambda: writes.check_fix(project, commit, machine, alert_id, fix),
                f"check of {fix.strip()[:12]}: queued for the service on {machine}",
            )


def _job(here: scope.Scope, job: JobInfo) -> None:
    colour, icon = badge_of(job.state)
    asked = f"asked by {code(job.asked_by)} {ago(job.asked_at, _now())}"
    waits = " · `tracker schedule` on that machine takes it" if job.state == "queued" else ""
    again = f" · attempt {job.attempts}" if job.attempts > 1 else ""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(f"{job.kind} · {job.state}", color=colour, icon=icon)  # type: ignore[arg-type]
        st.markdown(f":small[{asked}{again}{waits}]")
        if job.gate_id:
            st.page_link(
                "app_pages/gates.py", label="its gate", query_params=here.link(gate=job.gate_id)
            )
    if job.result:
        st.markdown(f":small[{plain(job.result)}]")


def _suspects(here: scope.Scope, commit: RevisionInfo, items: Sequence[Triaged]) -> None:
    before = _before(here, items)
    if before is None:
        return
    suspects = data.suspects(here.project.name, before.commit, commit.commit)
    st.subheader(f"Suspects · {counted(len(suspects), 'commit')}", anchor=False)
    frame = tables.revisions_frame(suspects, here.project.commit_url)
    st.dataframe(
        frame,
        hide_index=True,
        key="suspects",
        column_config={"link": st.column_config.LinkColumn("open", display_text="open commit")},
    )
    st.caption(
        f"Everything stored between the last commit of the old level, {before.commit[:10]}, and the "
        "first of the new one."
    )
    if any(revision.author is None for revision in suspects):
        st.caption(
            "Authors are stored when `tracker run` or `tracker ingest` sees the repository; git "
            "has them all:"
        )
        st.code(
            f"git log --format='%h %an  %s' {before.commit[:12]}..{commit.commit[:12]}",
            language="bash",
        )
    st.page_link(
        "app_pages/compare.py",
        label="Compare the two commits",
        icon=":material/compare_arrows:",
        query_params=here.link(base=before.commit, head=commit.commit),
    )


def _before(here: scope.Scope, items: Sequence[Triaged]) -> RevisionInfo | None:
    """The newest of the commits that the findings are measured against."""
    known = [data.before(here.project.name, item) for item in items]
    revisions = [revision for revision in known if revision is not None]
    return max(revisions, key=lambda revision: revision.committed_at, default=None)


def _gates(here: scope.Scope, commit: RevisionInfo) -> None:
    gates = data.gates(here.project.name, head=commit.commit)
    if not gates:
        return
    st.subheader("Paired runs of this commit", anchor=False)
    for gate in gates:
        gate_row(here, gate)


def _other_alerts(here: scope.Scope, commit: RevisionInfo, items: Sequence[Triaged]) -> None:
    """Alerts that no finding of this page shows: a gate opened them, or they were moved away."""
    shown = {alert.id for item in items for alert in (item.alert, *item.merged) if alert}
    others = [
        alert
        for alert in data.alerts(here.project.name, commit.commit)
        if alert.id not in shown and here.machine in (None, alert.machine)
    ]
    if not others:
        return
    may = writes.user().may("triager")
    st.subheader("Other alerts of this commit", anchor=False)
    for alert in others:
        with st.container(border=True, key=f"other-{alert.id}"):
            _state(here, commit.commit, alert)
            st.markdown(f"**{plain(alert.title)}**")
            for line in alert.detail.splitlines():
                st.markdown(f":small[{plain(line)}]")
            placed = alert.revision
            if placed is not None and placed.commit != commit.commit:
                st.page_link(
                    "app_pages/finding.py",
                    label=f"moved to {placed.commit[:10]} {plain(placed.subject or '')}",
                    query_params=here.link(commit=placed.commit),
                )
            elif may and alert.merged_into is None:
                actions([alert], key=f"o{alert.id}")
            _history(alert)
            if not may and alert.state in ("open", "acked"):
                verb = "ack" if alert.state == "open" else "resolve"
                st.code(f"tracker alerts {verb} {alert.id}", language="bash")


def _now() -> datetime:
    return datetime.now(UTC)


draw()
