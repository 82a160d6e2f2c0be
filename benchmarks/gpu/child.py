"""One case in a process of its own: ``python -m benchmarks.gpu.child PART CASE DEVICE FOLDER OUT``."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.engine.fingerprint import gpus_of, pin_threads
from benchmarks.gpu.context import Context, ceilings, datasheet
from benchmarks.gpu.parts import PARTS
from benchmarks.gpu.records import latest, read
from tracker.load.errors import UnavailableError
from tracker.load.telemetry import Sampler, dcgm_processes, own_processes, summarise


def main(arguments: Sequence[str]) -> int:
    """Run the case and write to OUT what became of it: a record without part, case and times."""
    part, case, device, folder, out = arguments
    outcome: dict[str, Any] = {"status": "done"}
    try:
        pin_threads()
        gpus = gpus_of(device)
        model = gpus[0].model() if gpus else None
        context = Context(device, ceilings(latest(read(Path(folder)))), datasheet(model))
        try:
            with Sampler(gpus, serving=1) as sampler:
                measurements, facts = PARTS[part].run(case, context)
        finally:
            for gpu in gpus:
                gpu.close()
        outcome["measurements"] = [asdict(one) for one in measurements]
        outcome["facts"] = facts
        outcome["telemetry"] = summarise(
            sampler.gpus, own=own_processes(), dcgm=dcgm_processes() if gpus else None
        )
    except UnavailableError as reason:
        outcome = {"status": "skipped", "problem": str(reason)}
    except Exception as error:
        traceback.print_exc()
        outcome = {"status": "failed", "problem": f"{type(error).__name__}: {error}"}
    Path(out).write_text(json.dumps(outcome), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
