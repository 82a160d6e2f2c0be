"""Edits of the engine that make it slower, each with the place that an explanation must name first."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FIRST", "PLANTED", "UNSEEN", "Planted"]

# One benchmark launches the load of its suite.
DECODE = r"bench_decode\.TinyB8\.track_steps$"
TEXT = r"bench_decode\.SmolB1\.track_steps$"
SHARED = r"bench_counters\.TinyShared\.track_steps$"
PREFILL = r"bench_prefill\.TinyP128\.track_steps$"


@dataclass(frozen=True)
class Planted:
    """One edit.

    Attributes:
        name: A few words.
        file: What is edited.
        old: Stands in it exactly once.
        new: Stands there instead.
        named: Regular expression that the first row must fit: place, function, what and code.
        bench: The suite that shows it.
    """

    name: str
    file: str
    old: str
    new: str
    named: str
    bench: str = DECODE


FIRST = (
    Planted(
        "an op made slow",
        "inference/ops/numpy_ops.py",
        "    mean_square += eps\n",
        "    mean_square += eps\n    for _ in range(3):\n        np.sort(x, axis=-1)\n",
        r"numpy_ops\.py:\d+ rms_norm",
    ),
    Planted(
        "an op called twice",
        "inference/model.py",
        "            qkv = ops.linear(normed, layer.qkv, layer.qkv_bias)\n",
        "            qkv = ops.linear(normed, layer.qkv, layer.qkv_bias)\n"
        "            qkv = ops.linear(normed, layer.qkv, layer.qkv_bias)\n",
        r"model\.py:\d+ Decoder\.forward .*linear",
    ),
    Planted(
        "a copy per step",
        "inference/runner.py",
        "        return self.decoder.forward(",
        "        self._snapshot = self.cache.data[:, :, :64].clone()\n"
        "        return self.decoder.forward(",
        r"runner\.py:\d+ ModelRunner\._forward .*clone",
    ),
    Planted(
        "host work per step",
        "inference/scheduler.py",
        "        decodes: list[Request] = []\n",
        "        sorted(hash((i, self.num_preemptions)) for i in range(300))\n"
        "        decodes: list[Request] = []\n",
        r"scheduler\.py:\d+ Scheduler\.schedule",
    ),
    Planted(
        "lost sharing",
        "inference/blocks.py",
        "        if not self.enable_prefix_sharing:\n            return 0\n",
        "        return 0\n",
        r"blocks\.py:\d+ BlockManager\.acquire_prefix|prefix_hit_tokens",
        SHARED,
    ),
    Planted(
        "a slower sampler",
        "inference/ops/sampling.py",
        "        best = rows.argmax(axis=1)\n",
        "        best = np.argsort(-rows, axis=1, kind='stable')[:, 0]\n",
        r"sampling\.py:\d+ _most_likely",
    ),
    Planted(
        "slower tokenization",
        "inference/tokenizer.py",
        "        return list(self.inner.encode(text, add_special_tokens=add_special_tokens))\n",
        "        for _ in range(40):\n"
        "            self.inner.encode(text, add_special_tokens=add_special_tokens)\n"
        "        return list(self.inner.encode(text, add_special_tokens=add_special_tokens))\n",
        r"tokenizer\.py:\d+ \S*\.encode",
        TEXT,
    ),
    Planted(
        "an extra synchronisation",
        "inference/pipeline.py",
        "            requests = part.sampled\n",
        "            requests = part.sampled\n            time.sleep(0.0002)\n",
        r"pipeline\.py:\d+ Pipeline\._read .*sleep",
    ),
    Planted(
        "smaller chunks",
        "inference/config.py",
        "    max_num_batched_tokens: int = 2048\n",
        "    max_num_batched_tokens: int = 24\n",
        r"\d+ → \d+ steps|config\.py:\d+",
    ),
    Planted(
        "a lost fusion",
        "inference/model.py",
        "            normed, residual = ops.add_rms_norm(x, residual, layer.post_norm, eps=eps)\n",
        "            residual = residual + x\n"
        "            normed = ops.rms_norm(residual, layer.post_norm, eps=eps)\n",
        r"model\.py:\d+ Decoder\.forward",
    ),
)

# Of the same kinds at other places; the method was not made with these in view.
UNSEEN = (
    Planted(
        "a slow embedding",
        "inference/ops/numpy_ops.py",
        "    return table.take(tokens, axis=0)\n",
        "    return np.array(table, copy=True).take(tokens, axis=0)\n",
        r"numpy_ops\.py:\d+ embedding",
    ),
    Planted(
        "a slow rotation",
        "inference/ops/cpu/compiled_ops.py",
        "    qkv = np.ascontiguousarray(qkv)\n",
        "    qkv = np.array(qkv.tolist(), np.float32)\n",
        r"compiled_ops\.py:\d+ rope_store .*tolist",
    ),
    Planted(
        "the vocabulary twice",
        "inference/model.py",
        "        logits = self.ops.linear(normed, self.weights.lm_head)\n",
        "        logits = self.ops.linear(normed, self.weights.lm_head)\n"
        "        logits = self.ops.linear(normed, self.weights.lm_head)\n",
        r"model\.py:\d+ Decoder\.logits .*linear",
    ),
    Planted(
        "a copy of the block tables per step",
        "inference/batch.py",
        "        self._decoding.send(host, last.sizes)\n        batch = last.batch\n",
        "        self._kept = [self._lanes.tables.copy() for _ in range(4)]\n"
        "        self._decoding.send(host, last.sizes)\n        batch = last.batch\n",
        r"batch\.py:\d+ BatchBuilder\._go_on .*copy",
    ),
    Planted(
        "host work per token",
        "inference/delivery.py",
        "        now = time.perf_counter_ns()\n        seconds = now / 1e9\n",
        "        repr([outlet.stop_tokens for outlet in outlets.values() for _ in range(20)])\n"
        "        now = time.perf_counter_ns()\n        seconds = now / 1e9\n",
        r"delivery\.py:\d+ Delivery\.deliver .*repr",
    ),
    Planted(
        "counting in a generator",
        "inference/work.py",
        "        positions = sum(step.starts) + tokens\n",
        "        pairs = [*zip(step.starts, step.lengths, strict=True)] * 20\n"
        "        positions = sum(start + length for start, length in pairs) // 20\n",
        r"work\.py:\d+ WorkCounters\.add",
    ),
    Planted(
        "blocks published under another key",
        "inference/blocks.py",
        "            key = (link, tuple(tokens[i * size : (i + 1) * size]))\n            block = ",
        "            key = (link, (*tokens[i * size : (i + 1) * size], num_computed))\n            block = ",
        r"BlockManager\.publish",
        SHARED,
    ),
    Planted(
        "probabilities before the argmax",
        "inference/ops/sampling.py",
        "    tokens = _most_likely(logits)\n",
        "    tokens = _most_likely(logits.double().softmax(dim=-1))\n",
        r"sampling\.py:\d+ sample .*softmax",
    ),
    Planted(
        "prompts decoded after encoding",
        "inference/intake.py",
        "            tokens = self._tokenizer.encode(prompt, add_special_tokens=add_special_tokens)\n",
        "            tokens = self._tokenizer.encode(prompt, add_special_tokens=add_special_tokens)\n"
        '            "".join(self._tokenizer.decode([token]) for token in tokens)\n',
        r"intake\.py:\d+ Intake\._tokens",
        TEXT,
    ),
    Planted(
        "a wait at the end of a step",
        "inference/engine.py",
        "        self._advance()\n        events = list(self._default_inbox)\n",
        "        self._advance()\n        time.sleep(0.0002)\n"
        "        events = list(self._default_inbox)\n",
        r"engine\.py:\d+ LLM\.step .*sleep",
    ),
    Planted(
        "a limit on chunks",
        "inference/scheduler.py",
        "        return min(wanted, budget)\n",
        "        return min(wanted, budget, 32)\n",
        r"Scheduler\._chunk_length",
        PREFILL,
    ),
    Planted(
        "attention in smaller chunks",
        "inference/ops/attention.py",
        "_QUERIES = 64 ",
        "_QUERIES = 4 ",
        r"attention\.py:\d+ attend_chunk",
        PREFILL,
    ),
    Planted(
        "every batch laid out anew",
        "inference/batch.py",
        "            and not any(step.drafts)\n            and last.lens",
        "            and not any(step.lengths)\n            and last.lens",
        r"batch\.py:\d+ BatchBuilder\.build ",
    ),
)
PLANTED = (*FIRST, *UNSEEN)
