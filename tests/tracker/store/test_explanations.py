from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tracker.domain import ExplanationInfo
from tracker.errors import UsageError
from tracker.store import Store, queries

NOW = datetime(2026, 1, 31, tzinfo=UTC)
KEPT = ExplanationInfo("b" * 40, "h" * 40, "box", NOW, {"format": 1, "suites": []})


@pytest.fixture
def store(store_url):
    with Store.open(store_url) as opened:
        yield opened


def test_the_newest_of_each_machine_and_pair_of_commits_is_kept(store: Store) -> None:
    store.record_explanation("p", KEPT)
    again = replace(KEPT, created_at=NOW + timedelta(hours=1), document={"format": 1, "x": "é"})
    elsewhere = replace(again, machine="lab", created_at=NOW + timedelta(hours=2))
    other = replace(KEPT, base="c" * 40, created_at=NOW - timedelta(hours=1))
    for explanation in (again, elsewhere, other):
        store.record_explanation("p", explanation)
    assert queries.list_explanations(store, "p", head=KEPT.head) == [elsewhere, again, other]
    assert queries.list_explanations(store, "p", head=KEPT.head, base=other.base) == [other]
    assert queries.list_explanations(store, "p", head=KEPT.base) == []
    with pytest.raises(UsageError, match="no project 'q'"):
        queries.list_explanations(store, "q", head=KEPT.head)
