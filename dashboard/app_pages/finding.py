"""One commit that moved something: what, since when, who is suspected, what was done about it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import streamlit as st

from dashboard import charts, data, scope, tables, url_state
from dashboard.groups import label
from dashboard.markup import Tile, badge_of, plain, shortened, tiles_html
from dashboard.palette import palette_for
from dashboard.units import ago, counted, format_date, format_effect, scale_for
from tracker.domain import AlertInfo, RevisionInfo
from tracker.errors import UsageError
from tracker.findings import Change, Finding, group_by_commit

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
    alerts = data.alerts(here.project.name, commit.commit)
    findings = [
        finding
        for finding in data.findings(here.project.name, commit.commit)
        if here.machine is None or finding.machine == here.machine
    ]
    _heading(here, commit)
    if not findings:
        st.info(
            "No stored level shift begins at this commit here: a level that a gate measured may "
            "not have shown in the history yet.",
            icon=":material/info:",
        )
    for finding in findings:
        _finding(here, finding)
    _suspects(here, commit, findings)
    _gates(here, commit, findings)
    _alerts(alerts)


def _chosen(here: scope.Scope) -> RevisionInfo | None:
    """The commit of the URL, else the worst of Today; chosen among the findings that stand."""
    found = data.overview(here.project.name, here.machine)
    listed = group_by_commit(Change(*pair) for pair in (*found.worse, *found.better))
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


def _finding(here: scope.Scope, finding: Finding) -> None:
    worst = finding.changes[0]
    scale = scale_for(worst.series.unit, [worst.shift.before, worst.shift.after])
    said = finding.confirmation or "not judged"
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
                Tile("Paired run", said, "against the commit measured before"),
            ]
        )
    )
    history = data.history(worst.series.id, limit=WINDOW)
    st.page_link(
        "app_pages/series.py",
        label=f"**{plain(label(worst.series))}**",
        query_params=here.link(series=worst.series.id),
    )
    if history.points:
        st.altair_chart(
            charts.history_chart(
                history,
                palette_for(st.context.theme.type),
                commit_url=here.project.commit_url,
                height=260,
            ),
            key=f"history:{finding.machine}",
        )
    frame = tables.changes_frame(finding, here.link())
    st.dataframe(
        frame,
        hide_index=True,
        key=f"changes:{finding.machine}",
        height=tables.height_of(frame),
        column_config={
            "series": st.column_config.LinkColumn("series", display_text="open series"),
            "paired run": st.column_config.TextColumn(
                help="What both commits, measured in turn, say of this series."
            ),
        },
    )


def _before(findings: Sequence[Finding]) -> RevisionInfo | None:
    known = [finding.before for finding in findings if finding.before is not None]
    return max(known, key=lambda revision: revision.committed_at, default=None)


def _suspects(here: scope.Scope, commit: RevisionInfo, findings: Sequence[Finding]) -> None:
    before = _before(findings)
    if before is None:
        return
    suspects = data.suspects(here.project.name, before.commit, commit.commit)
    st.subheader(f"Suspects · {counted(len(suspects), 'commit')}", anchor=False)
    frame = tables.revisions_frame(suspects, here.project.commit_url)
    st.dataframe(
        frame,
        hide_index=True,
        key="suspects",
        height=tables.height_of(frame),
        column_config={"link": st.column_config.LinkColumn("open", display_text="open commit")},
    )
    st.caption(
        f"Everything stored between the last commit of the old level, {before.commit[:10]}, and the "
        "first of the new one. The store keeps no authors; git has them:"
    )
    st.code(
        f"git log --format='%h %an  %s' {before.commit[:12]}..{commit.commit[:12]}", language="bash"
    )
    st.page_link(
        "app_pages/compare.py",
        label="Compare the two commits",
        icon=":material/compare_arrows:",
        query_params=here.link(base=before.commit, head=commit.commit),
    )


def _gates(here: scope.Scope, commit: RevisionInfo, findings: Sequence[Finding]) -> None:
    st.subheader("Paired runs of this commit", anchor=False)
    gates = data.gates(here.project.name, head=commit.commit)
    for gate in gates:
        word = gate.outcome or "running"
        colour, icon = badge_of(word)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.badge(word, color=colour, icon=icon)  # type: ignore[arg-type]
            st.page_link(
                "app_pages/gates.py",
                label=f"{gate.base.commit[:10]} → {gate.head.commit[:10]}",
                query_params=here.link(gate=gate.id),
            )
            st.markdown(
                f":small[{ago(gate.started_at, _now())} · {plain(gate.machine)} · "
                f"{counted(gate.pairs, 'pair')} · {len(gate.verdicts)} metrics]"
            )
    if not gates:
        before = _before(findings)
        base = before.commit[:12] if before else f"{commit.commit[:12]}~"
        st.markdown("Nobody has measured this commit and the one before in turns:")
        st.code(f"tracker gate {base} {commit.commit[:12]}", language="bash")


def _alerts(alerts: Sequence[AlertInfo]) -> None:
    st.subheader("Alerts", anchor=False)
    if not alerts:
        st.markdown("None was opened for this commit.")
    for alert in alerts:
        colour, icon = badge_of(alert.state)
        with st.container(border=True):
            st.badge(f"alert {alert.id} · {alert.state}", color=colour, icon=icon)  # type: ignore[arg-type]
            st.markdown(f"**{plain(alert.title)}**")
            events = [f"{alert.created_at:%Y-%m-%dT%H:%M:%SZ} opened"]
            events += (alert.note or "").splitlines()
            st.markdown("\n".join(f"- :small[{plain(event)}]" for event in events))
            if alert.state in ("open", "acked"):
                st.code(
                    f"tracker alerts {'ack' if alert.state == 'open' else 'resolve'} {alert.id}",
                    language="bash",
                )


def _now() -> datetime:
    return datetime.now(UTC)


draw()
