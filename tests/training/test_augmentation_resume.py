"""Resume of augmentations: a killed run repeats every draw of sequences, wordings, and contrastive views."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import LOADER, Curve, Event, Killed, SmallRun, small_run
from small_shop import Shop
from torch import Tensor

from seasonrec.batches.facts import Facts
from seasonrec.batches.horizon import ROLLING
from seasonrec.batches.loader import TrainingLoader
from seasonrec.models.augmentation.crop import Crop
from seasonrec.models.augmentation.insert import Insert
from seasonrec.models.augmentation.mask import Mask
from seasonrec.models.augmentation.reorder import Reorder
from seasonrec.models.augmentation.several import Several
from seasonrec.models.augmentation.substitute import Substitute
from seasonrec.models.item_encoder.text import TextItems
from seasonrec.models.recommender import SeasonalRecommender
from seasonrec.models.task.contrastive import ContrastiveHead
from seasonrec.training.fit import TrainerOptions

OPTIONS = TrainerOptions(max_epochs=1, checkpoint_every_steps=3)
KILLED_AT = ("batch_start", 0, 5)


class LengthReader:
    """Vectors of the letters of each text."""

    def __init__(self, name: str, cache_dir: Path) -> None:
        pass

    def __call__(self, texts: Sequence[str]) -> Tensor:
        return torch.tensor([[float(text.count(letter)) for letter in "abcdefgh"] + [len(text) / 7] for text in texts])


def worded_items(*, facts: Facts) -> TextItems:
    variants = tuple(f"{text} {'abcdefgh'[item % 8]}" for item, text in enumerate(facts.item_texts))
    return TextItems(hidden_dim=8, facts=replace(facts, text_variants=(variants,)))


def augmented_loader(shop: Shop, model: SeasonalRecommender, seed: int) -> TrainingLoader:
    augment = Several(Crop, Mask, Reorder, Substitute, Insert, chance=0.8, facts=shop.facts(), log=shop.log)
    baskets = shop.split.train_baskets(shop.log)
    return TrainingLoader(shop.builder(model.contexts()), baskets, LOADER, ROLLING, seed, augment=augment)


def test_a_killed_run_ends_where_one_left_alone_ends(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seasonrec.models.item_encoder.text.TextReader", LengthReader)
    parts: dict[str, Any] = {"item_encoder": worded_items, "task": {"contrastive": partial(ContrastiveHead)}}
    options: dict[str, Any] = {"options": OPTIONS, "make_loader": augmented_loader, **parts}

    def stop(met: Event) -> None:
        if met == KILLED_AT:
            raise Killed

    whole = small_run(shop, tmp_path / "whole", **options)
    curve = Curve()
    with pytest.raises(Killed):
        small_run(shop, tmp_path / "killed", stop, curve=curve, **options)
    again: SmallRun = small_run(shop, tmp_path / "killed", curve=curve, **options)
    assert again.curve == whole.curve
    assert all(torch.equal(again.weights[name], weight) for name, weight in whole.weights.items())
