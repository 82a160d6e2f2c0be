"""The tables of the level-shift detector: recorded histories, growing ones, and null series.

Recorded histories are read by `evaluate.py` of the folder with the data, which also plants the
steps. Peers run where they can be imported; otherwise their rows say so.
"""

from __future__ import annotations

import csv
import importlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from types import ModuleType

import numpy as np
from scipy import signal

from tests.calibration.tables import Cells, Job, Table
from tracker.stats import (
    ALGORITHM,
    DRIFT_ALGORITHM,
    ShiftDetector,
    detect_change_points,
    find_drift,
)

__all__ = ["history_tables"]

Detector = Callable[[list[float]], Iterable[int]]

_NULLS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "Gaussian": lambda rng, n: rng.normal(size=n),
    "Student t, 3 degrees of freedom": lambda rng, n: rng.standard_t(3, n),
    "AR(1) 0.3": lambda rng, n: _autoregressive(rng, n, 0.3),
    "AR(1) 0.5": lambda rng, n: _autoregressive(rng, n, 0.5),
}
_LENGTHS = (20, 100, 200, 500)
_DRIFT_LENGTHS = (50, 100, 200, 500)
_AGES = range(0, 1000, 150)
# Label, seed, and the series scored: every one, or the even or odd ones of each kind and pool.
_LONG = (
    ("seed 1, even", 1, slice(0, None, 2)),
    ("seed 1, odd", 1, slice(1, None, 2)),
    ("seed 1", 1, slice(None)),
    ("seed 2", 2, slice(None)),
    ("seed 3", 3, slice(None)),
    ("seed 4", 4, slice(None)),
)
_POOLS = {
    "sap_human_quiet": "database builds",
    "asv_dedicated": "numpy and scipy, dedicated machines",
    "gh_ci": "shared CI runners",
}


def history_tables(data_dir: Path, quick: bool) -> list[Table]:
    """Return the tables of the level-shift detector.

    Args:
        data_dir: The folder with `evaluate.py`; without it the recorded histories are left out.
        quick: Fewer windows and series, no peers.
    """
    series = 100 if quick else 1000
    nulls = Table(
        f"Stationary series with any change point, {series:,} each",
        ("noise", *(f"{n} points" for n in _LENGTHS)),
        tuple(Job(noise, partial(null_row, noise, series), ALGORITHM) for noise in _NULLS),
    )
    drift = Table(
        f"Series called a drift, {series:,} stationary ones each; below, +50 % at 0.5 % noise",
        ("", *(f"{n} points" for n in _DRIFT_LENGTHS)),
        (
            *(
                Job(noise, partial(drift_null_row, noise, series), DRIFT_ALGORITHM)
                for noise in _NULLS
            ),
            Job("+50 %", partial(drift_row, series // 10), f"{DRIFT_ALGORITHM}, {ALGORITHM}"),
        ),
    )
    if not (data_dir / "evaluate.py").exists():
        return [nulls, drift]
    limit = 15 if quick else None
    offline = Table(
        "Recorded histories: false alarms per 1,000 commits, then the share of steps of 1, 2, 5, "
        "10 and 20 % found within 5 commits",
        ("", *_POOLS.values()),
        (
            Job("Pacekeeper", partial(offline_row, data_dir, limit), ALGORITHM),
            *([] if quick else _peer_jobs(len(_POOLS), partial(offline_row, data_dir, limit))),
        ),
    )
    online = Table(
        "The same histories, asked after every commit",
        (
            "",
            "new false alarms per 1,000 commits",
            "5 %: median commits, found within 20",
            "10 %: median commits, found within 20",
        ),
        tuple(
            Job(name, partial(online_row, data_dir, limit, pool), ALGORITHM)
            for pool, name in _POOLS.items()
        ),
    )
    long_limit = 4 if quick else 60
    long = Table(
        f"Long histories, {9 * long_limit} series a seed; other tools: seed 1",
        ("", "F1", "precision", "recall", "false per 1,000 commits", "quiet series alarmed"),
        (
            *(
                Job(name, partial(long_row, data_dir, long_limit, seed, half), ALGORITHM)
                for name, seed, half in _LONG
            ),
            *(
                []
                if quick
                else _peer_jobs(5, partial(long_row, data_dir, long_limit, 1, slice(None)))
            ),
        ),
    )
    ages = Table(
        "Quiet long histories, asked after every commit: new false alarms per 1,000 by age",
        ("", *(f"from {age}" for age in _AGES)),
        tuple(
            Job(f"{name}, seed {seed}", partial(ages_row, data_dir, quick, pool, seed), ALGORITHM)
            for pool, name in _POOLS.items()
            for seed in (1, 2)
        ),
    )
    tcpd = Table(
        "Turing Change Point Dataset",
        ("", "F1", "covering"),
        (
            Job("Pacekeeper", partial(tcpd_row, data_dir, detect_change_points), ALGORITHM),
            Job("reporting nothing", partial(tcpd_row, data_dir, _nothing), "peer"),
        ),
    )
    labelled = Table(
        "The database's 25 labelled series, medians by build",
        ("", "regressions found within 5 builds", "others with a shift"),
        (Job("Pacekeeper", partial(labelled_row, data_dir), ALGORITHM),),
    )
    return [long, ages, offline, online, nulls, drift, labelled, tcpd]


def null_row(noise: str, num_series: int) -> Cells:
    rng = np.random.default_rng(1)
    return tuple(
        f"{sum(_any(100 + _NULLS[noise](rng, n)) for _ in range(num_series)) / num_series:.1%}"
        for n in _LENGTHS
    )


def drift_null_row(noise: str, num_series: int) -> Cells:
    rng = np.random.default_rng(1)
    cells = []
    for n in _DRIFT_LENGTHS:
        every = (100 + 5 * _NULLS[noise](rng, n) for _ in range(num_series))
        cells.append(f"{sum(find_drift(one, []) is not None for one in every) / num_series:.1%}")
    return tuple(cells)


def drift_row(num_series: int) -> Cells:
    rng = np.random.default_rng(1)
    cells = []
    for n in _DRIFT_LENGTHS:
        trend = np.linspace(100, 150, n)
        said = [find_drift(trend * (1 + 0.005 * rng.normal(size=n))) for _ in range(num_series)]
        cells.append(
            f"{sum(drift is not None and drift.start == 0 for drift in said) / num_series:.0%}"
        )
    return tuple(cells)


def long_row(
    data_dir: Path, limit: int, seed: int, part: slice, detector: Detector = detect_change_points
) -> Cells:
    histories = _load(data_dir / "long_histories.py")
    every = histories.series
    histories.series = lambda *args: every(*args)[part]
    scores = histories.score(detector, limit=limit, seed=seed)["all"]
    return tuple(
        f"{scores[key]:.{digits}f}"
        for key, digits in {
            "F1": 3,
            "precision": 3,
            "recall": 3,
            "false_per_1000": 2,
            "quiet_alarmed": 3,
        }.items()
    )


def ages_row(data_dir: Path, quick: bool, pool: str, seed: int) -> Cells:
    histories = _load(data_dir / "long_histories.py")
    limit = 2 if quick else 12
    rates = histories.online_false(_GrowingHistory(), pool, limit=limit, seed=seed)
    return tuple(f"{rates[age]:.1f}" if age in rates else "" for age in _AGES)


class _GrowingHistory:
    """`detect_change_points` of prefixes that grow, without scanning each from its start."""

    def __init__(self) -> None:
        self._values: list[float] = []
        self._detector = ShiftDetector()

    def __call__(self, values: list[float]) -> list[int]:
        if values[: len(self._values)] != self._values:
            self._values, self._detector = [], ShiftDetector()
        self._detector.extend(values[len(self._values) :])
        self._values = list(values)
        return self._detector.change_points()


def offline_row(
    data_dir: Path, limit: int | None, detector: Detector = detect_change_points
) -> Cells:
    evaluate = _load(data_dir / "evaluate.py")
    cells = []
    for pool in _POOLS:
        false = evaluate.false_alarms(detector, pool, limit=limit)["per_1000_commits"]
        found = evaluate.recall(detector, pool, limit=limit).values()
        cells.append(f"{false:.2f}: {' '.join(f'{share:.2f}' for share in found)}")
    return tuple(cells)


def online_row(data_dir: Path, limit: int | None, pool: str) -> Cells:
    evaluate = _load(data_dir / "evaluate.py")
    said = evaluate.online(
        _GrowingHistory(), pool, effects=(0.05, 0.10), null_limit=limit, limit=limit
    )
    delays = [
        f"{delay['median_if_found']:g}, {delay['by20']:.2f}" for delay in said["delay"].values()
    ]
    return f"{said['false_per_1000_commits']:.2f}", *delays


def labelled_row(data_dir: Path) -> Cells:
    place = data_dir / "sap_small"
    regressions, others = [], []
    with (place / "metadata" / "dataset_details.csv").open() as details:
        for _, name, last_before in list(csv.reader(details, delimiter=";"))[1:]:
            builds: dict[str, list[float]] = {}
            at = {}
            with (place / "data" / name).open() as file:
                for row in csv.DictReader(file):
                    builds.setdefault(row["GHC"], []).append(float(row["Measurement"]))
                    at[int(row["Index"])] = len(builds) - 1
            found = detect_change_points([median(values) for values in builds.values()])
            if int(last_before):
                truth = at[int(last_before) + 1]
                regressions.append(any(abs(index - truth) <= 5 for index in found))
            else:
                others.append(bool(found))
    return f"{sum(regressions)} of {len(regressions)}", f"{sum(others)} of {len(others)}"


def tcpd_row(data_dir: Path, detector: Detector) -> Cells:
    scores = _load(data_dir / "evaluate.py").tcpd(detector)
    return f"{scores['f1']:.3f}", f"{scores['covering']:.3f}"


def _nothing(values: list[float]) -> list[int]:
    return []


def _any(values: np.ndarray) -> bool:
    return bool(detect_change_points(values))


def _asv(asv: ModuleType, values: list[float]) -> list[int]:
    return [left for left, *_ in asv.detect_steps(values)[1:]]


def _otava(otava: ModuleType, values: list[float], **options: float) -> list[int]:
    return [point.index for point in otava.compute_change_points(values, **options)[0]]


def _ruptures(ruptures: ModuleType, values: list[float]) -> list[int]:
    # The same answers as `Pelt("rbf", min_size=2, jump=1)`, eighty times as fast.
    pelt = ruptures.KernelCPD("rbf", min_size=2).fit(np.array(values)[:, None])
    return pelt.predict(pen=10)[:-1]


@dataclass(frozen=True, slots=True)
class _Peer:
    """Another tool's detector, imported in the process that runs it."""

    module: str
    detect: Callable[[ModuleType, list[float]], list[int]]

    def __call__(self, values: list[float]) -> list[int]:
        return self.detect(importlib.import_module(self.module), values)


# Label, the distribution whose version completes it, and what is run.
_PEERS = (
    ("asv {}, steps", "asv", _Peer("asv.step_detect", _asv)),
    ("Apache Otava {}", "apache-otava", _Peer("otava.analysis", _otava)),
    (
        "Apache Otava {}, p 1e-5",
        "apache-otava",
        _Peer("otava.analysis", partial(_otava, max_pvalue=1e-5)),
    ),
    ("ruptures {}, rbf, penalty 10", "ruptures", _Peer("ruptures", _ruptures)),
)


def _peer_jobs(num_cells: int, row: Callable[[Detector], Cells]) -> Iterable[Job]:
    """Yield a row for each other tool; one that is not installed says so."""
    for label, distribution, peer in _PEERS:
        try:
            version = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            cells = ("not installed",) * num_cells
            yield Job(label.format("(any)"), partial(tuple, cells), "peer")
        else:
            yield Job(label.format(version), partial(row, peer), "peer")


def _load(path: Path) -> ModuleType:
    """Import a module of the data folder; its neighbours there are imported by their plain names."""
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _autoregressive(rng: np.random.Generator, n: int, rho: float) -> np.ndarray:
    return signal.lfilter([1], [1, -rho], rng.normal(size=n + 100))[100:]
