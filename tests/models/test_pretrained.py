"""Language models as backbones: tiny ones from their configuration, and the bundled one."""

from pathlib import Path

import pytest
import torch
from small_shop import Shop
from transformers import BertConfig, BertModel, GPT2Config

from seasonrec.models.backbones.pretrained import PretrainedBackbone
from seasonrec.models.pretrained import load_model

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


def test_num_layers_keeps_so_many(shop: Shop, tiny: str) -> None:
    backbone = PretrainedBackbone(tiny, num_layers=2, weights="random", facts=shop.facts())
    assert backbone.model.config.num_hidden_layers == 2
    layers = backbone.model.encoder.layer if hasattr(backbone.model, "encoder") else backbone.model.h
    assert len(layers) == 2


@pytest.mark.parametrize("num_layers", [0, 4])
def test_num_layers_out_of_range(tiny: str, num_layers: int) -> None:
    with pytest.raises(ValueError, match=rf"num_layers of .* must lie in 1\.\.3, got {num_layers}; null keeps all"):
        load_model(tiny, num_layers=num_layers, random=True)


@pytest.mark.parametrize("tuned", ["all", "norms", "none"])
def test_what_is_tuned(shop: Shop, tiny: str, tuned: str) -> None:
    backbone = PretrainedBackbone(tiny, tuned=tuned, weights="random", facts=shop.facts())
    trained = {name for name, p in backbone.model.named_parameters() if p.requires_grad}
    every = {name for name, _ in backbone.model.named_parameters()} - {
        "embeddings.word_embeddings.weight",
        "wte.weight",
    }
    norms = {name for name in every if "LayerNorm" in name or "ln_" in name}
    assert norms
    assert trained == {"all": every, "norms": norms, "none": set()}[tuned]
    assert backbone.inward.weight.requires_grad


def test_truncation_keeps_the_first_layers_of_saved_weights(tmp_path: Path) -> None:
    config = BertConfig(vocab_size=40, hidden_size=32, num_hidden_layers=3, num_attention_heads=2, intermediate_size=48)
    BertModel(config).save_pretrained(tmp_path)
    full, first = load_model(str(tmp_path)).state_dict(), load_model(str(tmp_path), num_layers=2).state_dict()
    assert {name for name in full if "layer.2." in name} == set(full) - set(first)
    assert all(torch.equal(first[name], full[name]) for name in first)


def test_bundled_model_truncated_to_its_first_layer_is_causal(shop: Shop) -> None:
    backbone = PretrainedBackbone("minilm", num_layers=1, facts=shop.facts())
    full = load_model("minilm").state_dict()
    kept = {name: weight for name, weight in backbone.model.state_dict().items() if "encoder.layer" in name}
    assert kept
    assert all(name.startswith("encoder.layer.0.") and torch.equal(weight, full[name]) for name, weight in kept.items())
    assert_causal(backbone, 16)


def test_unknown_layers_message_names_the_model() -> None:
    with pytest.raises(ValueError, match=r"num_layers of 'minilm' must lie in 1\.\.6, got 7"):
        load_model("minilm", num_layers=7)
