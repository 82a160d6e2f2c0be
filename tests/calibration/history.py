"""The tables of the level-shift detector: recorded histories, growing ones, and null series.

Recorded histories are read by `evaluate.py` of the folder with the data, which also plants the
steps. Peers run where they can be imported; otherwise their rows say so.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
from scipy import signal

from tracker.stats import detect_change_points

__all__ = ["tables"]

Detector = Callable[[list[float]], Iterable[int]]
Rows = list[tuple[str, ...]]
TableOf = tuple[str, tuple[str, ...], Rows]

_NULLS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "Gaussian": lambda rng, n: rng.normal(size=n),
    "Student t, 3 degrees of freedom": lambda rng, n: rng.standard_t(3, n),
    "AR(1) 0.3": lambda rng, n: _autoregressive(rng, n, 0.3),
    "AR(1) 0.5": lambda rng, n: _autoregressive(rng, n, 0.5),
}
_LENGTHS = (20, 100, 200, 500)


def tables(data_dir: Path | None, quick: bool) -> list[TableOf]:
    """Return (title, headers, rows) of each table.

    Args:
        data_dir: The folder with `evaluate.py`; None or absent: those tables are one row that
            says so.
        quick: Fewer windows and series, no peers.
    """
    series = 100 if quick else 1000
    found = [_null_table(series)]
    if data_dir is None or not (data_dir / "evaluate.py").exists():
        missing = [(f"not measured: no evaluate.py in {data_dir}",)]
        return [*found, ("Recorded histories", ("",), missing)]
    evaluate = _load(data_dir / "evaluate.py")
    limit = 15 if quick else None
    detectors = {"pacekeeper": _ours, **({} if quick else _peers())}
    offline = [
        (f"{name}, {pool}", *_offline(evaluate, detector, pool, limit))
        for name, detector in detectors.items()
        for pool in evaluate.POOLS
    ]
    online = [(pool, *_online(evaluate, pool, limit)) for pool in evaluate.POOLS]
    return [
        *found,
        (
            "Recorded histories of 150 commits, a step planted at a random one",
            (
                "detector, pool",
                "false alarms per 1,000 commits",
                "steps of 1, 2, 5, 10, 20 % found",
            ),
            offline,
        ),
        (
            "The same, asked after every commit",
            (
                "pool",
                "new false alarms per 1,000 commits",
                "5 %: median commits, found within 20",
                "10 %: median commits, found within 20",
            ),
            online,
        ),
        ("Turing Change Point Dataset", ("F1", "covering"), [_tcpd(evaluate)]),
    ]


def _null_table(num_series: int) -> TableOf:
    rows = []
    for name, noise in _NULLS.items():
        rng = np.random.default_rng(1)
        shares = [
            sum(bool(detect_change_points(100 + noise(rng, n))) for _ in range(num_series))
            for n in _LENGTHS
        ]
        rows.append((name, *(f"{share / num_series:.1%}" for share in shares)))
    headers = ("noise", *(f"{n} points" for n in _LENGTHS))
    return f"Stationary series with any change point, {num_series:,} each", headers, rows


def _offline(
    evaluate: ModuleType, detector: Detector | None, pool: str, limit: int | None
) -> tuple[str, str]:
    if detector is None:
        return "not installed", ""
    false = evaluate.false_alarms(detector, pool, limit=limit)["per_1000_commits"]
    found = evaluate.recall(detector, pool, limit=limit).values()
    return f"{false:.2f}", " ".join(f"{share:.2f}" for share in found)


def _online(evaluate: ModuleType, pool: str, limit: int | None) -> tuple[str, ...]:
    said = evaluate.online(_ours, pool, effects=(0.05, 0.10), null_limit=limit, limit=limit)
    delays = [
        f"{delay['median_if_found']:g}, {delay['by20']:.2f}" for delay in said["delay"].values()
    ]
    return f"{said['false_per_1000_commits']:.2f}", *delays


def _tcpd(evaluate: ModuleType) -> tuple[str, str]:
    scores = evaluate.tcpd(_ours)
    return f"{scores['f1']:.3f}", f"{scores['covering']:.3f}"


def _ours(values: Sequence[float]) -> list[int]:
    return detect_change_points(values)


def _peers() -> dict[str, Detector | None]:
    asv = _import("asv.step_detect")
    otava = _import("otava.analysis")
    ruptures = _import("ruptures")
    return {
        "asv steps": asv and (lambda y: [left for left, *_ in asv.detect_steps(y)[1:]]),
        "Apache Otava": otava
        and (lambda y: [point.index for point in otava.compute_change_points(y)[0]]),
        "ruptures rbf, penalty 10": ruptures
        and (
            lambda y: (
                ruptures.Pelt("rbf", min_size=2, jump=1)
                .fit(np.array(y)[:, None])
                .predict(pen=10)[:-1]
            )
        ),
    }


def _import(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("evaluate", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _autoregressive(rng: np.random.Generator, n: int, rho: float) -> np.ndarray:
    return signal.lfilter([1], [1, -rho], rng.normal(size=n + 100))[100:]
