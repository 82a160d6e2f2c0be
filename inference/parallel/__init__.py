"""One model over several devices: tensor parallelism, and in ``stage.py`` pipelines.

Rank 0 is the engine: it schedules, builds batches and samples. Each other rank is a process of its own
(``worker.py``) with its part of every layer and of the KV cache (``part.py``). Rank 0 sends each step's
inputs to the others (``ranks.py``), and all ranks run the same ``Decoder``::

    rank 0   schedule ─ batch ─┬─ qkv ─ attention ─ out ─┐        ┌─ gate·up ─ down ─┐      head ─┐
                               │                         Σ ─ norm ┤                  Σ ─ …        ├─► sample
    rank 1                     └─ qkv ─ attention ─ out ─┘        └─ gate·up ─ down ─┘      head ─┘

The decoder knows nothing of ranks: ``out`` and ``down`` are matrices whose product is summed over the ranks, the
vocabulary's is one whose product is joined (``matrices.py``). An engine on one device has plain matrices there.
"""

from inference.counters import Counter

__all__ = ["COMMUNICATION"]

# Of a rank's ``Group``, which counts them; an engine on one device has none, and they stay 0.
COMMUNICATION = (
    Counter("communication_bytes", "bytes that a rank sent to other ranks", attribute="bytes_sent"),
    Counter("collectives", "sums, joins and hand-overs between ranks"),
)
