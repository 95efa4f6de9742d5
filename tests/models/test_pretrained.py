"""Tests of language models as backbones: tiny models with random weights, and the bundled one."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft_cases import DIM, Maker, inputs
from small_shop import Shop
from tiny_language_models import KINDS
from transformers import (
    AlbertConfig,
    BertConfig,
    BertModel,
    DistilBertConfig,
    ElectraConfig,
    GPT2Config,
    LlamaConfig,
    ModernBertConfig,
    PreTrainedConfig,
    RobertaConfig,
)

from seasonrec.models.backbone.pretrained import PretrainedBackbone
from seasonrec.models.language.pretrained import fetched_folder, load_model, num_positions, resolve

LENGTH = 9


@pytest.fixture(params=["bert", "gpt2"])
def tiny(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    config = {
        "bert": BertConfig(
            vocab_size=40, hidden_size=32, num_hidden_layers=3, num_attention_heads=2, intermediate_size=48
        ),
        "gpt2": GPT2Config(vocab_size=40, n_embd=32, n_layer=3, n_head=2, n_positions=64),
    }[request.param]
    config.save_pretrained(tmp_path)
    return str(tmp_path)


def assert_causal(backbone: PretrainedBackbone, dim: int) -> None:
    backbone.eval()
    inputs = torch.randn(2, LENGTH, dim, requires_grad=True)
    is_padding = torch.arange(LENGTH) >= torch.tensor([[LENGTH], [6]])
    hidden = backbone(inputs, is_padding)
    assert hidden.shape == inputs.shape
    (hidden[:, 4] * torch.randn(dim)).sum().backward()
    assert inputs.grad is not None
    reached = inputs.grad.abs().sum(-1) > 0
    assert reached[:, :5].all()
    assert not reached[:, 5:].any()
    rubbish = torch.where(is_padding[..., None], 7.0, inputs)
    torch.testing.assert_close(backbone(rubbish, is_padding)[:, :6], hidden[:, :6], rtol=0, atol=1e-5)


def test_tiny_model_from_its_configuration_is_causal(shop: Shop, tiny: str) -> None:
    assert_causal(PretrainedBackbone(tiny, weights="random", facts=shop.facts()), 16)


SIZE = {"vocab_size": 40, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}


@pytest.mark.parametrize(
    "config",
    [
        DistilBertConfig(vocab_size=40, dim=32, n_layers=2, n_heads=2, hidden_dim=48),
        AlbertConfig(embedding_size=32, **SIZE),
        ModernBertConfig(pad_token_id=0, bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2, **SIZE),
    ],
    ids=lambda config: config.model_type,
)
def test_models_that_read_later_positions_are_refused(shop: Shop, tmp_path: Path, config: PreTrainedConfig) -> None:
    config.save_pretrained(tmp_path)
    with pytest.raises(
        ValueError, match=r"lets a position read later ones, even as a decoder, and would read its own targets"
    ):
        PretrainedBackbone(str(tmp_path), weights="random", facts=shop.facts())


@pytest.mark.parametrize(
    "config",
    [RobertaConfig(max_position_embeddings=60, **SIZE), ElectraConfig(embedding_size=32, **SIZE)],
    ids=lambda config: config.model_type,
)
def test_further_encoders_are_causal(shop: Shop, tmp_path: Path, config: PreTrainedConfig) -> None:
    config.save_pretrained(tmp_path)
    assert_causal(PretrainedBackbone(str(tmp_path), weights="random", facts=shop.facts()), 16)


@pytest.mark.parametrize(
    ("config", "positions"),
    [
        (BertConfig(max_position_embeddings=21, **SIZE), 21),
        (RobertaConfig(max_position_embeddings=23, pad_token_id=1, **SIZE), 21),
        (GPT2Config(vocab_size=40, n_embd=32, n_layer=2, n_head=2, n_positions=21), 21),
        (LlamaConfig(max_position_embeddings=21, **SIZE), None),
    ],
    ids=lambda of: getattr(of, "model_type", ""),
)
def test_windows_longer_than_the_positions_are_refused(
    shop: Shop, tmp_path: Path, config: PreTrainedConfig, positions: int | None
) -> None:
    config.save_pretrained(tmp_path)
    fits, too_long = (replace(shop.facts(), max_seq_len=length) for length in (20, 21))
    backbone = PretrainedBackbone(str(tmp_path), weights="random", facts=fits)
    assert num_positions(backbone.language_model) == positions
    assert backbone(torch.randn(1, 21, 16), torch.zeros(1, 21, dtype=torch.bool)).shape == (1, 21, 16)
    if positions is None:
        PretrainedBackbone(str(tmp_path), weights="random", facts=too_long)
        return
    with pytest.raises(ValueError, match=r"has 21 positions, and max_seq_len=21 needs 22; set max_seq_len to at most"):
        PretrainedBackbone(str(tmp_path), weights="random", facts=too_long)


def test_num_layers_is_the_number_of_kept_layers(shop: Shop, tiny: str) -> None:
    backbone = PretrainedBackbone(tiny, num_layers=2, weights="random", facts=shop.facts())
    language_model = backbone.language_model
    assert language_model.config.num_hidden_layers == 2
    layers = language_model.encoder.layer if hasattr(language_model, "encoder") else language_model.h
    assert len(layers) == 2


@pytest.mark.parametrize("num_layers", [0, 4])
def test_num_layers_out_of_range(tiny: str, num_layers: int) -> None:
    with pytest.raises(ValueError, match=rf"num_layers of .* must lie in 1\.\.3, got {num_layers}; null keeps all"):
        load_model(tiny, num_layers=num_layers, random=True)


def test_truncation_keeps_the_first_layers_of_saved_weights(tmp_path: Path) -> None:
    config = BertConfig(vocab_size=40, hidden_size=32, num_hidden_layers=3, num_attention_heads=2, intermediate_size=48)
    BertModel(config).save_pretrained(tmp_path)
    full, first = load_model(str(tmp_path)).state_dict(), load_model(str(tmp_path), num_layers=2).state_dict()
    assert {name for name in full if "layer.2." in name} == set(full) - set(first)
    assert all(torch.equal(first[name], full[name]) for name in first)


def test_bundled_model_truncated_to_its_first_layer_is_causal(shop: Shop) -> None:
    backbone = PretrainedBackbone("minilm", num_layers=1, facts=shop.facts())
    full = load_model("minilm").state_dict()
    kept = {name: weight for name, weight in backbone.language_model.state_dict().items() if "encoder.layer" in name}
    assert kept
    assert all(name.startswith("encoder.layer.0.") and torch.equal(weight, full[name]) for name, weight in kept.items())
    assert_causal(backbone, 16)


def test_unknown_layers_message_names_the_model() -> None:
    with pytest.raises(ValueError, match=r"num_layers of 'minilm' must lie in 1\.\.6, got 7"):
        load_model("minilm", num_layers=7)


@pytest.mark.parametrize("method", ["none", "lora", "adapter", "prompt"])
@pytest.mark.parametrize("kind", KINDS)
def test_gradient_checkpointing_computes_layers_twice_with_equal_gradients(make: Maker, kind: str, method: str) -> None:
    batch, gradients, calls = inputs(), [], []
    for twice in (False, True):
        holder = make(kind, method, gradient_checkpointing=twice)
        block = next(m for n, m in holder.named_modules() if n.endswith((".layer.1", ".h.1", ".layers.1")))
        count = [0]
        next(block.children()).register_forward_hook(lambda *args, count=count: count.__setitem__(0, count[0] + 1))
        output = holder(*batch)
        (output * torch.arange(DIM)).sum().backward()
        gradients.append([p.grad for p in holder.parameters() if p.requires_grad])
        calls.append(count[0])
    assert calls == [1, 2]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_a_model_that_was_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEASONREC_CACHE", str(tmp_path))
    with pytest.raises(ValueError, match=r"'smollm2' was not found in .*; fetch it once with python -m seasonrec"):
        resolve("smollm2")
    fetched_folder("smollm2").mkdir(parents=True)
    (fetched_folder("smollm2") / "config.json").touch()
    assert resolve("smollm2") == str(tmp_path / "models" / "smollm2")
