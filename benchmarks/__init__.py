"""asv suites over the inference engine. A class is a scenario: one engine launch, every metric.

Nothing here imports torch or ``inference`` at module level: asv imports these modules to discover
benchmarks, and forks from a process that holds them.
"""

import importlib.util
import sys
from pathlib import Path


def _use_load_harness_beside(directory: Path) -> None:
    """Import ``tracker`` from the tree that holds these suites.

    The measured commit's tree comes first on the path and holds a ``tracker`` of its own. Both arms
    of a comparison must be loaded by one harness: that of the suites.
    """
    if "tracker" in sys.modules:
        return
    package = directory / "tracker"
    spec = importlib.util.spec_from_file_location(
        "tracker", package / "__init__.py", submodule_search_locations=[str(package)]
    )
    assert spec is not None
    assert spec.loader is not None
    sys.modules["tracker"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


_use_load_harness_beside(Path(__file__).resolve().parent.parent)
