"""Small language models of three types with random weights, saved as files."""

from functools import cache
from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import (
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2Model,
    LlamaConfig,
    LlamaModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

KINDS = ("bert", "gpt2", "llama")
LAYERS = 3
WORDS = (*map(str, range(30)), "winter", "spring", "summer", "autumn", "number")
"""Words of the texts of the small shop."""


@cache
def _made(kind: str, layers: int) -> PreTrainedModel:
    torch.manual_seed(1)
    size = {"vocab_size": 40, "bos_token_id": 0, "eos_token_id": 1}
    if kind == "bert":
        return BertModel(
            BertConfig(**size, hidden_size=32, num_hidden_layers=layers, num_attention_heads=2, intermediate_size=48)
        )
    if kind == "gpt2":
        return GPT2Model(GPT2Config(**size, n_embd=32, n_layer=layers, n_head=2, n_positions=64))
    return LlamaModel(
        LlamaConfig(
            **size,
            hidden_size=32,
            num_hidden_layers=layers,
            num_attention_heads=4,
            num_key_value_heads=2,
            intermediate_size=48,
        )
    )


def save_tiny(kind: str, folder: Path, layers: int = LAYERS) -> str:
    """Writes a model with a tokenizer of a few words; its weights are larger than usual, so that each layer matters."""
    path = folder / f"{kind}_{layers}"
    if not path.exists():
        with torch.no_grad(), torch.random.fork_rng(devices=[]):  # all callers draw the same weights
            model = _made(kind, layers)
            torch.manual_seed(2)
            for parameter in model.parameters():
                parameter.copy_(parameter + 0.1 * torch.randn_like(parameter))
        model.save_pretrained(path)
        words = {word: place for place, word in enumerate(("[PAD]", "[END]", "[UNK]", *WORDS))}
        tokenizer = Tokenizer(WordLevel(words, unk_token="[UNK]"))
        tokenizer.pre_tokenizer = Whitespace()
        special = {"pad_token": "[PAD]", "eos_token": "[END]", "unk_token": "[UNK]"}
        PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(path)
    return str(path)
