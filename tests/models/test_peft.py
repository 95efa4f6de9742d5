"""Tests of every tuning method on every type of language model: training, causality, saving and merging."""

from pathlib import Path

import pytest
import torch
from peft_cases import DIM, Maker, disturb, inputs, trained_names, tuned_share
from safetensors import safe_open
from tiny_language_models import KINDS

from seasonrec.config import conf_dir
from seasonrec.models.peft.merging import merged
from seasonrec.training.checkpointing.weights import load_weights, save_weights

METHODS = sorted(path.stem for path in (conf_dir() / "peft").glob("*.yaml"))
STARTS_AS_LOADED = {"none", "frozen", "norms", "last_layers", "gradual", "lora", "dora", "adalora", "ia3", "adapter"}
CANNOT_MERGE = {"prefix", "prompt", "adapter"}
MARKS = {
    "adapter": (".up.", ".down."),
    "prefix": ("prompt_encoder.",),
    "prompt": ("prompt_encoder.",),
    "ia3": ("ia3_",),
}
MARKS |= dict.fromkeys(("lora", "dora", "adalora"), ("lora_",))
"""Parts of the names of the weights that a method adds."""

every_method = pytest.mark.parametrize("method", METHODS)
every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
@every_method
def test_output_is_causal_and_ignores_padding(make: Maker, kind: str, method: str) -> None:
    holder = make(kind, method).eval()
    disturb(holder)
    events, is_padding = inputs()
    events.requires_grad_()
    output = holder(events, is_padding)
    assert output.shape == events.shape
    assert output.isfinite().all()
    (output[:, 3] * torch.randn(DIM)).sum().backward()
    reached = events.grad.abs().sum(-1) > 0
    assert reached[:, :4].all()
    assert not reached[:, 4:].any()
    rubbish = torch.where(is_padding[..., None], 7.0, events)
    torch.testing.assert_close(holder(rubbish, is_padding)[1, :5], output[1, :5], rtol=0, atol=1e-5)
    alone = holder(events[1:, :5], is_padding[1:, :5])
    torch.testing.assert_close(alone[0], output[1, :5], rtol=0, atol=1e-5)


@every_kind
@every_method
def test_initial_outputs_are_those_of_the_loaded_model(make: Maker, kind: str, method: str) -> None:
    plain, tuned = make(kind, "none"), make(kind, method)
    batch = inputs()
    close = torch.allclose(plain(*batch), tuned(*batch), rtol=0, atol=1e-6)
    assert close == (method in STARTS_AS_LOADED)


def by_hand(kind: str, method: str, every: set[str]) -> set[str]:
    """Returns the trained names by hand, from the names of the layers of the three types."""
    embedding = {"bert": "embeddings.word_embeddings.weight", "gpt2": "wte.weight", "llama": "embed_tokens.weight"}
    top = {"bert": ("encoder.layer.2.",), "gpt2": ("h.2.", "ln_f."), "llama": ("layers.2.", "norm.")}[kind]
    norms = {"bert": "LayerNorm.", "gpt2": "ln_", "llama": "norm"}[kind]
    whole = every - {embedding[kind]}
    return {
        "none": whole,
        "gradual": whole,
        "frozen": set(),
        "norms": {name for name in every if norms in name},
        "last_layers": {name for name in every if name.startswith(top)},
    }[method]


@every_kind
@every_method
def test_the_expected_weights_are_trained_and_have_gradients(make: Maker, kind: str, method: str) -> None:
    holder = make(kind, method)
    every = {name for name, _ in make(kind, "none").backbone.language_model.named_parameters()}
    trained = trained_names(holder)
    if method in MARKS:
        names = {name for name, _ in holder.backbone.language_model.named_parameters()}
        assert trained == {name for name in names if any(mark in name for mark in MARKS[method])} != set()
        assert tuned_share(holder) < 0.55
    else:
        assert trained == by_hand(kind, method, every)
    assert all(p.requires_grad for p in [*holder.backbone.inward.parameters(), *holder.head.parameters()])
    disturb(holder)
    output = holder(*inputs())
    (output * torch.randn_like(output)).sum().backward()
    reached = {name for name, p in holder.named_parameters() if p.grad is not None and p.grad.any()}
    unreached = {name for name, p in holder.named_parameters() if p.requires_grad} - reached
    assert not {name for name in unreached if "key.bias" not in name}  # the output does not depend on a key's bias
    assert not [name for name, p in holder.named_parameters() if not p.requires_grad and p.grad is not None]


@every_kind
@every_method
def test_saved_weights_exclude_frozen_ones_and_give_equal_outputs(
    make: Maker, kind: str, method: str, tmp_path: Path
) -> None:
    holder, path = make(kind, method), tmp_path / "model.safetensors"
    disturb(holder)
    save_weights(path, holder)
    with safe_open(str(path), "pt") as file:
        kept = set(file.keys())
    trained = {name for name, p in holder.named_parameters() if p.requires_grad}
    assert kept == trained
    fresh, batch = make(kind, method, seed=5), inputs()
    assert not torch.equal(fresh(*batch), holder(*batch))
    load_weights(path, fresh)
    assert torch.equal(fresh(*batch), holder(*batch))


@every_kind
@every_method
def test_merged_model_is_plain_and_gives_equal_outputs(make: Maker, kind: str, method: str, tmp_path: Path) -> None:
    holder, batch = make(kind, method), inputs()
    disturb(holder)
    if method in CANNOT_MERGE:
        with pytest.raises(
            ValueError, match=f"peft={method} cannot be merged: .*choose peft=lora, dora, adalora or ia3"
        ):
            merged(holder)
        return
    expected = holder(*batch)
    plain = merged(holder)
    torch.testing.assert_close(plain(*batch), expected, rtol=0, atol=1e-5)
    assert type(plain.backbone.language_model) is type(make(kind, "none").backbone.language_model)
    assert torch.equal(holder(*batch), expected)
    save_weights(tmp_path / "plain.safetensors", plain)
    full = make(kind, "none", seed=5)
    load_weights(tmp_path / "plain.safetensors", full)
    assert torch.equal(full(*batch), plain(*batch))
