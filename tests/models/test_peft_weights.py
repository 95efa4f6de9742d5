"""Files of weights beside a frozen language model."""

from functools import partial
from pathlib import Path

import pytest
import torch
from peft_cases import Maker, inputs
from tiny_language_models import LAYERS
from torch import nn

from seasonrec.models.peft.lora import LoRA
from seasonrec.training.weights import WeightsError, load_weights, save_weights, tuned_share, weights_record


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


def test_random_weights_are_kept_though_frozen(make: Maker, tmp_path: Path) -> None:
    holder, batch = make("gpt2", "lora", weights="random"), inputs()
    save_weights(tmp_path / "model.safetensors", holder)
    fresh = make("gpt2", "lora", seed=5, weights="random")
    load_weights(tmp_path / "model.safetensors", fresh)
    assert torch.equal(fresh(*batch), holder(*batch))


def test_record_says_what_is_trained_and_how_large_the_file_is(make: Maker, tmp_path: Path) -> None:
    path, holder = tmp_path / "model.safetensors", make("llama", "lora")
    save_weights(path, holder)
    record = weights_record(path, holder)
    added = 2 * LAYERS * 8 * 32 + LAYERS * 8 * (32 + 16)  # rank 8: queries 32 to 32, values 32 to 16
    around = 2 * 16 * 32 + 32 + 16 + 16 * 16 + 16
    assert record["trained_parameters"] == added + around
    assert record["weights_bytes"] == path.stat().st_size < 4 * (added + around) + 12_000
    assert record["language_model_trained_share"] == tuned_share(holder) == added / (record["parameters"] - around)
    assert tuned_share(nn.Linear(2, 2)) == 1.0
