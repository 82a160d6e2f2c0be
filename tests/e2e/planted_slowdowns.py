"""Edits of the engine that make it slower, each with the place that an explanation must name first."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PLANTED", "Planted"]

DECODE = r"bench_decode\.TinyB8\."
TEXT = r"bench_decode\.SmolB1\."
SHARED = r"bench_counters\.TinyShared\."


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


PLANTED = (
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
