"""The rules, one row each: figure, limit, source, what to do, expected gain."""

from __future__ import annotations

from tracker.diagnose import figures
from tracker.diagnose.rule import Rule

_NVML = "NVML, now"
_A_LAUNCH = "a launch's counters"
_SENT = "requests sent to a server (--url)"
_CPUFREQ = "cpufreq, which is not exposed here"
RULES = (
    Rule(
        "stolen processor time", "system", figures.metric("cpu_steal"), ">", 0.01,
        "{x:.1%} of processor time stolen", "{limit:.0%}", "/proc/stat, {of}",
        "give the virtual machine cores of its own", "{x:.1%} of the time", "cpu_steal of a launch",
    ),
    Rule(
        "other processes", "system", figures.load, ">", 0.5,
        "load average {load:.1f} on {cores} cores", "{most:.1f}", "/proc/loadavg, now",
        "end or move the other processes", "up to {lost:.0%} of the cores", "the host's load", "warn",
    ),
    Rule(
        "processor clock", "system", figures.clock, "<", 0.9,
        "core at {share:.0%} of its highest clock, governor {governor}", "{limit:.0%}",
        "/sys/devices/system/cpu, now", "cpupower frequency-set --governor performance",
        "up to {faster:.2g} x host speed", _CPUFREQ, "warn",
    ),
    Rule(
        "threads", "system", figures.threads, ">", 1.0,
        "{threads} threads on {cores} cores", "{cores}", "{of}",
        "set OMP_NUM_THREADS, or EngineConfig.num_threads, to the cores", "up to {x:.2g} x",
        "a launch's number of threads",
    ),
    Rule(
        "BLAS", "system", figures.blas, "<", 8.0,
        "NumPy's {name} reaches {x:.1f} GFLOP/s on one core", "{limit:.0f} GFLOP/s",
        "a product of 256 x 256 matrices, now",
        "install NumPy from PyPI or conda-forge, which bring OpenBLAS or MKL",
        "5 x or more in products of matrices", "NumPy", "warn",
    ),
    Rule(
        "GPU clock", "system", figures.sm_clock, "<", 0.9,
        "SM clock {mhz:.0f} MHz under load", "90% of {most:.0f} MHz", "NVML, {of}",
        "nvidia-smi --reset-gpu-clocks; replace a card that stays slow",
        "up to {faster:.2g} x where compute-bound", "telemetry of a launch on a GPU",
    ),
    Rule(
        "throttling", "system", figures.throttled, ">", 0.05,
        "{reason} in {x:.0%} of the samples", "{limit:.0%}", "NVML",
        "cool the card, or raise the power limit", "the clocks lost in {x:.0%} of the time",
        "throttle reasons of a GPU", "fail",
    ),
    Rule(
        "shared GPU", "system", figures.of_gpus(figures.processes, worst="most"), ">", 0.0,
        "{x} processes on GPU {gpu} (process {pids})", "0", _NVML,
        "measure on a GPU of its own; wait, or end what is yours", "their share of the GPU's time",
        "a GPU", "fail",
    ),
    Rule(
        "memory errors", "system", figures.of_gpus(figures.ecc, worst="most"), ">", 0.0,
        "{x} uncorrected memory errors on GPU {gpu} (ECC)", "0", _NVML,
        "drain the GPU and reset it; replace a card on which they come back", "no request lost to them",
        "a GPU with ECC", "fail",
    ),
    Rule(
        "power cap", "system", figures.of_gpus(figures.power, worst="least"), "<", 0.98,
        "GPU {gpu} may draw {watts:.0f} W", "{most:.0f} W, its default", _NVML,
        "nvidia-smi -i {gpu} --power-limit={most:.0f}", "up to {faster:.2g} x where compute-bound",
        "a GPU's power limits", "warn",
    ),
    Rule(
        "PCIe width", "system", figures.of_gpus(figures.pcie, worst="least"), "<", 1.0,
        "GPU {gpu} has {width} PCIe lanes", "{most}", _NVML,
        "reseat the card, or move it to a wider slot", "up to {faster:.2g} x host-to-device copies",
        "a GPU's PCIe link", "warn",
    ),
    Rule(
        "driver", "system", figures.driver, "<", 0.0,
        "the driver runs CUDA {has}", "CUDA {need}", _NVML,
        "install a newer driver", "kernels built for this GPU, in place of a failure to start",
        "a GPU of known compute capability", "warn",
    ),
    Rule(
        "CUDA build", "system", figures.build, "<", 0.0,
        "torch was built with CUDA {has}", "CUDA {need}", "{of}",
        "install a build of torch for CUDA {need} or later", "kernels built for this GPU",
        "a launch on a GPU of known compute capability",
    ),
    Rule(
        "decode bound by memory", "model", figures.metric("mbu_decode"), ">=", figures.BOUND,
        "decode reads at {x:.0%} of the memory's bandwidth", "{limit:.0%}: bound by it", "{of}",
        "read less: quantization='int8', a larger batch, prompt look-up",
        "int8: up to 2 x fewer bytes than bf16, 4 x than fp32", "mbu_decode of a launch",
    ),
    Rule(
        "decode far from every ceiling", "model", figures.metric("mbu_decode", "mfu_decode"), "<", 0.5,
        "decode reaches {mbu_decode:.0%} of bandwidth and {mfu_decode:.0%} of FLOPs",
        "{limit:.0%} of either", "{of}",
        "bound by launches and host code: CUDA graphs, fewer ops, a larger batch; `tracker explain` "
        "names the places", "up to {faster:.2g} x", "mbu_decode and mfu_decode of a launch",
    ),
    Rule(
        "prefill far from its ceiling", "model", figures.metric("mfu_prefill"), "<", 0.5,
        "prefill reaches {x:.0%} of the FLOPs of a matrix product", "{limit:.0%}", "{of}",
        "larger chunks (max_num_batched_tokens), faster attention", "up to {faster:.2g} x in prefill",
        "mfu_prefill of a launch",
    ),
    Rule(
        "padding", "model", figures.padding, ">", 0.05,
        "{x:.1%} of the batch's lanes are padding", "{limit:.0%}", "{of}",
        "batching='continuous', or narrower buckets", "up to {x:.1%} of the steps' arithmetic", _A_LAUNCH,
    ),
    Rule(
        "small batch", "model", figures.batch, "<", 0.25,
        "{mean:.1f} sequences decode at once", "{limit:.0%} of {seats} seats", "{of}",
        "send more requests at once: each step reads the weights for all of them",
        "up to {faster:.2g} x tokens a second while bound by the weights",
        "a launch's counters and its max_num_seqs",
    ),
    Rule(
        "cache too small", "model", figures.recomputed, ">", 0.02,
        "{preempted:.0f} preemptions; {x:.0%} of the prompt tokens computed again", "{limit:.0%}",
        "{of}", "a larger cache (num_blocks, kv_cache_bytes), or fewer seats",
        "{gain:.0%} of the prefill", _A_LAUNCH,
    ),
    Rule(
        "host gap", "model", figures.phases("host gap", "queue"), ">", 0.2,
        "{x:.0%} of a step is host code beside the model", "{limit:.0%}", "traces of the {of}",
        "enable_overlap and enable_staging; `tracker explain` names the places",
        "up to {x:.0%} of a step", "traces of this commit (`tracker explain`)",
    ),
    Rule(
        "server's cache", "model", figures.cache, ">=", 0.95,
        "{x:.0%} of the KV cache in use, {preempted:.0f} preemptions while looked at", "{limit:.0%}",
        "{url}/metrics", "more memory for the cache, shorter contexts, or fewer seats",
        "the prompts computed again", "a server's cache usage (--url)",
    ),
    Rule(
        "text", "data", figures.phases("tokenize", "detokenize"), ">", 0.1,
        "{x:.0%} of a step is tokenizing and detokenizing", "{limit:.0%}", "traces of the {of}",
        "a fast tokenizer (tokenizer.json); token ids from the client", "up to {x:.0%} of a step",
        "traces of this commit (`tracker explain`)",
    ),
    Rule(
        "server's queue", "data", figures.metric("server_queue_time"), ">", 0.1,
        "requests wait {x:.2f} s in the queue", "{limit:g} s", "{url}/metrics",
        "more seats or another replica; a lower rate", "{x:.2f} s of each first token",
        "a server's queue time (--url)",
    ),
    Rule(
        "client", "data", figures.client, ">", 0.05,
        "the client adds {ms:.1f} ms to a first token, {x:.0%} of it", "{limit:.0%}", "{of}",
        "run the client on cores of its own, or in more processes", "{x:.0%} of a first token", _SENT,
    ),
    Rule(
        "way to the server", "data", figures.way, ">", 0.05,
        "a first token takes {x:.2f} s longer for the client than for the server", "{limit:g} s",
        "requests to {url}, and its /metrics", "look at the network, proxies and TLS between them",
        "{x:.2f} s of each first token", "a server's own time to first token, and requests to it (--url)",
    ),
    Rule(
        "first token", "data", figures.metric("ttft_p95"), ">", 2.0,
        "p95 of the first token {x:.2f} s", "{limit:g} s", "{of}",
        "a lower rate, chunked prefill, or another replica", "{x:.2f} s of waiting", _SENT,
    ),
    Rule(
        "time per token", "data", figures.metric("tpot_p95"), ">", 0.5,
        "p95 of the time per token {x:.2f} s", "{limit:g} s", "{of}",
        "a smaller batch, quantization, or another replica", "{x:.2f} s of each token", _SENT,
    ),
    Rule(
        "failing requests", "data", figures.metric("error_rate"), ">", 0.005,
        "{x:.1%} of the requests failed", "{limit:.1%}", "{of}",
        "read the server's log; lower the rate or raise its limits", "{x:.1%} of the requests", _SENT,
    ),
)  # fmt: skip
