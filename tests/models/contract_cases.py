"""Recommenders with one tested component, for the contract tests."""

import importlib
import inspect
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from small_clicks import with_clicks, with_prices
from small_shop import MAX_SEQ_LEN, Shop
from torch import nn

import seasonrec.models
from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.horizon import ROLLING
from seasonrec.batches.loader import LoaderOptions, TrainingLoader
from seasonrec.batches.requests import Requests
from seasonrec.config import Composer, ConfTree, build, conf_dir
from seasonrec.models.demand.multinomial import MultinomialDemand
from seasonrec.models.mixture.base import Mixture
from seasonrec.models.recommender import SeasonalRecommender

SLOTS = ("item_encoder", "behaviour", "backbone", "temporal", "season", "demand", "habit", "mixture", "head", "sharing")
CASES = [(slot, path.stem) for slot in SLOTS for path in sorted((conf_dir() / slot).glob("*.yaml"))]
PLAIN = {"item_encoder": "id", "backbone": "sasrec", "temporal": "none", "season": "", "habit": "none"}
PLAIN |= {"behaviour": "none", "demand": "none", "mixture": "none", "head": "next_item", "sharing": "hard"}
ROOM = 4
"""Positions of the models beyond the windows of the batches, for more padding."""


@cache
def composer() -> Composer:
    return Composer(ConfTree.of())


@cache
def part_of(slot: str, option: str, *changes: str) -> Any:
    """Returns the component of an option with overrides; seasons are a list, so they are returned by name."""
    needed = {
        "demand": ["mixture=fixed"],
        "seasonal": ["habit.demand=false"],
        "years": ["season.years.young_by_text=false"],
        "features": ["data=table", "data.events=E.csv", "data.items=I.csv", "data.features=[price]"],
        "embedding": ["data=table", "data.events=E.csv", "data.behaviour_column=kind"],
    }
    others = needed.get(slot, []) + needed.get(option, [])
    choice = f"{slot}=[{option}]" if slot == "season" else f"{slot}={option}"
    node = getattr(composer().compose([choice, *others, *changes]), slot)
    return {name: build(one) for name, one in (node or {}).items()} if slot == "season" else build(node)


def modules_of(slot: str) -> list[type[nn.Module]]:
    """Returns every component class of the slot's folder: a module whose constructor takes facts."""
    found = []
    for path in sorted((Path(seasonrec.models.__file__).parent / slot).glob("[!_]*.py")):
        module = importlib.import_module(f"seasonrec.models.{slot}.{path.stem}")
        classes = [c for _, c in inspect.getmembers(module, inspect.isclass) if c.__module__ == module.__name__]
        whole = [c for c in classes if issubclass(c, nn.Module) and not inspect.isabstract(c)]
        found += [c for c in whole if "facts" in inspect.signature(c).parameters]
    return found


@dataclass
class Case:
    """A recommender with the tested component, plain other components and non-zero weights."""

    model: SeasonalRecommender
    part: nn.Module
    shop: Shop

    def batch(self, requests: Requests) -> SequenceBatch:
        return self.shop.builder(self.model.contexts())(requests)

    def training_batch(self) -> SequenceBatch:
        """Returns a batch whose windows serve several requests each."""
        builder = self.shop.builder(self.model.contexts())
        baskets = self.shop.split.train_baskets(self.shop.log)
        loader = TrainingLoader(builder, baskets, LoaderOptions(batch_size=60), ROLLING, seed=3)
        return next(iter(loader))


def make_case(shop: Shop, slot: str, option: str, seed: int = 0, changes: tuple[str, ...] = ()) -> Case:
    torch.manual_seed(seed)
    shop = with_clicks(shop) if slot == "behaviour" else with_prices(shop) if option == "features" else shop
    reader = {"mixture": "fixed"} if slot == "demand" else {}
    parts = {name: part_of(name, plain) for name, plain in (PLAIN | reader).items() if name != slot}
    parts[slot] = part_of(slot, option, *changes)
    model = SeasonalRecommender(**parts, facts=shop.facts(max_seq_len=MAX_SEQ_LEN + ROOM)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
        if isinstance(model.mixture, Mixture):
            model.mixture.weight.add_(0.3 * torch.randn_like(model.mixture.weight))
            model.mixture.exponents.add_(0.1 * torch.randn_like(model.mixture.exponents))
            model.mixture.is_fitted.fill_(True)
        if isinstance(model.demand, MultinomialDemand):
            model.demand.linear.add_(0.3 * torch.randn_like(model.demand.linear))
            model.demand.outer.add_(0.3 * torch.randn_like(model.demand.outer))
            model.demand.inner.add_(0.3 * torch.randn_like(model.demand.inner))
    return Case(model, getattr(model, slot), shop)
