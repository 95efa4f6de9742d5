"""Tests of weights files that belong to a frozen language model."""

from functools import partial
from pathlib import Path

import pytest
import torch
from peft_cases import Maker, inputs, tuned_share
from tiny_language_models import LAYERS

from seasonrec.models.peft.lora import LoRA
from seasonrec.training.checkpointing.weights import WeightsError, load_weights, save_weights


def test_a_file_of_other_weights_is_refused(make: Maker, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_weights(path, make("bert", "lora"))
    with pytest.raises(
        WeightsError, match=r"must hold every weight but .* lacks \d+ .*lora_.*set peft and its options"
    ):
        load_weights(path, make("bert", partial(LoRA, target_modules="all-linear")))
    with pytest.raises(WeightsError, match=r"has 12 more .*lora_"):
        load_weights(path, make("bert", "frozen"))
    save_weights(path, make("bert", "none"))
    with pytest.raises(WeightsError, match="more"):
        load_weights(path, make("bert", "frozen"))


def test_another_version_of_the_language_model_is_refused(make: Maker, tmp_path: Path) -> None:
    save_weights(tmp_path / "model.safetensors", make("bert", "lora"))
    other = make("bert", "lora")
    with torch.no_grad():
        other.backbone.language_model.base_model.model.encoder.layer[0].output.dense.weight[0, 0] += 1e-3
    with pytest.raises(WeightsError, match="trained beside other weights of the frozen language model"):
        load_weights(tmp_path / "model.safetensors", other)


def test_frozen_random_weights_are_saved(make: Maker, tmp_path: Path) -> None:
    holder, batch = make("gpt2", "lora", weights="random"), inputs()
    save_weights(tmp_path / "model.safetensors", holder)
    fresh = make("gpt2", "lora", seed=5, weights="random")
    load_weights(tmp_path / "model.safetensors", fresh)
    assert torch.equal(fresh(*batch), holder(*batch))


def test_the_file_has_the_size_of_the_trained_weights(make: Maker, tmp_path: Path) -> None:
    path, holder = tmp_path / "model.safetensors", make("llama", "lora")
    save_weights(path, holder)
    added = 2 * LAYERS * 8 * 32 + LAYERS * 8 * (32 + 16)  # rank 8: queries 32 to 32, values 32 to 16
    around = 2 * 16 * 32 + 32 + 16 + 16 * 16 + 16
    assert sum(p.numel() for p in holder.parameters() if p.requires_grad) == added + around
    assert path.stat().st_size < 4 * (added + around) + 12_000
    assert tuned_share(holder) == added / (sum(p.numel() for p in holder.parameters()) - around)
