"""A small recommender with random weights for the shop of :mod:`small_shop`."""

from functools import partial
from typing import Any

import torch
from small_shop import Shop

from seasonrec.models.backbone.sasrec import SASRec
from seasonrec.models.habit.replenishment import ReplenishmentHabit
from seasonrec.models.head.next_item import NextItemHead
from seasonrec.models.item_encoder.id import IdItems
from seasonrec.models.recommender import SeasonalRecommender
from seasonrec.models.season.momentum import MomentumSeason
from seasonrec.models.temporal.none import NoTemporal


def small_model(shop: Shop, **components: Any) -> SeasonalRecommender:
    """Returns a model of one layer with seed 0; ``components`` replace those of the same slots."""
    torch.manual_seed(0)
    slots = {
        "item_encoder": IdItems,
        "backbone": partial(SASRec, num_layers=1),
        "temporal": NoTemporal,
        "season": {"momentum": MomentumSeason},
        "habit": ReplenishmentHabit,
        "head": NextItemHead,
    }
    return SeasonalRecommender(**(slots | components), facts=shop.facts())
