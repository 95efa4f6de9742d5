"""Tests of each tuning method against values computed by hand, and of the errors."""

import copy
from functools import partial
from typing import Any

import pytest
import torch
from peft_cases import DIM, LENGTH, Holder, Maker, disturb, inputs, method_of, trained_names, tuned_share
from small_shop import Shop
from tiny_language_models import KINDS, LAYERS, save_tiny
from torch import nn

from seasonrec.config import conf_dir
from seasonrec.models.backbone.pretrained import PretrainedBackbone
from seasonrec.models.backbone.sasrec import SASRec
from seasonrec.models.item_encoder.tuned_text import TunedTextItems
from seasonrec.models.language.lookup import language_models
from seasonrec.models.peft.adalora import AdaLoRA, orthogonality_term, ranks
from seasonrec.models.peft.adapter import Adapter
from seasonrec.models.peft.base import Tuning
from seasonrec.models.peft.gradual import GradualUnfreezing
from seasonrec.models.peft.ia3 import IA3
from seasonrec.models.peft.last_layers import LastLayers
from seasonrec.models.peft.layers import attention_outputs, depths, feedforward_outputs
from seasonrec.models.peft.lora import LoRA
from seasonrec.models.peft.merging import merged
from seasonrec.models.peft.prefix import PrefixTuning
from seasonrec.models.peft.prompt import PromptTuning
from seasonrec.training.optimizer import AdamWOptions

METHODS = sorted(path.stem for path in (conf_dir() / "peft").glob("*.yaml"))

every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
def test_lora_by_hand(make: Maker, kind: str) -> None:
    """Replaces the adapted matrices by ``W + (alpha / r) B A`` in a plain model."""
    holder, plain, batch = make(kind, partial(LoRA, rank=3, alpha=5.0)), make(kind, "none"), inputs()
    disturb(holder)
    plain.load_state_dict({n: v for n, v in holder.state_dict().items() if "language_model" not in n}, strict=False)
    changed = 0
    with torch.no_grad():
        for name, module in holder.backbone.language_model.named_modules():
            if hasattr(module, "lora_A"):
                change = 5.0 / 3 * module.lora_B["default"].weight @ module.lora_A["default"].weight
                weight = plain.backbone.language_model.get_submodule(name.removeprefix("base_model.model.")).weight
                weight += change.T if kind == "gpt2" else change
                changed += 1
    assert changed == (LAYERS if kind == "gpt2" else 2 * LAYERS)
    torch.testing.assert_close(holder(*batch), plain(*batch), rtol=0, atol=1e-5)


def test_ia3_scales_only_keys_values_and_feedforward_inputs(make: Maker) -> None:
    names = {name.partition("layer.0.")[2].partition(".ia3")[0] for name in trained_names(make("bert", IA3))} - {""}
    assert names == {"attention.self.key", "attention.self.value", "output.dense"}


def stack_of(*names: str) -> nn.Module:
    """Returns a stand-in for another type of language model: one layer of linear layers with these names."""
    layer = nn.Module()
    for name in names:
        block = layer
        for part in name.split(".")[:-1]:
            if not hasattr(block, part):
                block.add_module(part, nn.Module())
            block = getattr(block, part)
        block.add_module(name.rpartition(".")[2], nn.Linear(4, 4))
    model = nn.Module()
    model.layers = nn.ModuleList([layer])
    return model


@pytest.mark.parametrize(
    ("kind", "attention", "feedforward"),
    [
        ("GPT-NeoX", "attention.dense", "mlp.dense_4h_to_h"),
        ("BLOOM, Falcon", "self_attention.dense", "mlp.dense_4h_to_h"),
        ("Phi", "self_attn.dense", "mlp.fc2"),
        ("GPT-J", "attn.out_proj", "mlp.fc_out"),
        ("ModernBERT", "attn.Wo", "mlp.Wo"),
        ("DistilBERT", "attention.out_lin", "ffn.lin2"),
        ("BERT", "attention.output.dense", "output.dense"),
    ],
)
def test_last_layers_of_blocks_are_found_by_name(kind: str, attention: str, feedforward: str) -> None:
    model = stack_of(attention, feedforward, "mlp.other")
    assert attention_outputs(model) == [f"layers.0.{attention}"]
    assert feedforward_outputs(model) == [f"layers.0.{feedforward}"]


@pytest.mark.parametrize("method", [IA3, Adapter])
def test_a_method_that_finds_only_one_kind_of_block_is_refused(shop: Shop, method: Any) -> None:
    model = stack_of("attention.value", "attention.output.dense", "mlp.strange")
    with pytest.raises(ValueError, match=r"no layer of the feed-forward blocks of Module has a known name; name"):
        method(facts=shop.facts(DIM)).tune(model)


def test_scales_of_ia3_do_not_decay(make: Maker) -> None:
    """The scales start at 1, and at 0 a layer would have no effect."""
    holder = make("bert", IA3)
    built = AdamWOptions(weight_decay=0.3).build(holder, total_steps=10)["optimizer"]
    decay = {id(p): group["weight_decay"] for group in built.param_groups for p in group["params"]}
    scales = {name: p for name, p in holder.named_parameters() if "ia3_l" in name}
    assert len(scales) == 3 * LAYERS
    assert {decay[id(p)] for p in scales.values()} == {0.0}
    assert decay[id(holder.head.weight)] == 0.3


@pytest.mark.parametrize("method", METHODS)
def test_pretrained_weights_may_have_a_lower_learning_rate(make: Maker, method: str) -> None:
    """Only the weights of the language model have the lower rate; added weights have the full rate."""
    holder = make("bert", method)
    options = AdamWOptions(learning_rate=0.5, warmup_share=0.0, weight_decay=0.3, pretrained_factor=0.1)
    built = options.build(holder, total_steps=10)["optimizer"]
    group_of = {id(p): group for group in built.param_groups for p in group["params"]}
    trained = {name: p for name, p in holder.named_parameters() if p.requires_grad}
    assert len(group_of) == len(trained)
    for name, parameter in trained.items():
        own = "language_model" in name and method in ("none", "norms", "last_layers", "gradual")
        assert group_of[id(parameter)]["lr"] == pytest.approx(0.05 if own else 0.5), name
        is_matrix = parameter.ndim >= 2 and "ia3_l" not in name
        assert group_of[id(parameter)]["weight_decay"] == (0.3 if is_matrix else 0.0), name


def test_an_adapter_is_as_wide_as_its_block(make: Maker) -> None:
    holder = make("bert", partial(Adapter, target_modules=("intermediate.dense",)))
    assert holder(*inputs()).shape == inputs()[0].shape
    widths = {p.shape[0] for name, p in holder.named_parameters() if name.endswith("up.weight")}
    assert widths == {48}


@pytest.mark.parametrize(("after", "blocks"), [("both", 2 * LAYERS), ("feedforward", LAYERS)])
@every_kind
def test_adapters_follow_the_blocks(make: Maker, kind: str, after: str, blocks: int) -> None:
    names = {name.rpartition(".up.")[0] for name in trained_names(make(kind, partial(Adapter, after=after)))} - {""}
    assert len(names) == blocks


@pytest.mark.parametrize("width", [None, 12])
@every_kind
def test_every_position_attends_to_the_prefix(make: Maker, kind: str, width: int | None) -> None:
    holder = make(kind, partial(PrefixTuning, num_tokens=2, hidden_dim=width))
    batch = inputs()
    before = holder(*batch)
    with torch.no_grad():
        holder.backbone.language_model.prompt_encoder["default"].embedding.weight.mul_(-3)
    assert ((holder(*batch) - before).abs().amax(-1) > 1e-4)[~batch[1]].all()


def test_prompt_positions_are_removed_from_the_output(make: Maker) -> None:
    holder, batch = make("gpt2", partial(PromptTuning, num_tokens=5)), inputs()
    whole = holder.backbone.language_model(
        inputs_embeds=holder.backbone.inward(batch[0]), attention_mask=(~batch[1]).long(), use_cache=False
    ).last_hidden_state
    assert whole.shape[1] == LENGTH + 5
    assert torch.equal(holder.backbone.outward(whole[:, 5:]), holder.backbone(*batch))


@pytest.mark.parametrize("method", [PromptTuning, PrefixTuning])
def test_prompts_that_leave_too_few_positions_are_refused(make: Maker, method: Any) -> None:
    """GPT-2 has 64 positions here; a window needs one more position than it has events."""
    room = 64 - (make.facts.max_seq_len + 1)
    fits = make("gpt2", partial(method, num_tokens=room))
    longest = torch.randn(1, make.facts.max_seq_len + 1, DIM)
    assert fits(longest, torch.zeros(longest.shape[:2], dtype=torch.bool)).isfinite().all()
    with pytest.raises(
        ValueError, match=f"fit the 64 positions of its language model, got 65; set peft.num_tokens to at most {room}"
    ):
        make("gpt2", partial(method, num_tokens=room + 1))
    make("llama", partial(method, num_tokens=room + 1))  # rotary positions are unlimited


def test_gradual_unfreezes_from_the_top(make: Maker) -> None:
    holder = make("gpt2", partial(GradualUnfreezing, first_share=0.1, last_share=0.7))
    holder.peft.before_training(100)
    depth = depths(holder.backbone.language_model)
    assert {depth["wpe.weight"], depth["h.0.ln_1.weight"], depth["h.2.ln_1.weight"], depth["ln_f.weight"]} == {0, 1, 3}
    found = {}
    for step in (0, 9, 10, 29, 30, 50, 69, 70, 99):
        output = holder(*inputs())
        output.square().sum().backward()
        holder.peft.before_step(step)
        left = {depth[n] for n, p in holder.backbone.language_model.named_parameters() if p.grad is not None}
        found[step] = left
        assert holder.head.weight.grad is not None
        holder.zero_grad()
    three, all_ = {3, 2}, {3, 2, 1, 0}
    assert found == {0: set(), 9: set(), 10: {3}, 29: {3}, 30: three, 50: {3, 2, 1}, 69: {3, 2, 1}, 70: all_, 99: all_}


def test_gradual_does_not_change_frozen_weights(make: Maker) -> None:
    """AdamW skips weights without a gradient: no step and no decay."""
    holder = make("bert", GradualUnfreezing)
    holder.peft.before_training(10)
    before = copy.deepcopy(holder.backbone.language_model.state_dict())
    optimizer = torch.optim.AdamW(holder.parameters(), lr=0.1, weight_decay=0.1)
    holder(*inputs()).square().sum().backward()
    holder.peft.before_step(0)
    optimizer.step()
    moved = {n for n, v in holder.backbone.language_model.state_dict().items() if not torch.equal(v, before[n])}
    assert moved
    assert all(name.startswith("encoder.layer.2.") for name in moved)


def test_orthogonality_by_hand(make: Maker) -> None:
    holder = make("llama", partial(AdaLoRA, initial_rank=3, target_rank=2, orthogonality=0.3))
    disturb(holder)
    weights = {n: p for n, p in holder.backbone.language_model.named_parameters() if "lora_A" in n or "lora_B" in n}
    rows = [p if "lora_A" in n else p.T for n, p in weights.items()]
    expected = sum(((r @ r.T - torch.eye(3)) ** 2).sum().sqrt() for r in rows) / len(rows)
    term, factors = orthogonality_term(holder.backbone.language_model)
    torch.testing.assert_close(term, expected)
    assert len(factors) == len(weights) == 2 * 7 * LAYERS
    (0.3 * expected).backward()
    by_hand = {n: p.grad.clone() + 1 for n, p in weights.items()}
    for parameter in weights.values():
        parameter.grad = torch.ones_like(parameter)
    holder.peft.before_step(0)
    for name, parameter in weights.items():
        torch.testing.assert_close(parameter.grad, by_hand[name])


@pytest.mark.parametrize("target", ["item_encoder", "backbone"])
def test_only_the_target_of_two_language_models_is_tuned(make: Maker, target: str) -> None:
    name = save_tiny("bert", make.folder)
    items, backbone = TunedTextItems(name, facts=make.facts), PretrainedBackbone(name, facts=make.facts)
    both = nn.ModuleDict({"item_encoder": items, "backbone": backbone})
    assert list(language_models(both)) == ["item_encoder", "backbone"]
    LoRA(target=target, facts=make.facts).apply(both)
    trained = {n for n, p in both.named_parameters() if p.requires_grad and "language_model" in n}
    assert len(trained) == 4 * LAYERS
    assert all(n.startswith(f"{target}.language_model.") and "lora_" in n for n in trained)


def test_merging_unfreezes_the_language_model_that_was_not_the_target(make: Maker) -> None:
    name = save_tiny("bert", make.folder)
    items, backbone = TunedTextItems(name, facts=make.facts), PretrainedBackbone(name, facts=make.facts)
    both = nn.ModuleDict({"item_encoder": items, "backbone": backbone})
    both.peft = LoRA(target="backbone", facts=make.facts)
    both.peft.apply(both)
    frozen = {n for n, p in merged(both).named_parameters() if not p.requires_grad}
    assert frozen == {"backbone.language_model.embeddings.word_embeddings.weight"}  # one unused row


def test_merging_a_model_whose_backbone_was_replaced(make: Maker) -> None:
    """The model of a further domain has the backbone of the main model."""
    main, other = make("bert", "lora"), make("bert", "lora", seed=4)
    disturb(main)
    other.backbone = main.backbone
    plain, batch = merged(other), inputs()
    assert type(plain.backbone.language_model) is type(make("bert", "none").backbone.language_model)
    torch.testing.assert_close(plain(*batch), other(*batch), rtol=0, atol=1e-5)


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"none"}))
def test_model_without_a_language_model_is_refused(shop: Shop, method: str) -> None:
    model = nn.ModuleDict({"backbone": SASRec(facts=shop.facts(DIM))})
    with pytest.raises(
        ValueError, match=f"peft={method} needs a language model in the model, found none; choose backbone="
    ):
        method_of(method)(facts=shop.facts(DIM)).apply(model)
    method_of("none")(facts=shop.facts(DIM)).apply(model)


def test_a_tuning_must_define_tune() -> None:
    with pytest.raises(TypeError, match=r"abstract method '?tune"):
        Tuning()  # type: ignore[abstract]


def test_target_without_a_language_model_is_refused(make: Maker) -> None:
    with pytest.raises(ValueError, match=r"in peft.target=item_encoder, found \['backbone'\]; .*or peft.target=all"):
        make("bert", partial(LoRA, target="item_encoder"))


@pytest.mark.parametrize("method", [LoRA, IA3, Adapter, AdaLoRA])
def test_target_that_matches_no_layer_is_refused(make: Maker, method: Any) -> None:
    with pytest.raises(
        ValueError, match=r"peft=\w+: .* got \['query', 'valeu'\]; \['valeu'\] match none; choose .*value"
    ):
        make("bert", partial(method, target_modules=("query", "valeu")))


def test_prefix_with_gradient_checkpointing_is_refused(make: Maker) -> None:
    with pytest.raises(ValueError, match=r"peft=prefix does not support backbone.gradient_checkpointing=true"):
        make("bert", "prefix", gradient_checkpointing=True)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (partial(LoRA, rank=0), "peft.rank must be at least 1, got 0"),
        (partial(LoRA, alpha=0.0), r"peft.alpha must be above 0, got 0\.0"),
        (partial(AdaLoRA, alpha=-1.0), r"peft.alpha must be above 0, got -1\.0"),
        (partial(AdaLoRA, every_steps=0), "peft.every_steps must be at least 1, got 0"),
        (partial(Adapter, bottleneck_dim=0), "peft.bottleneck_dim must be at least 1, got 0"),
        (partial(PromptTuning, num_tokens=0), "peft.num_tokens must be at least 1, got 0"),
        (partial(LastLayers, num_layers=4), r"peft.num_layers must lie in 1\.\.3, .*got 4"),
        (
            partial(GradualUnfreezing, first_share=0.6),
            r"peft\.first_share must lie in \[0, last_share=0\.5\]",
        ),
        (partial(AdaLoRA, target_rank=12), r"peft\.target_rank must lie in \[1, initial_rank=12\), got 12; try 8"),
        (
            partial(AdaLoRA, first_share=0.7),
            r"peft\.first_share must lie in \[0, last_share=0\.7\), got 0\.7",
        ),
    ],
)
def test_options_out_of_range(make: Maker, made: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make("bert", made)


def test_ranks_are_counted(make: Maker) -> None:
    holder = make("bert", partial(AdaLoRA, initial_rank=3, target_rank=2))
    assert set(ranks(holder.backbone.language_model).values()) == {0}  # E starts at zero
    disturb(holder)
    assert set(ranks(holder.backbone.language_model).values()) == {3}
    assert holder.peft.record() == {"ranks": {"backbone": ranks(holder.backbone.language_model)}}
    assert len(ranks(holder.backbone.language_model)) == 6 * LAYERS


def test_the_bundled_model_with_lora(shop: Shop) -> None:
    backbone = PretrainedBackbone("minilm", num_layers=1, facts=shop.facts(DIM))
    holder, batch = Holder(backbone).eval(), inputs()
    before = holder(*batch)
    LoRA(facts=shop.facts(DIM)).apply(holder)
    torch.testing.assert_close(holder(*batch), before, rtol=0, atol=1e-6)
    assert tuned_share(holder) < 0.01
