"""Every format's numbers against expectations that were checked by hand in the sample files."""

from __future__ import annotations

import csv
import json
import math
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.domain import Problem, RevisionRecord
from tracker.errors import UsageError
from tracker.readers import READERS, Given, find_reader, read_file, reader_named
from tracker.readers.units import to_base

SAMPLES = Path(__file__).parents[2] / "testdata" / "readers"
COMMIT = "c" * 40
COMMITTED = datetime(2026, 11, 1, tzinfo=UTC)
GIVEN = Given(commit=COMMIT, committed_at=COMMITTED, machine="box")

# What recognizes each sample; those with their own commit are read without one given.
FORMATS = {
    "vllm-serve.json": "vllm-bench-serve",
    "vllm-serve-detailed.json": "vllm-bench-serve",
    "vllm-serve-appended.json": "vllm-bench-serve",
    "vllm-serve-server-killed.json": "vllm-bench-serve",
    "vllm-throughput.json": "vllm-bench-throughput",
    "vllm-latency.json": "vllm-bench-latency",
    "sglang.jsonl": "sglang-bench-serving",
    "sglang-made.jsonl": "sglang-bench-serving",
    "guidellm.json": "guidellm",
    "guidellm-server-killed.json": "guidellm",
    "aiperf.json": "aiperf",
    "aiperf-server-killed.json": "aiperf",
    "inference-perf.json": "inference-perf",
    "inference-perf-all-failed.json": "inference-perf",
    "inference-perf-made.json": "inference-perf",
    "llm-d.yaml": "llm-d",
    "llama-bench.json": "llama-bench",
    "llama-bench.jsonl": "llama-bench",
    "llama-bench.csv": "llama-bench",
    "llama-batched-bench.jsonl": "llama-batched-bench",
    "pytest-benchmark.json": "pytest-benchmark",
    "pyperf-run1.json": "pyperf",
    "pyperf-command.json": "pyperf",
    "google-benchmark-repetitions.json": "google-benchmark",
    "google-benchmark-aggregates-only.json": "google-benchmark",
    "google-benchmark-run1.json": "google-benchmark",
    "hyperfine-two.json": "hyperfine",
    "hyperfine-failing.json": "hyperfine",
    "hyperfine-some-failed.json": "hyperfine",
    "hyperfine-params.json": "hyperfine",
    "data.js": "github-action-benchmark",
    "customBiggerIsBetter.json": "customBiggerIsBetter",
    "customSmallerIsBetter.json": "customSmallerIsBetter",
    "bencher.json": "bencher",
    "table.csv": "csv",
}
OWN_COMMIT = {"data.js", "pytest-benchmark.json", "table.csv"}


def given_for(name: str) -> Given:
    return Given(machine="box") if name in OWN_COMMIT else GIVEN


def rows_of(name: str) -> Iterator[dict[str, str]]:
    """What a sample holds, as rows of expected.csv."""
    reading = read_file(SAMPLES / name, given_for(name))
    for number, file in enumerate(reading.files):
        for m in file.measurements:
            info = reading.benchmarks[m.benchmark]
            numbers = (m.value, m.ci_low, m.ci_high, m.q25, m.q75)
            yield {
                "file": name,
                "run": str(number),
                "commit": file.commit[:8],
                "started_at": m.started_at.isoformat() if m.started_at else "",
                "benchmark": m.benchmark,
                "version": m.version,
                "params": " ".join(m.params),
                "unit": info.unit,
                "better": info.better or "",
                "kind": info.kind,
                "status": m.status,
                **{
                    key: "" if one is None else repr(one)
                    for key, one in zip(NUMBERS, numbers, strict=True)
                },
                "number": "" if m.number is None else str(m.number),
                "repeat": "" if m.repeat is None else str(m.repeat),
                "samples": "" if m.samples is None else str(len(m.samples)),
            }


NUMBERS = ("value", "ci_low", "ci_high", "q25", "q75")


def expected() -> dict[str, list[dict[str, str]]]:
    with (SAMPLES / "expected.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {name: [row for row in rows if row["file"] == name] for name in FORMATS}


@pytest.mark.parametrize("name", FORMATS)
def test_every_number_is_the_sample_s(name: str) -> None:
    wanted = expected()[name]
    found = list(rows_of(name))
    assert wanted
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        for key in NUMBERS:
            number, wish = one.pop(key), other.pop(key)
            if number and wish:
                assert float(number) == pytest.approx(float(wish), rel=1e-12)
            else:
                assert number == wish
        assert one == other


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_is_recognized_by_its_content_alone(name: str, tmp_path: Path) -> None:
    """Under another name, too: but two formats of equal content go by the name."""
    reader = find_reader(SAMPLES / name)
    assert not isinstance(reader, Problem)
    assert reader.name == FORMATS[name]
    if not name.startswith("custom"):
        copy = tmp_path / "anything"
        copy.write_bytes((SAMPLES / name).read_bytes())
        assert find_reader(copy) is reader


def test_a_custom_file_without_a_telling_name_has_no_direction_unless_given(tmp_path: Path) -> None:
    copy = tmp_path / "results.json"
    copy.write_bytes((SAMPLES / "customBiggerIsBetter.json").read_bytes())
    assert {info.better for info in read_file(copy, GIVEN).benchmarks.values()} == {None}
    given = read_file(copy, GIVEN, format="customSmallerIsBetter")
    assert {info.better for info in given.benchmarks.values()} == {"lower"}


def merged(*names: str) -> dict[str, object]:
    return {key: value for name in names for key, value in load(name).items()}


def load(name: str) -> dict[str, object]:
    content: dict[str, object] = json.loads((SAMPLES / name).read_text())
    return content


def with_version(name: str, *path: str, version: object) -> dict[str, object]:
    content = load(name)
    place: dict[str, object] = content
    for key in path[:-1]:
        place = place[key]  # type: ignore[assignment]
    place[path[-1]] = version
    return content


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (merged("hyperfine-two.json", "pyperf-run1.json"), "could be pyperf and hyperfine; say which"),
        (merged("vllm-throughput.json", "vllm-latency.json"), "could be vllm-bench-throughput and"),
        (with_version("guidellm.json", "metadata", "version", version="3"), "version '3'; 2 is read"),
        (with_version("aiperf.json", "schema_version", version="2.0"), "schema_version 2.0; 1.x is"),
        (with_version("pyperf-run1.json", "version", version="1.1"), "version '1.1'; 1.0 is read"),
        (
            with_version(
                "google-benchmark-run1.json", "context", "json_schema_version", version=2
            ),
            "json_schema_version 2; 1 is read",
        ),
        (
            with_version("pytest-benchmark.json", "commit_info", "dirty", version=True),
            "uncommitted changes on top of a2d75b8e78",
        ),
        ({"anything": 1}, "of no format that is known by its content"),
        ("", "empty file"),
        ('{"num_prompts": 1, "request_throughput": 2, "total_token_throughput": 3', "ends in the middle"),
        ({"num_prompts": 1, "request_throughput": 2, "total_token_throughput": 3}, "no 'completed'"),
        (
            {"elapsed_time": 1, "num_requests": 2, "total_num_tokens": 3, "requests_per_second": "x",
             "tokens_per_second": 1},
            "request_throughput is 'x', not a number",
        ),
        ("benchmark,value,untit\na,1,s\n", "unknown column 'untit'; did you mean 'unit'"),
        ("benchmark,value\na,1,2\n", "row 2 has not as many cells as the header"),
        ("benchmark,value,better\na,1,up\n", "better is 'up', not one of lower, higher"),
        ("benchmark,value\na,fast\n", "the value of 'a' is 'fast', not a number"),
        ('[{"name": "x", "unit": "s", "value": 1}, 3]', "not a list of {name, unit, value}"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_a_problem_with_its_reason(
    content: object, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    reading = read_file(path, GIVEN)
    assert reading.files == ()
    (problem,) = reading.problems
    assert reason in problem.reason
    assert problem.path == str(path)


def test_llm_d_one_version_too_new(tmp_path: Path) -> None:
    path = tmp_path / "report.yaml"
    path.write_text((SAMPLES / "llm-d.yaml").read_text().replace("version: 0.2.1", "version: 0.3"))
    (problem,) = read_file(path, GIVEN).problems
    assert "version 0.3; 0.2 is read" in problem.reason


@pytest.mark.parametrize("name", [name for name in FORMATS if "csv" not in name])
@pytest.mark.parametrize("share", [0.4, 0.9])
def test_a_torn_file_is_a_problem_and_no_number(name: str, share: float, tmp_path: Path) -> None:
    whole = (SAMPLES / name).read_bytes().rstrip()
    path = tmp_path / name
    path.write_bytes(whole[: int(len(whole) * share)])
    reading = read_file(path, given_for(name), format=FORMATS[name])
    if not reading.problems:  # YAML, or lines of which the torn one is not among those kept
        assert name == "llm-d.yaml"
    else:
        assert reading.files == ()


JSON_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.just([]),
    st.just({}),
    st.just([{"a": 1}]),
)


def places(value: object) -> Iterator[tuple[object, object]]:
    """Every (container, key) of a JSON document."""
    items = value.items() if isinstance(value, dict) else enumerate(value)  # type: ignore[arg-type]
    for key, item in items:
        yield value, key
        if isinstance(item, dict | list):
            yield from places(item)


@settings(max_examples=300, deadline=None)
@given(
    name=st.sampled_from([name for name in FORMATS if name.endswith(".json")]),
    data=st.data(),
)
def test_no_content_makes_a_reader_raise_or_invent(name: str, data: st.DataObject) -> None:
    """One place of a sample holds something else: results or problems, and finite numbers only."""
    document = json.loads((SAMPLES / name).read_text().partition("\n{")[0])
    container, key = data.draw(st.sampled_from(list(places(document))))
    container[key] = data.draw(JSON_VALUES)  # type: ignore[index]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.json"
        path.write_text(json.dumps(document))
        reading = read_file(path, given_for(name), format=FORMATS[name])
    assert reading.files or reading.problems
    for file in reading.files:
        for m in file.measurements:
            assert (m.status == "ok") == (m.value is not None)
            assert m.value is None or math.isfinite(m.value)


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        (Given(), "the file names no commit; give --commit"),
        (Given(commit=COMMIT), "when commit cccccccccc was made is not known"),
        (Given(commit="abc123", committed_at=COMMITTED), "its commit abc123 is abbreviated"),
        (Given(commit=COMMIT, committed_at=COMMITTED), "the file names no machine; give --machine"),
    ],
)
def test_what_is_missing_is_named_and_nothing_is_read(known: Given, reason: str) -> None:
    reading = read_file(SAMPLES / "vllm-latency.json", known)
    assert reading.files == ()
    assert reason in reading.problems[0].reason


def test_git_completes_an_abbreviated_commit_and_tells_its_time() -> None:
    asked: list[str] = []

    def find(commit: str) -> RevisionRecord | None:
        asked.append(commit)
        return RevisionRecord(COMMIT, COMMITTED)

    given = Given(machine="box", find_commit=find)
    files = read_file(SAMPLES / "llama-bench.json", given).files
    assert {(file.commit, file.committed_at) for file in files} == {(COMMIT, COMMITTED)}
    assert set(asked) == {"0c1e570"}


def test_another_version_of_the_tool_is_another_series_and_another_run() -> None:
    one = read_file(SAMPLES / "hyperfine-two.json", GIVEN)
    other = read_file(
        SAMPLES / "hyperfine-two.json",
        Given(COMMIT, COMMITTED, machine="box", tool_version="1.19"),
    )
    assert one.files[0].measurements[0].version == ""
    assert other.files[0].measurements[0].version == "1.19"
    assert one.files[0].digest != other.files[0].digest


def test_failed_runs_are_counted_and_give_no_time() -> None:
    reading = read_file(SAMPLES / "hyperfine-some-failed.json", GIVEN)
    (measurement,) = reading.files[0].measurements
    content = json.loads((SAMPLES / "hyperfine-some-failed.json").read_text())["results"][0]
    times = content["times"]
    assert measurement.samples == (times[0], times[2], times[3])  # exit codes 0, 1, 0, 0, -9
    (problem,) = reading.problems
    assert problem.reason == "2 of 5 runs failed; their times are left out"


def test_latencies_of_failed_requests_are_never_used(tmp_path: Path) -> None:
    """vLLM writes 0 for them; without its own statistics they come from the list."""
    content = load("vllm-serve.json")
    content = {key: value for key, value in content.items() if "e2el" not in key}
    content |= {"latencies": [2.0, 0.0, 4.0, 0.0], "completed": 2, "failed": 38}
    path = tmp_path / "file.json"
    path.write_text(json.dumps(content))
    values = {m.benchmark: m.value for m in read_file(path, GIVEN).files[0].measurements}
    assert values["vllm-bench-serve.e2el_p50"] == 3.0
    assert values["vllm-bench-serve.error_rate"] == pytest.approx(0.95)


def test_records_of_requests_name_the_file_to_give() -> None:
    (problem,) = read_file(SAMPLES / "aiperf-records.jsonl", GIVEN).problems
    assert "give profile_export_aiperf.json" in problem.reason


def test_an_unknown_format_is_the_caller_s_mistake() -> None:
    with pytest.raises(UsageError, match="no format 'hyperfin'; did you mean 'hyperfine'"):
        reader_named("hyperfin")
    assert len({reader.name for reader in READERS}) == len(READERS)


@pytest.mark.parametrize(
    ("unit", "base", "factor"),
    [
        ("ms", "s", 1e-3),
        ("µs", "s", 1e-6),
        ("ns/iter", "s", 1e-9),
        ("MiB", "bytes", 2.0**20),
        ("MB/s", "bytes/s", 1e6),
        ("tokens/sec/user", "tokens/s/user", 1.0),
        ("requests/sec", "req/s", 1.0),
        ("tokens/min", "tokens/s", 1 / 60),
        ("%", "1", 0.01),
        ("GFLOP/s", "GFLOP/s", 1.0),
        ("furlongs", "furlongs", 1.0),
        ("", "", 1.0),
    ],
)
def test_units_become_base_units(unit: str, base: str, factor: float) -> None:
    assert to_base(2.0, unit) == (pytest.approx(2 * factor), base)
