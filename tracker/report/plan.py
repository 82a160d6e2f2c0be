"""A capacity plan as text, Markdown and JSON: every figure is marked as measured or modelled. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tracker.plan.planner import Compared, Option, Plan
from tracker.plan.roofline import (
    ALL_REDUCE_LATENCY,
    BYTES_PER_WEIGHT,
    MEMORY_SHARE,
    decode_bytes,
    weight_bytes,
)
from tracker.report.columns import aligned
from tracker.report.escaping import markdown_text
from tracker.report.numbers import count_of

__all__ = ["matrix_markdown", "matrix_text", "plan_document", "plan_markdown", "plan_text"]

_HEADER = ("gpu", "weights", "GPUs", "replicas", "TTFT p95", "all at once", "TPOT", "tokens/s",
           "most in flight", "limit there", "figures")  # fmt: skip
_NUMBERS = range(2, 9)
_EVIDENCE = ("measured on", "weights", "in flight", "in/out", "TTFT", "TPOT", "tokens/s",
             "modelled TPOT", "modelled tokens/s", "source")  # fmt: skip


def plan_text(plan: Plan) -> str:
    """Return one plan as plain text, ending in a newline."""
    lines = [*_question(plan), ""]
    lines += aligned([_HEADER, *map(_cells, plan.options)], right=set(_NUMBERS))
    lines += ["", *_answers(plan), "", "measured loads of this model:"]
    if plan.evidence:
        table = aligned([_EVIDENCE, *map(_evidence_cells, plan.evidence)], right=set(range(2, 9)))
        lines += [f"  {line}" for line in table]
    else:
        lines.append("  none: every figure above is modelled")
    lines += ["", "assumptions of the modelled figures:"]
    lines += [f"  {line}" for line in _assumptions([plan])]
    return "\n".join(lines) + "\n"


def plan_markdown(plan: Plan) -> str:
    """Return one plan as GitHub-flavoured Markdown, ending in a newline."""
    lines = [f"## Capacity plan: {markdown_text(plan.model.name)}", ""]
    lines += [f"- {markdown_text(line)}" for line in _question(plan)]
    lines += ["", *_table(_HEADER, map(_cells, plan.options)), ""]
    lines += [f"- {markdown_text(line)}" for line in _answers(plan)]
    lines += ["", "### Measured loads of this model", ""]
    if plan.evidence:
        lines += _table(_EVIDENCE, map(_evidence_cells, plan.evidence))
    else:
        lines.append("None: every figure above is modelled.")
    lines += ["", "### Assumptions of the modelled figures", ""]
    lines += [f"- {markdown_text(line)}" for line in _assumptions([plan])]
    return "\n".join(lines) + "\n"


def plan_document(plans: Sequence[Plan]) -> dict[str, Any]:
    """Return plans for JSON: base units; ``basis`` says of each option where its figures are from."""
    return {
        "format": 1,
        "plans": [
            {
                "model": plan.model.name,
                "scenario": plan.workload.name,
                "prompt": plan.workload.prompt,
                "output": plan.workload.output,
                "limits": {
                    "concurrency": plan.limits.concurrency,
                    "ttft": plan.limits.ttft,
                    "tpot": plan.limits.tpot,
                },
                "options": [_option_document(option) for option in plan.options],
                "best": {gpu: _best_document(plan, gpu) for gpu in plan.shares},
                "measured": [_compared_document(compared) for compared in plan.evidence],
                "shares": {
                    gpu: {
                        "bandwidth": shares.bandwidth,
                        "flops": shares.flops,
                        "basis": "measured" if shares.measured else "assumed",
                        "source": shares.source,
                    }
                    for gpu, shares in plan.shares.items()
                },
            }
            for plan in plans
        ],
        "assumptions": _assumptions(plans),
    }


def matrix_text(plans: Sequence[Plan]) -> str:
    """Return scenario and model against GPU as plain text, ending in a newline."""
    head, rows = _matrix(plans)
    lines = [_matrix_question(plans), "", *aligned([head, *rows]), "", *_legend(), ""]
    lines += ["assumptions of the modelled figures:"]
    lines += [f"  {line}" for line in _assumptions(plans)]
    return "\n".join(lines) + "\n"


def matrix_markdown(plans: Sequence[Plan]) -> str:
    """Return scenario and model against GPU as Markdown, ending in a newline."""
    head, rows = _matrix(plans)
    lines = ["## Which hardware", "", _matrix_question(plans), "", *_table(head, rows), ""]
    lines += [*_legend(), "", "### Assumptions of the modelled figures", ""]
    lines += [f"- {markdown_text(line)}" for line in _assumptions(plans)]
    return "\n".join(lines) + "\n"


def _question(plan: Plan) -> list[str]:
    limits, workload, model = plan.limits, plan.workload, plan.model
    return [
        f"model: {model.name}: {weight_bytes(model, 'bf16') / 1e9:.2f} GB in bf16, of which a decoding "
        f"step reads {decode_bytes(model, 'bf16') / 1e9:.2f} GB; "
        f"{model.kv_values * 2 / 1e3:.1f} kB of KV a token",
        f"load: {limits.concurrency} requests in flight, {workload.prompt} tokens in, "
        f"{workload.output} out ({workload.name})",
        f"limits: TTFT {limits.ttft:g} s for 95 %, {limits.tpot:g} s a token",
    ]


def _answers(plan: Plan) -> list[str]:
    """Return sentences for each GPU: numbers of different GPUs do not compare without a price."""
    lines = []
    for gpu in plan.shares:
        best = plan.best(gpu)
        if best is None:
            lines.append(f"{gpu}: no deployment of up to 8 GPUs a replica holds the limits")
            continue
        lines.append(f"{gpu}: {_answer(best)}")
        lines += [  # fewer bits cost quality: what it takes without
            f"{gpu}, weights whole: {_answer(option)}"
            for option in plan.options
            if option.deployment.gpu.name == gpu
            and option.deployment.weights == "bf16" != best.deployment.weights
            and option.replicas
        ]
    return lines


def _answer(option: Option) -> str:
    split = option.deployment.num_gpus
    how = "" if split == 1 else f" of {split} GPUs each (tensor parallel)"
    return (
        f"{count_of(option.num_gpus, 'GPU')} with {option.deployment.weights} weights: "
        f"{count_of(option.replicas, 'replica')}{how}, each holds the limits up to {option.highest} "
        f"requests in flight ({_basis(option)})"
    )


def _cells(option: Option) -> tuple[str, ...]:
    deployment = option.deployment
    if not option.replicas:
        none = ("-",) * 5
        return (
            deployment.gpu.name,
            deployment.weights,
            "-",
            "-",
            *none[:4],
            "0",
            option.bound,
            _basis(option),
        )
    split = deployment.num_gpus
    return (
        deployment.gpu.name,
        deployment.weights,
        str(option.num_gpus),
        f"{option.replicas}" if split == 1 else f"{option.replicas} x {split}",
        _seconds(option.ttft),
        _seconds(option.ttft_burst),
        _seconds(option.tpot),
        "-" if option.throughput is None else f"{option.throughput:.0f}",
        str(option.highest),
        option.bound,
        _basis(option),
    )


def _evidence_cells(compared: Compared) -> tuple[str, ...]:
    point, modelled = compared.point, compared.modelled
    lengths = (
        "?"
        if point.prompt is None or point.output is None
        else f"{point.prompt:.0f}/{point.output:.0f}"
    )
    count = "" if point.num_gpus in (None, 1) else f"{point.num_gpus} x "
    return (
        f"{count}{point.gpu.name}",
        point.weights or "?",
        str(point.concurrency or "?"),
        lengths,
        _seconds(point.ttft),
        _seconds(point.tpot),
        "-" if point.throughput is None else f"{point.throughput:.4g}",
        "-" if modelled is None else _seconds(modelled.tpot),
        "-" if modelled is None else f"{modelled.throughput:.4g}",
        point.source,
    )


def _assumptions(plans: Sequence[Plan]) -> list[str]:
    shares = {gpu: part for plan in plans for gpu, part in plan.shares.items()}
    by_value: dict[Any, list[str]] = {}
    for gpu, part in shares.items():
        by_value.setdefault(part, []).append(gpu)
    lines = [
        f"{', '.join(gpus)}: decoding reaches {100 * part.bandwidth:.0f} % of the datasheet's "
        f"bandwidth, prompts {100 * part.flops:.0f} % of its bf16 FLOP/s "
        f"({'measured: ' if part.measured else ''}{part.source})"
        for part, gpus in by_value.items()
    ]
    formats = ", ".join(
        f"{name} {size:g}" for name, size in BYTES_PER_WEIGHT.items() if name != "fp32"
    )
    return [
        *lines,
        f"bytes of a weight: {formats}; products in bf16; the vocabulary's matrix, the KV cache and "
        "activations in 16 bits",
        f"{100 * MEMORY_SHARE:.0f} % of a GPU's memory holds weights and KV of every request at full length",
        f"tensor parallel: two ring all-reduces a layer, each {ALL_REDUCE_LATENCY * 1e6:.0f} µs and its "
        "bytes over the link; not overlapped",
        "requests arrive at random with a constant number in flight and equal lengths; no prefix is "
        'shared; "all at once" is the last TTFT where all arrive together',
        "the engine's own time on the host is not modelled",
    ]


def _matrix(plans: Sequence[Plan]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    gpus = list(plans[0].shares)
    head = ("scenario", "in/out", "model", *gpus)
    return head, [
        (
            plan.workload.name,
            f"{plan.workload.prompt}/{plan.workload.output}",
            plan.model.name,
            *(_matrix_cell(plan.best(gpu)) for gpu in gpus),
        )
        for plan in plans
    ]


def _matrix_cell(option: Option | None) -> str:
    if option is None:
        return "-"
    mark = "=" if option.measured else "~"
    return f"{mark}{option.num_gpus} {option.deployment.weights}"


def _matrix_question(plans: Sequence[Plan]) -> str:
    limits = plans[0].limits
    return (
        f"fewest GPUs for {limits.concurrency} requests in flight with TTFT {limits.ttft:g} s for "
        f"95 % and {limits.tpot:g} s a token"
    )


def _legend() -> list[str]:
    return ["= measured, ~ modelled, - no deployment of up to 8 GPUs a replica holds the limits"]


def _option_document(option: Option) -> dict[str, Any]:
    deployment = option.deployment
    return {
        "gpu": deployment.gpu.name,
        "weights": deployment.weights,
        "gpus": option.num_gpus,
        "replicas": option.replicas,
        "gpus_per_replica": deployment.num_gpus,
        "most_in_flight": option.highest,
        "bound": option.bound,
        "ttft_p95": option.ttft,
        "ttft_all_at_once": option.ttft_burst,
        "tpot": option.tpot,
        "throughput": option.throughput,
        "communication": option.communication,
        "basis": _basis(option),
        "source": None if option.measured is None else option.measured.source,
    }


def _best_document(plan: Plan, gpu: str) -> dict[str, Any] | None:
    best = plan.best(gpu)
    return None if best is None else _option_document(best)


def _compared_document(compared: Compared) -> dict[str, Any]:
    point, modelled = compared.point, compared.modelled
    return {
        "device": point.gpu.name,
        "gpus": point.num_gpus if point.on_gpu else None,
        "weights": point.weights,
        "concurrency": point.concurrency,
        "prompt": point.prompt,
        "output": point.output,
        "measured": {"ttft": point.ttft, "tpot": point.tpot, "throughput": point.throughput},
        "modelled": None
        if modelled is None
        else {"ttft": modelled.ttft, "tpot": modelled.tpot, "throughput": modelled.throughput},
        "source": point.source,
    }


def _basis(option: Option) -> str:
    return "modelled" if option.measured is None else "measured"


def _seconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2f} s" if value >= 1 else f"{value * 1e3:.1f} ms"


def _table(head: Sequence[str], rows: Any) -> list[str]:
    return [
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
        *(f"| {' | '.join(markdown_text(cell) for cell in row)} |" for row in rows),
    ]
