"""The comparison with transformers runs both sides on the same work and sees a difference."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from benchmarks import versus_transformers as versus
from tests.inference.conftest import build_hub_model

RAGGED = versus.Case("ragged", [[1, 2, 3], [4], [5, 6, 7, 8, 9]], [4, 6, 1])


@pytest.fixture(scope="module")
def contenders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, versus.Contender]:
    directory = tmp_path_factory.mktemp("model")
    model: Any = build_hub_model("llama-tied")
    model.config.max_position_embeddings = 1024
    # Any token ends what a checkpoint generates by itself: the comparison must not let it.
    model.generation_config.eos_token_id = list(range(model.config.vocab_size))
    model.save_pretrained(directory)
    return {
        "own": versus.ComparedEngine(directory),
        "generate": versus.Generate(model),
        "generate_batch": versus.GenerateBatch(model),
    }


def test_all_sides_generate_the_same_ragged_outputs(
    contenders: dict[str, versus.Contender], capsys: pytest.CaptureFixture[str]
) -> None:
    figures = versus.measure(RAGGED, contenders, rounds=1)
    assert [len(tokens) for tokens in figures.tokens["own"]] == RAGGED.outputs
    assert figures.tokens["generate"] == figures.tokens["own"]
    assert figures.tokens["generate_batch"] == figures.tokens["own"]
    assert set(figures.seconds) == set(contenders)
    assert versus._compare(RAGGED, contenders, rounds=1)
    assert "equal outputs 3 of 3" in capsys.readouterr().out


def test_another_output_is_reported(
    contenders: dict[str, versus.Contender], capsys: pytest.CaptureFixture[str]
) -> None:
    class Wrong:
        def ready(self) -> AbstractContextManager[versus.Run]:
            return nullcontext(lambda case: [[0] * count for count in case.outputs])

    pair = {"own": contenders["own"], "generate": Wrong()}
    assert not versus._compare(RAGGED, pair, rounds=1)
    assert "equal outputs 0 of 3" in capsys.readouterr().out


def test_without_weights_it_says_how_to_get_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert versus.main(["--model", str(tmp_path)]) == 2
    assert "benchmarks.fetch_smollm" in capsys.readouterr().err
