"""The price list runs each optimisation's load with it and without, and prints what it found."""

from __future__ import annotations

import dataclasses
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from benchmarks import prices
from inference import LLM, EngineConfig


def test_every_flag_that_a_cpu_heeds_has_a_price() -> None:
    flags = {field.name for field in fields(EngineConfig) if field.name.startswith("enable_")}
    # Overlap hides the host behind a device, and graphs are the device's: priced on a GPU.
    on_gpu = {"enable_overlap", "enable_cuda_graphs"}
    assert {name for price in prices.PRICES for name in price.off} >= flags - on_gpu


@pytest.mark.parametrize("price", prices.PRICES, ids=lambda price: f"{price.name} {price.load}")
def test_each_runs_with_it_and_without(price: prices.Price) -> None:
    on = {**price.on, **({"tensor_parallel": 2} if "tensor_parallel" in price.on else {})}
    small = dataclasses.replace(price, prompts=price.prompts[-8:], output=6, on=on)
    seconds, times = prices.worth(small, "tiny", rounds=1)
    assert seconds > 0
    assert times > 0


def test_a_late_prompt_falls_among_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    for name in ("submit", "step"):
        original = getattr(LLM, name)

        def noted(self: LLM, *args: Any, name: str = name, original: Any = original) -> Any:
            order.append(name)
            return original(self, *args)

        monkeypatch.setattr(LLM, name, noted)
    price = next(p for p in prices.PRICES if p.late)
    assert price.load == "prompts: 1 of 600 and 3 of 16 tokens, the last 1 later; 32 out"
    prices._run(price, LLM("tiny", EngineConfig()), [[1], [2], [3], [4] * 20])
    assert order[:8] == ["submit"] * 3 + ["step"] * 4 + ["submit"]
    assert order.count("submit") == 4


def test_the_table_has_a_row_for_each(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "config.json").touch()
    monkeypatch.setattr(prices, "worth", lambda *_, **__: (0.0123, 1.5))
    assert prices.main(["--model", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + len(prices.PRICES)
    assert all(line.endswith("| 12.3 ms | 1.50 |") for line in lines[2:])
    assert prices.main(["--model", str(tmp_path), "--only", "parallel"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2 + 2
    with pytest.raises(SystemExit, match="2"):
        prices.main(["--only", "magic"])


def test_without_weights_it_says_how_to_get_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prices.main(["--model", str(tmp_path)]) == 2
    assert "benchmarks.fetch_smollm" in capsys.readouterr().err
