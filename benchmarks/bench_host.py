"""What the host does in a decoding step, with the model stubbed out.

The stub returns the same logits for every row at once. What is left is the scheduler, the layout of
the batch, the sampler's own calls and the delivery of tokens: what a GPU would wait for, were it not
for overlap, and what every step on a CPU pays on top of the model.
"""

from __future__ import annotations

from benchmarks.engine.host import host_suite, measure_host


@host_suite(version="2", batch=32)
class TinyB32:
    """32 sequences decoding at once."""

    def setup_cache(self):
        return measure_host(self)


@host_suite(version="2", batch=1)
class TinyB1:
    """One sequence."""

    def setup_cache(self):
        return measure_host(self)
