"""Each op alone on a GPU: how near its kernel comes to the bandwidth of the memory.

Shapes are those of Qwen3-8B: 4,096 wide, 32 query heads on 8 of keys and values, of 128 channels.
"""

from __future__ import annotations

from benchmarks.engine.kernel import Call, kernel, measure_kernel

HIDDEN, INTERMEDIATE, VOCAB = 4096, 12_288, 151_936
HEADS, KV_HEADS, DIM = 32, 8, 128
BLOCK_SIZE = 16
TOKENS = 8192  # 64 MiB a stream of activations


def _normal(device, *shape):
    import torch

    # Not zeros: they draw less power, and the clocks would be those of no real step.
    return torch.randn(shape, dtype=torch.bfloat16, device=device)


@kernel("add_rms_norm", version="1")
class AddRmsNorm:
    """The residual addition and RMSNorm of 8,192 tokens."""

    @staticmethod
    def call(device):
        x, residual, weight = (_normal(device, *s) for s in 2 * [(TOKENS, HIDDEN)] + [(HIDDEN,)])
        num_bytes = 4 * x.nbytes + weight.nbytes
        return Call((x, residual, weight), num_bytes, {"eps": 1e-6}, 5 * x.numel())

    def setup_cache(self):
        return measure_kernel(self)


@kernel("silu_mul", version="1")
class SiluMul:
    """The gated activation of 8,192 tokens."""

    @staticmethod
    def call(device):
        gate_up = _normal(device, TOKENS, 2 * INTERMEDIATE)
        num_flops = 5 * TOKENS * INTERMEDIATE
        return Call((gate_up,), gate_up.nbytes * 3 // 2, num_flops=num_flops)

    def setup_cache(self):
        return measure_kernel(self)


@kernel("rope_store", version="1")
class RopeStore:
    """q/k-norm, rotation and KV store of 8,192 tokens."""

    @staticmethod
    def call(device):
        import torch

        qkv = _normal(device, TOKENS, (HEADS + 2 * KV_HEADS) * DIM)
        angles = torch.randn(TOKENS, DIM // 2, device=device)
        caches = [_normal(device, TOKENS // BLOCK_SIZE, BLOCK_SIZE, KV_HEADS, DIM) for _ in "kv"]
        slots = torch.arange(TOKENS, device=device)
        norms = _normal(device, DIM), _normal(device, DIM)
        args = (qkv, angles.cos(), angles.sin(), slots, *caches, *norms)
        num_bytes = 2 * qkv.nbytes + 2 * angles.nbytes + slots.nbytes
        num_flops = 7 * TOKENS * (HEADS + KV_HEADS) * DIM  # 4 of the norm, 3 of the rotation
        return Call(args, num_bytes, {"eps": 1e-6}, num_flops)

    def setup_cache(self):
        return measure_kernel(self)


def _linear(device, rows, width, num_out):
    x, weight = _normal(device, rows, width), _normal(device, num_out, width)
    num_bytes = x.nbytes + weight.nbytes + 2 * rows * num_out
    return Call((x, weight), num_bytes, num_flops=2 * rows * width * num_out)


@kernel("linear", version="1", against_reference=True)
class LinearB1:
    """The down projection for one row."""

    @staticmethod
    def call(device):
        return _linear(device, 1, INTERMEDIATE, HIDDEN)

    def setup_cache(self):
        return measure_kernel(self)


@kernel("linear", version="1", against_reference=True)
class LinearB16:
    """The down projection for sixteen rows."""

    @staticmethod
    def call(device):
        return _linear(device, 16, INTERMEDIATE, HIDDEN)

    def setup_cache(self):
        return measure_kernel(self)


@kernel("linear", version="1", against_reference=True)
class LinearOutB1:
    """The attention's output projection for one row: the narrowest matrix of a layer."""

    @staticmethod
    def call(device):
        return _linear(device, 1, HEADS * DIM, HIDDEN)

    def setup_cache(self):
        return measure_kernel(self)


@kernel("linear_silu_mul", version="1", against_reference=True)
class LinearSiluMulB4:
    """The gated half of the feed-forward layer for four rows."""

    @staticmethod
    def call(device):
        x, weight = _normal(device, 4, HIDDEN), _normal(device, 2 * INTERMEDIATE, HIDDEN)
        num_bytes = x.nbytes + weight.nbytes + 2 * 4 * INTERMEDIATE
        num_flops = 4 * INTERMEDIATE * (2 * 2 * HIDDEN + 5)
        return Call((x, weight), num_bytes, num_flops=num_flops)

    def setup_cache(self):
        return measure_kernel(self)


def _decode(device, contexts):
    """Return attention of one query a row over ``contexts`` positions, its blocks out of order."""
    import torch

    from inference.ops.attention import AttentionPlan

    rows = len(contexts)
    blocks_a_row = [-(-n // BLOCK_SIZE) for n in contexts]
    order = torch.randperm(sum(blocks_a_row), generator=torch.Generator().manual_seed(0))
    tables = torch.zeros(rows, max(blocks_a_row), dtype=torch.int32)
    for row, blocks in enumerate(order.split(blocks_a_row)):
        tables[row, : len(blocks)] = blocks
    plan = AttentionPlan(
        query_starts=torch.arange(rows + 1, dtype=torch.int32, device=device),
        context_lens=torch.tensor(contexts, dtype=torch.int32, device=device),
        block_tables=tables.to(device),
        block_size=BLOCK_SIZE,
        host_query_starts=tuple(range(rows + 1)),
        host_context_lens=tuple(contexts),
        single_groups=((0, rows),),
        num_single=rows,
    )
    q = _normal(device, rows, HEADS, DIM)
    caches = [_normal(device, len(order), BLOCK_SIZE, KV_HEADS, DIM) for _ in "kv"]
    num_bytes = 2 * q.nbytes + sum(2 * n * KV_HEADS * DIM * 2 for n in contexts)
    num_flops = 4 * HEADS * DIM * sum(contexts)
    return Call((q, *caches, plan), num_bytes, {"scale": DIM**-0.5}, num_flops)


@kernel("paged_attention", version="1")
class DecodeB1Long:
    """Attention of one sequence of 65,536 positions."""

    @staticmethod
    def call(device):
        return _decode(device, [65_536])

    def setup_cache(self):
        return measure_kernel(self)


@kernel("paged_attention", version="1")
class DecodeB32:
    """Attention of 32 sequences of 1,024 to 4,000 positions."""

    @staticmethod
    def call(device):
        return _decode(device, [1024 + 96 * i for i in range(32)])

    def setup_cache(self):
        return measure_kernel(self)


def _sample(device, temperature, top_k, top_p):
    import torch

    rows = 32
    logits = _normal(device, rows, VOCAB)

    def column(value, dtype):
        return torch.full((rows,), value, dtype=dtype, device=device)

    args = (
        logits,
        column(temperature, torch.float32),
        column(top_k, torch.int32),
        column(top_p, torch.float32),
        torch.arange(rows, device=device),
        torch.arange(rows, device=device),
    )
    return Call(args, logits.nbytes)


@kernel("sample", version="1")
class SampleGreedy:
    """The greedy tokens of 32 rows."""

    @staticmethod
    def call(device):
        return _sample(device, 0.0, 0, 1.0)

    def setup_cache(self):
        return measure_kernel(self)


@kernel("sample", version="1")
class SampleFiltered:
    """The tokens of 32 rows drawn from the top 50 and of those the top 0.9."""

    @staticmethod
    def call(device):
        return _sample(device, 0.8, 50, 0.9)

    def setup_cache(self):
        return measure_kernel(self)
