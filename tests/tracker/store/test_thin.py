"""Raw data thins out with age; values and history stay."""

from datetime import timedelta

from sqlalchemy import func, select, update

from tests.tracker.changepoints.histories import START
from tests.tracker.changepoints.stores import TTFT
from tracker.domain import Launch, Measurement, ResultFile
from tracker.fingerprint import collect
from tracker.store import Store
from tracker.store import tables as t
from tracker.store.prune import Pruned, thin

NOW = START + timedelta(days=400)


def test_one_run_a_week_stays_for_ten_times_as_long_then_none(store_url: str) -> None:
    ages = [1, 9, *range(14, 28), 99, 101, 150]  # days; 14 to 27 are two or three calendar weeks
    with Store.open(store_url) as store:
        store.record_benchmarks("engine", [TTFT])
        for age in ages:
            at = NOW - timedelta(days=age)
            value = Measurement(TTFT.name, "1", 0, (), "ok", 1.0, samples=(1.0, 2.0), started_at=at)
            file = ResultFile("x", f"d{age}", 2, "gpu-1", f"{age:040x}", at, "existing", "3",
                              measurements=(value,))  # fmt: skip
            launch = Launch("x", f"a{age}", f"l{age}", "bench.Chat", collect("python"), {"n": age})
            run = store.record_file(
                "engine", file, benchmarks={TTFT.name: TTFT}, launches=[launch]
            ).run_id

            def set_age(tx, run=run, at=at):
                tx.conn.execute(update(t.run).where(t.run.c.id == run).values(recorded_at=at))

            store.write(set_age)
        weeks = {(NOW - timedelta(days=age)).isocalendar()[:2] for age in ages if 10 <= age <= 100}
        gone = len(ages) - 2 - len(weeks)
        assert thin(store, NOW, keep_days=10) == Pruned(gone, gone)
        assert thin(store, NOW, keep_days=10) == Pruned(0, 0)
        with store.reading() as conn:
            count = {
                table.name: conn.execute(select(func.count()).select_from(table)).scalar()
                for table in (t.run, t.result, t.sample, t.artifact)
            }
    assert count == {
        "run": len(ages),
        "result": len(ages),
        "sample": 2 + len(weeks),
        "artifact": 2 + len(weeks),
    }
