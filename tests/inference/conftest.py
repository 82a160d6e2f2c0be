"""Small random checkpoints of each family, made by transformers and greedy-decoded by it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

# A second busy process slows two-threaded torch several times over.
torch.set_num_threads(1)
# Read when Triton is imported, which is when the first engine or test chooses a kernel.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

VOCAB = 160
_SHAPE = {
    "vocab_size": VOCAB,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 256,
    # Wide, so that logits lie far apart and rounding cannot swap the first two.
    "initializer_range": 0.4,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}
_ROPE = {
    "linear": {"rope_type": "linear", "rope_theta": 10_000.0, "factor": 4.0},
    "llama3": {
        "rope_type": "llama3",
        "rope_theta": 100.0,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 32,
    },
    "dynamic": {"rope_type": "dynamic", "rope_theta": 10_000.0, "factor": 4.0},
    "yarn": {
        "rope_type": "yarn",
        "rope_theta": 10_000.0,
        "factor": 4.0,
        "original_max_position_embeddings": 64,
    },
    "yarn-stated": {
        "rope_type": "yarn",
        "rope_theta": 500.0,
        "factor": 8.0,
        "original_max_position_embeddings": 32,
        "beta_fast": 4.0,
        "beta_slow": 0.5,
        "truncate": False,
        "attention_factor": 0.9,
    },
    # Short factors: an engine of 256 positions stays within the original context.
    "longrope": {
        "rope_type": "longrope",
        "rope_theta": 10_000.0,
        "factor": 4.0,
        "short_factor": [1.0, 1.5, 2.0, 3.0],
        "long_factor": [2.0, 4.0, 8.0, 16.0],
        "original_max_position_embeddings": 256,
    },
}
VARIANTS: dict[str, dict[str, Any]] = {
    "llama": {"tie_word_embeddings": False},
    "llama-tied": {"tie_word_embeddings": True},
    "llama-biased": {"attention_bias": True},
    "llama-linear": {"rope_parameters": _ROPE["linear"]},
    "llama-llama3": {"rope_parameters": _ROPE["llama3"]},
    "llama-dynamic": {"rope_parameters": _ROPE["dynamic"]},
    "llama-yarn": {"rope_parameters": _ROPE["yarn"]},
    "qwen3-yarn-stated": {"rope_parameters": _ROPE["yarn-stated"]},
    "llama-longrope": {"rope_parameters": _ROPE["longrope"]},
    "mistral": {"sliding_window": None},
    "mistral-window": {"sliding_window": 7},
    "qwen2": {"tie_word_embeddings": True},
    "qwen2-window": {"use_sliding_window": True, "sliding_window": 5, "max_window_layers": 1},
    "qwen3": {"tie_word_embeddings": False},
    "qwen3-tied": {"tie_word_embeddings": True},
}
PROMPT_LENGTHS = (1, 2, 5, 16, 17, 33, 40)
NUM_OUTPUT = 12


@dataclass(frozen=True)
class Oracle:
    """A checkpoint, prompts, and what transformers makes of them, greedy, one at a time."""

    directory: Path
    prompts: list[list[int]]
    expected: list[list[int]]


def build_hub_model(variant: str) -> Any:
    """Return a random transformers model of a variant, the same every time."""
    import transformers

    family = variant.split("-")[0]
    classes = {
        "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM),
        "mistral": (transformers.MistralConfig, transformers.MistralForCausalLM),
        "qwen2": (transformers.Qwen2Config, transformers.Qwen2ForCausalLM),
        "qwen3": (transformers.Qwen3Config, transformers.Qwen3ForCausalLM),
    }
    config_class, model_class = classes[family]
    torch.manual_seed(7)
    model = model_class(config_class(**_SHAPE, **VARIANTS[variant])).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # Norms of 1 and biases of 0 would pass unread.
            if name.endswith("norm.weight"):
                parameter.copy_(1 + 0.3 * torch.randn_like(parameter))
            elif name.endswith("bias"):
                parameter.copy_(0.5 * torch.randn_like(parameter))
    return model


def prompts_of(seed: int = 11) -> list[list[int]]:
    """Return prompts of uneven lengths, some beginning alike."""
    generator = torch.Generator().manual_seed(seed)
    shared = torch.randint(VOCAB, (24,), generator=generator).tolist()
    prompts = [torch.randint(VOCAB, (n,), generator=generator).tolist() for n in PROMPT_LENGTHS]
    return [*prompts, [*shared, 1], [*shared, 2, 3], shared[:12]]


@pytest.fixture(scope="session")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a function from a variant's name to its Oracle, each made once."""
    made: dict[str, Oracle] = {}

    def get(variant: str) -> Oracle:
        if variant not in made:
            directory = tmp_path_factory.mktemp(variant)
            model = build_hub_model(variant)
            model.save_pretrained(directory)
            made[variant] = Oracle(directory, prompts_of(), [])
            for prompt in made[variant].prompts:
                ids = torch.tensor([prompt])
                out = model.generate(
                    ids,
                    attention_mask=torch.ones_like(ids),
                    max_new_tokens=NUM_OUTPUT,
                    do_sample=False,
                )
                made[variant].expected.append(out[0, len(prompt) :].tolist())
        return made[variant]

    return get


@pytest.fixture
def llama_directory(oracle: Any, tmp_path: Path) -> Any:
    """Return a function that copies the small Llama with keys of its config.json changed."""

    def make(**changes: Any) -> Path:
        source = oracle("llama").directory
        raw = json.loads((source / "config.json").read_text()) | changes
        (tmp_path / "config.json").write_text(
            json.dumps({k: v for k, v in raw.items() if v is not ...})
        )
        weights = tmp_path / "model.safetensors"
        if not weights.exists():
            weights.symlink_to(source / "model.safetensors")
        return tmp_path

    return make


WORDS = ["the", " cat", " sat", " on", " a", " mat", "é", "日本", " and", " so", "th", "e"]


def make_tokenizer() -> Any:
    """Return a byte-level tokenizer: every byte is a token, and a few words are."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<end>"],
        show_progress=False,
    )
    inner.train_from_iterator(["".join(WORDS) * 3, "the cat sat on the mat" * 5], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<end>")


@pytest.fixture(scope="session")
def text_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama over that tokenizer: its output is bytes in no good order."""
    return write_text_model(tmp_path_factory.mktemp("text"))


def write_text_model(directory: Path, *, max_position: int = 256) -> Path:
    """Write that model and return its directory."""
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = make_tokenizer()
    tokenizer.save_pretrained(directory)
    torch.manual_seed(5)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=max_position,
        initializer_range=0.4,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(directory)
    return directory
