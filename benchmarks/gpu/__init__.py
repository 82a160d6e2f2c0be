"""What one machine with a GPU tells about one commit: one command, no network, resumable.

::

    python -m benchmarks.gpu [--part facts|kernels|engine|telemetry|scenarios|suites|aa]

A part is a list of cases. Each runs in a process of its own (``child``), so that a crash or an
exhausted device ends that case alone, and each leaves one line in ``records.jsonl`` (``records``). A
second run does what is missing. From those lines come asv's result files (``asvfiles``) and the page
for readers (``summary``), both written anew after every case.

========  ===================================================================================
facts     what the device is, and its two ceilings: copy bandwidth and bfloat16 matmul
kernels   each op on the device against its reference; ``bench_kernels``
engine    decode, prefill, first token, host gap; each optimisation's price; against transformers
telemetry GPM's counters under load, what sampling costs, the GPU's busy share and host gap
scenarios frontier, capacity, documents, arrivals, stalls, cancellations
suites    every other suite of this device, one launch each
aa        thirty launches of one scenario: this machine's own noise
========  ===================================================================================
"""
