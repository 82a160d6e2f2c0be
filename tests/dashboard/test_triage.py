"""Triage from the page: what a triager does, and that nobody else can write by any route."""

import re
import shutil
from datetime import UTC, datetime

import pytest
import streamlit as st

from dashboard import writes
from tests.dashboard import suite
from tests.dashboard.test_pages import HOSTILE, texts
from tracker.domain import RevisionRecord
from tracker.store import Store, queries
from tracker.triage import ALL_STATES, Assign, Comment, Link, SetState

ANN = {"is_logged_in": True, "email": "Ann@example.org", "email_verified": True}
NOW = datetime(2026, 6, 1, tzinfo=UTC)
CULPRIT = suite.commit(40)
ROLES = (
    ("ann@example.org", "triager"),
    ("rea@example.org", "reader"),
    ("adam@example.org", "admin"),
)


@pytest.fixture
def url(filled, tmp_path):
    """A store of its own: an alert of the finding, three users."""
    path = tmp_path / "store.db"
    shutil.copy(filled.url.removeprefix("sqlite:///"), path)
    url = f"sqlite:///{path}"
    with Store.open(url) as store:
        store.open_alert(
            "sim", key=f"sim/{CULPRIT}/runner-a", title="of the finding", detail="",
            revision_commit=CULPRIT, machine="runner-a", num_series=3, worst_effect=0.31,
        )  # fmt: skip
        for email, role in ROLES:
            store.add_account(email, role, by="test", now=NOW)
    return url


@pytest.fixture
def page(url, open_page):
    """The finding's page as a user sees it; None: nobody is logged in."""

    def opened(user=ANN, name="finding", **params):
        return open_page(url, name, user=user, **{"project": "sim", "commit": CULPRIT, **params})

    return opened


def the_alert(url):
    with Store.open(url, read_only=True) as store:
        listed = queries.list_alerts(store, "sim", states=ALL_STATES, merged=True)
    return next(alert for alert in listed if alert.machine == "runner-a")


def everything(url):
    """All that triage may change, to see that nothing did."""
    with Store.open(url, read_only=True) as store:
        return (
            queries.list_alerts(store, "sim", states=ALL_STATES, merged=True),
            queries.list_jobs(store, "sim"),
            queries.list_accounts(store),
        )


def press(app, key):
    app.button(key=key).click().run()
    assert not app.exception
    return app


def submit(app, label):
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception
    return app


def test_a_triager_acknowledges_expects_assigns_links_and_reopens(page, url):
    app = page()
    press(app, "f0:ack")
    app.text_input(key="f0:to").set_value("Bo")
    submit(app, "Assign")
    app.text_input(key="f0:url").set_value("https://example.org/issues/7")
    submit(app, "Link")
    app.text_area(key="f0:reason").set_value("pays for the new sampler")
    app.date_input(key="f0:until").set_value(datetime(2030, 1, 31).date())
    submit(app, "Accept the change")
    alert = the_alert(url)
    assert (alert.state, alert.assignee, alert.issue) == (
        "expected", "Bo", "https://example.org/issues/7"
    )  # fmt: skip
    assert alert.until == datetime(2030, 1, 31, 23, 59, 59, tzinfo=UTC)
    assert [(event.action, event.by) for event in alert.history] == [
        (action, "ann@example.org") for action in ("ack", "assign", "link", "expect")
    ]
    said = texts(app)
    assert "alert 2 · expected" in " ".join(badge.proto.body for badge in app.get("markdown"))
    assert "pays for the new sampler" in said and ">ann@example.org</b>" in said
    press(app, "f0:reopen")
    assert the_alert(url).state == "open"


def test_an_acceptance_without_a_reason_and_a_url_that_is_none_are_refused(page, url):
    app = page()
    before = everything(url)
    submit(app, "Accept the change")
    assert "Give a reason" in app.error[0].value
    app.text_input(key="f0:url").set_value("javascript:alert(1)")
    submit(app, "Link")
    assert "no URL of an issue" in app.error[0].value
    assert everything(url) == before


def test_a_finding_is_split_moved_and_merged_from_the_page(page, url):
    app = page()
    metrics = app.multiselect(key="f0:metrics")
    metrics.set_value([metrics.options[0]])
    submit(app, "Give them an alert of their own")
    said = texts(app)
    assert said.count("Series moved") == 2
    press(app, "f1:later")
    assert "moved here from" not in texts(app)
    moved = next(a for a in everything(url)[0] if a.revision != a.detected)
    assert moved.revision.commit == suite.commit(41)
    assert "moved to" in texts(app)
    app = page(commit=suite.commit(41))
    assert "moved here from" in texts(app)


def test_what_is_asked_of_the_service_is_queued_once_and_shown(page, url):
    app = page()
    press(app, "ask:0:confirm")
    press(app, "ask:0:confirm")
    press(app, "ask:0:bisect")
    app.text_input(key="fix-hash:0").set_value(suite.commit(60)[:12])
    submit(app, "Check the fix")
    _, jobs, _ = everything(url)
    assert [(job.kind, job.state, job.asked_by) for job in jobs] == [
        ("verify fix", "queued", "ann@example.org"),
        ("bisect", "queued", "ann@example.org"),
        ("confirm", "queued", "ann@example.org"),
    ]
    assert jobs[2].arguments["base"] == suite.commit(39)
    assert jobs[2].arguments["benchmarks"] == [
        "bench_serving.Chat.track_itl_p50", "bench_serving.Chat.track_throughput", suite.WORST
    ]  # fmt: skip
    assert (the_alert(url).state, the_alert(url).fixed_by) == ("open", suite.commit(60)[:12])
    assert "said to be fixed by" in texts(app)
    app.text_input(key="fix-hash:0").set_value(CULPRIT)
    submit(app, "Check the fix")
    assert "not its fix" in app.error[0].value


def test_several_findings_are_triaged_together_from_today(open_page, url):
    with Store.open(url) as store:
        facts = {"title": "memory", "detail": "", "revision_commit": suite.commit(55)}
        key = f"sim/{suite.commit(55)}/runner-a"
        second, _ = store.open_alert("sim", key=key, machine="runner-a", **facts)
    app = open_page(url, user=ANN, project="sim")
    app.multiselect(key="today:chosen").set_value([2, second]).run()
    press(app, f"today:2-{second}:resolve")
    states = {alert.id: alert.state for alert in everything(url)[0]}
    assert (states[2], states[second]) == ("resolved", "resolved")
    assert not [
        box for box in open_page(url, project="sim").multiselect if box.key == "today:chosen"
    ]


WRITES = (
    lambda alert: writes.triage([alert], SetState("ack")),
    lambda alert: writes.open_alert("sim", CULPRIT, "runner-a"),
    lambda alert: writes.ask_for("confirm", "sim", CULPRIT, "runner-a", alert),
    lambda alert: writes.ask_for("bisect", "sim", CULPRIT, "runner-a", alert),
    lambda alert: writes.check_fix("sim", CULPRIT, "runner-a", alert, suite.commit(60)),
    lambda alert: writes.add_user("eve@example.org", "admin"),
    lambda alert: writes.remove_user("ann@example.org"),
)
NO_RIGHTS = {
    "nobody": {},
    "logged out": {**ANN, "is_logged_in": False},
    "unverified": {**ANN, "email_verified": False},
    "verified as a text": {**ANN, "email_verified": "false"},
    "not said to be verified": {"is_logged_in": True, "email": "ann@example.org"},
    "without an address": {"is_logged_in": True, "email_verified": True},
    "a reader": {**ANN, "email": "rea@example.org"},
    "a stranger": {**ANN, "email": "eve@example.org"},
}


@pytest.mark.parametrize("who", NO_RIGHTS)
def test_whoever_may_only_read_cannot_write_through_the_seam(url, monkeypatch, who):
    monkeypatch.setenv("PACEKEEPER_DB", url)
    monkeypatch.setattr(st, "user", _User(NO_RIGHTS[who]))
    before = everything(url)
    for write in WRITES:
        with pytest.raises(writes.ForbiddenError):
            write(2)
    assert everything(url) == before
    assert not writes.user().may("triager")


def test_a_triager_gives_no_roles_and_an_admin_does(url, monkeypatch):
    monkeypatch.setenv("PACEKEEPER_DB", url)
    monkeypatch.setattr(st, "user", _User(ANN))
    for write in WRITES[-2:]:
        with pytest.raises(writes.ForbiddenError, match="this needs admin"):
            write(2)
    monkeypatch.setattr(st, "user", _User({**ANN, "email": "adam@example.org"}))
    writes.add_user(" Eve@Example.org ", "triager")
    writes.remove_user("ann@example.org")
    emails = {account.email: account.role for account in everything(url)[2]}
    assert emails["eve@example.org"] == "triager" and "ann@example.org" not in emails


class _User(dict):
    """What `st.user` is to the code that asks it."""

    def to_dict(self):
        return dict(self)


@pytest.mark.parametrize("who", ["nobody", "a reader", "unverified"])
def test_a_reader_sees_no_buttons_and_pressing_them_all_the_same_writes_nothing(
    page, url, monkeypatch, who
):
    before = everything(url)
    app = page(NO_RIGHTS[who])
    assert not [button.key for button in app.button if str(button.key).startswith(("f0", "ask"))]
    assert "tracker alerts ack 2" in texts(app)
    # A browser may send the state of any widget, also of those that it was not shown.
    for key in ("f0:ack", "ask:0:confirm", "open:0"):
        app.session_state[f"hidden:{key}"] = True
    app.run()
    # Even a page that draws the buttons for everybody writes nothing.
    monkeypatch.setattr(writes, "user", lambda: writes.User("ann@example.org", "admin"))
    app = page(NO_RIGHTS[who])
    for key in ("f0:ack", "ask:0:confirm", "ask:0:bisect", "f0:earlier"):
        app.button(key=key).click().run()
        assert not app.exception
        assert app.error, key
    submit(app, "Assign")
    assert everything(url) == before


def test_a_role_that_is_taken_away_ends_at_the_next_write(page, url):
    app = page()
    with Store.open(url) as store:
        store.remove_account("ann@example.org")
    before = everything(url)
    press(app, "f0:ack")
    assert everything(url) == before


def test_a_store_that_is_gone_is_not_made_anew_by_a_write(url, monkeypatch, tmp_path):
    monkeypatch.setenv("PACEKEEPER_DB", f"sqlite:///{tmp_path / 'gone.db'}")
    monkeypatch.setattr(st, "user", _User(ANN))
    with pytest.raises(Exception, match="no such file"):
        writes.triage([2], SetState("ack"))
    assert not (tmp_path / "gone.db").exists()


def test_hostile_notes_names_issues_and_authors_are_text(page, url):
    with Store.open(url) as store:
        store.triage([2], Comment(HOSTILE + " www.example.org a@b.c"), by=HOSTILE[:300], now=NOW)
        store.triage([2], Assign(HOSTILE[:300]), by="ann", now=NOW)
        store.triage([2], Link("https://example.org/)<b>[x](y)"), by="ann", now=NOW)
        when = suite.START
        store.record_revisions("sim", [RevisionRecord(CULPRIT, when, author=HOSTILE)])
    for user in (ANN, None):
        app = page(user)
        shown = [e.value for kind in ("markdown", "subheader", "caption") for e in app.get(kind)]
        shown = [re.sub("`[^`]*`", "", text) for text in shown]  # in code nothing is markup
        bodies = [element.proto.body for element in app.get("html")]
        assert not [body for body in bodies if "<img src=x>" in body or "\u202e" in body]
        assert [
            body for body in bodies if "&lt;img src=x&gt; **bold**" in body and "x" * 4000 in body
        ]
        for markup in (
            "<img src=x>",
            "**bold**",
            "[l](java",
            ":red[r]",
            "\n# h",
            "\u202e",
        ):
            assert not [text for text in shown if markup in text], markup
        assert "(https://example.org/%29%3Cb>[x]%28y%29)" in "\n".join(shown)


def test_an_admin_manages_users_on_the_account_page_and_others_do_not_see_them(page):

    def account(user):
        return page(user, "account")

    assert "read-only" in texts(account({}))
    assert "no role here" in texts(account(NO_RIGHTS["a stranger"]))
    assert not account(ANN).dataframe
    app = account({**ANN, "email": "adam@example.org"})
    app.text_input(key="add:email").set_value("new@example.org")
    submit(app, "Give the role")
    assert "new@example.org" in list(app.dataframe[0].value["e-mail"])
