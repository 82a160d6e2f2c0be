"""Weights in memory: allocated packed, then filled from a checkpoint or at random.

q, k and v are one matrix, gate and up another, packed once here so that a step reads each weight
once with the fewest calls. Checkpoint tensors are streamed into views of the packed ones: at no
time are two copies of the model in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from inference.architecture import ModelConfig
from inference.errors import CheckpointError
from inference.files import read_json, refuse_pointer
from inference.ops.matrix import Weight, is_matrix

__all__ = [
    "MATRICES",
    "LayerWeights",
    "ModelWeights",
    "allocate",
    "dummy_tensors",
    "fill_dummy",
    "has_own_head",
    "load",
    "matrix_rows",
    "named_views",
    "safetensors",
]

_EMBEDDING, _HEAD = "model.embed_tokens.weight", "lm_head.weight"
# A layer's matrices, and the modules of Hugging Face checkpoints whose weights they are, from the first row.
MATRICES = {
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "out": ("self_attn.o_proj",),
    "gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}
DUMMY_STD = 0.02  # N(0, 0.02): zeros would draw less power and hide throttling


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """Weights of one decoder layer; matrices are ``[out, in]``, None where the family has none."""

    input_norm: Tensor  # [hidden]
    qkv: Weight  # [(heads + 2·kv_heads)·head_dim, hidden]
    qkv_bias: Tensor | None
    q_norm: Tensor | None  # [head_dim]
    k_norm: Tensor | None
    out: Weight  # [hidden, heads·head_dim]
    out_bias: Tensor | None
    post_norm: Tensor  # [hidden]
    gate_up: Weight  # [2·intermediate, hidden]
    down: Weight  # [hidden, intermediate]


@dataclass(frozen=True, slots=True)
class ModelWeights:
    """All weights; ``lm_head`` is ``embedding`` itself where they are tied."""

    embedding: Tensor  # [vocab, hidden]
    layers: list[LayerWeights]
    norm: Tensor  # [hidden]
    lm_head: Weight  # [vocab, hidden]

    def each(self) -> Iterator[Weight]:
        """Yield every weight once, packed or not."""
        yield self.embedding
        for layer in self.layers:
            for name in LayerWeights.__slots__:
                weight = getattr(layer, name)
                if weight is not None:
                    yield weight
        yield self.norm
        if self.lm_head is not self.embedding:
            yield self.lm_head

    def tensors(self) -> Iterator[Tensor]:
        """Yield every weight that is a tensor once."""
        return (weight for weight in self.each() if isinstance(weight, Tensor))

    @property
    def num_bytes(self) -> int:
        """Bytes held, a tied embedding counted once."""
        return sum(w.num_bytes if is_matrix(w) else _num_bytes(w) for w in self.each())

    def on_arrays(self) -> ModelWeights:
        """Return the same weights for ops on arrays, which compute in float32.

        A tensor in float32 becomes an array of the same memory, a norm or bias in fewer bits a copy.
        An embedding in fewer bits stays a tensor.
        """

        def view(weight: Any) -> Any:
            return weight.float().numpy() if isinstance(weight, Tensor) else weight

        wide = self.embedding.dtype is torch.float32
        embedding = view(self.embedding) if wide else self.embedding
        layers = [
            LayerWeights(*(view(getattr(layer, name)) for name in LayerWeights.__slots__))
            for layer in self.layers
        ]
        return ModelWeights(embedding, layers, view(self.norm), view(self.lm_head))

    @property
    def body_bytes_read(self) -> int:
        """Bytes of the layers' matrices that a step reads."""
        return sum(
            _bytes_read(matrix)
            for layer in self.layers
            for matrix in (layer.qkv, layer.out, layer.gate_up, layer.down)
        )

    @property
    def head_bytes_read(self) -> int:
        """Bytes of the vocabulary's matrix that a step with a sampled row reads."""
        return _bytes_read(self.lm_head)


def _num_bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _bytes_read(matrix: Weight) -> int:
    return matrix.num_bytes_read if is_matrix(matrix) else _num_bytes(matrix)


def allocate(
    config: ModelConfig, *, dtype: torch.dtype, device: torch.device, long_rows: bool = False
) -> ModelWeights:
    """Return uninitialised weights of the model's shapes.

    Args:
        config: Shapes.
        dtype: Of every tensor.
        device: Of every tensor.
        long_rows: Lay each matrix but the embedding out with its longer side contiguous: BLAS multiplies
            one row by it at the speed of memory then. Off, the rows are.
    """

    def new(*shape: int) -> Tensor:
        return torch.empty(shape, dtype=dtype, device=device)

    def matrix(out: int, width: int) -> Tensor:
        return new(width, out).t() if long_rows and out >= width else new(out, width)

    hidden, dim = config.hidden_size, config.head_dim
    qkv = (config.num_heads + 2 * config.num_kv_heads) * dim
    layers = [
        LayerWeights(
            input_norm=new(hidden),
            qkv=matrix(qkv, hidden),
            qkv_bias=new(qkv) if config.qkv_bias else None,
            q_norm=new(dim) if config.qk_norm else None,
            k_norm=new(dim) if config.qk_norm else None,
            out=matrix(hidden, config.num_heads * dim),
            out_bias=new(hidden) if config.output_bias else None,
            post_norm=new(hidden),
            gate_up=matrix(2 * config.intermediate_size, hidden),
            down=matrix(hidden, config.intermediate_size),
        )
        for _ in range(config.num_layers)
    ]
    embedding = new(config.vocab_size, hidden)
    lm_head = embedding if config.tie_embeddings else matrix(config.vocab_size, hidden)
    return ModelWeights(embedding, layers, new(hidden), lm_head)


def fill_dummy(weights: ModelWeights, *, seed: int) -> None:
    """Fill matrices and biases from N(0, 0.02) and norms with 1, the same for equal seeds."""
    generator = torch.Generator(device=weights.embedding.device)
    generator.manual_seed(seed)
    norms = {id(weights.norm)}
    for layer in weights.layers:
        norms |= {id(t) for t in (layer.input_norm, layer.post_norm, layer.q_norm, layer.k_norm)}
    for tensor in weights.tensors():
        if id(tensor) in norms:
            tensor.fill_(1.0)
        else:
            # Drawn in the order of the rows: a layout changes no weight.
            drawn = torch.empty_like(tensor, memory_format=torch.contiguous_format)
            tensor.copy_(drawn.normal_(0.0, DUMMY_STD, generator=generator))


def dummy_tensors(config: ModelConfig, *, like: Tensor, seed: int) -> Iterator[tuple[str, Tensor]]:
    """Yield what `fill_dummy` draws for the whole model by name, in the dtype and on the device of ``like``."""
    weights = allocate(config, dtype=like.dtype, device=like.device)
    fill_dummy(weights, seed=seed)
    yield from named_views(weights, config).items()


def load(weights: ModelWeights, config: ModelConfig, tensors: Iterable[tuple[str, Tensor]]) -> None:
    """Copy named tensors into place, converting their dtype.

    Args:
        weights: Allocated for ``config``; **written**.
        config: Says where each name goes.
        tensors: Names as in Hugging Face checkpoints, in any order.

    Raises:
        CheckpointError: A weight is missing, of the wrong shape, or unknown: an unknown one means
            that the model computes something this decoder does not.
    """
    targets = named_views(weights, config)
    missing = set(targets)
    for name, tensor in tensors:
        target = targets.get(name)
        if target is None:
            if name.endswith("rotary_emb.inv_freq") or (config.tie_embeddings and name == _HEAD):
                continue  # recomputed here, and the embedding under another name
            if name.endswith(".bias") and not tensor.any():
                continue  # some quantizers write one for every matrix
            raise CheckpointError(
                f"{config.name}: weight {name!r} has no place in a {config.family} decoder "
                "as config.json describes it"
            )
        if target.shape != tensor.shape:
            raise CheckpointError(
                f"{config.name}: weight {name!r} is {list(tensor.shape)}, "
                f"config.json implies {list(target.shape)}"
            )
        target.copy_(tensor)
        missing.discard(name)
    if missing:
        names = sorted(missing)
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        raise CheckpointError(f"{config.name}: no weight {', '.join(names[:3])}{more}")


def safetensors(directory: Path) -> Iterator[tuple[str, Tensor]]:
    """Yield every tensor of a checkpoint directory, one in memory at a time.

    Raises:
        CheckpointError: The directory holds no safetensors file, or one is damaged.
    """
    for path in _shards(directory):
        with _opened(path) as file:
            for name in file.keys():  # noqa: SIM118 (not a mapping: has no __iter__)
                yield name, file.get_tensor(name)


def has_own_head(directory: Path) -> bool:
    """Whether a checkpoint holds a matrix of the vocabulary that is not its embedding.

    Raises:
        CheckpointError: As of `safetensors`.
    """
    places: dict[str, Path] = {}
    for path in _shards(directory):
        with _opened(path) as file:
            names = [n for n in file.keys() if n == _EMBEDDING or n.startswith("lm_head.")]  # noqa: SIM118
            places |= dict.fromkeys(names, path)
    if len(places) > 2:
        return True  # it is quantized, and the embedding never is
    if places.keys() < {_EMBEDDING, _HEAD}:
        return False
    with _opened(places[_EMBEDDING]) as one, _opened(places[_HEAD]) as other:
        return not torch.equal(one.get_tensor(_EMBEDDING), other.get_tensor(_HEAD))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a safetensors file; what is wrong with it is a CheckpointError that names it."""
    from safetensors import SafetensorError, safe_open

    refuse_pointer(path)
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: damaged, or no safetensors file ({error})") from error


def _shards(directory: Path) -> list[Path]:
    """Return the files the index names; without one, every safetensors file."""
    index = directory / "model.safetensors.index.json"
    if index.is_file():
        # Some repositories hold a second copy under other names, which the index leaves out.
        where = read_json(index).get("weight_map")
        if not isinstance(where, dict) or not all(isinstance(n, str) for n in where.values()):
            raise CheckpointError(f"{index}: no weight_map of file names in it")
        files = [directory / name for name in sorted(set(where.values()))]
        for file in files:
            if not file.is_file():
                raise CheckpointError(f"{file}: listed in {index.name}, but not there")
        return files
    single = directory / "model.safetensors"
    files = [single] if single.is_file() else sorted(directory.glob("*.safetensors"))
    if not files:
        raise CheckpointError(f"{directory}: no *.safetensors file; convert the checkpoint first")
    return files


def matrix_rows(config: ModelConfig) -> dict[str, list[int]]:
    """Return how many rows of each of ``MATRICES`` each of its modules has."""
    q_rows = config.num_heads * config.head_dim
    kv_rows = config.num_kv_heads * config.head_dim
    return {
        "qkv": [q_rows, kv_rows, kv_rows],
        "out": [config.hidden_size],
        "gate_up": [config.intermediate_size] * 2,
        "down": [config.hidden_size],
    }


def named_views(weights: ModelWeights, config: ModelConfig) -> dict[str, Tensor]:
    """Map each Hugging Face name to the (view of the) tensor that holds it; no matrix is packed."""
    rows = matrix_rows(config)
    targets: dict[str, Tensor | None] = {
        _EMBEDDING: weights.embedding,
        "model.norm.weight": weights.norm,
    }
    if weights.lm_head is not weights.embedding:
        targets[_HEAD] = weights.lm_head
    for i, layer in enumerate(weights.layers):
        at = f"model.layers.{i}."
        targets[at + "input_layernorm.weight"] = layer.input_norm
        targets[at + "post_attention_layernorm.weight"] = layer.post_norm
        for matrix, modules in MATRICES.items():
            for module, view in zip(
                modules, getattr(layer, matrix).split(rows[matrix]), strict=True
            ):
                targets[f"{at}{module}.weight"] = view
        if layer.qkv_bias is not None:
            biases = layer.qkv_bias.split(rows["qkv"])
            for module, view in zip(MATRICES["qkv"], biases, strict=True):
                targets[f"{at}{module}.bias"] = view
        targets[at + "self_attn.q_norm.weight"] = layer.q_norm
        targets[at + "self_attn.k_norm.weight"] = layer.k_norm
        targets[at + "self_attn.o_proj.bias"] = layer.out_bias
    return {name: tensor for name, tensor in targets.items() if tensor is not None}
