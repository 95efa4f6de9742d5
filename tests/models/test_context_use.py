"""A part gets just the contexts that it names; what is read and not computed, or declared and not read, is an error."""

from functools import partial
from typing import Any

import pytest
import torch
from small_shop import Shop
from torch import Tensor, nn

from seasonrec.batches.context.calendar import CalendarContext
from seasonrec.batches.context.momentum import MomentumContext
from seasonrec.batches.facts import Facts
from seasonrec.models.backbone.none import NoBackbone
from seasonrec.models.components import ContextValues, SeasonEffect
from seasonrec.models.context_use import ContextError, check_contexts
from seasonrec.models.habit.none import NoHabit
from seasonrec.models.head.next_item import NextItemHead
from seasonrec.models.item_encoder.id import IdItems
from seasonrec.models.recommender import SeasonalRecommender
from seasonrec.models.season.momentum import MomentumSeason
from seasonrec.models.temporal.none import NoTemporal


class Careless(nn.Module):
    """Declares one list of contexts and reads another."""

    def __init__(self, declares: tuple[Any, ...], looks_at: tuple[str, ...], *, facts: Facts) -> None:
        super().__init__()
        self.reads = declares
        self.looks_at = looks_at

    def forward(self, query: Tensor, items: Tensor, context: ContextValues) -> SeasonEffect:
        for name in self.looks_at:
            context[name]
        return SeasonEffect(query, None)


def model_with(shop: Shop, season: Any) -> SeasonalRecommender:
    parts = {"item_encoder": IdItems, "backbone": NoBackbone, "temporal": NoTemporal, "habit": NoHabit}
    return SeasonalRecommender(**parts, season=season, head=NextItemHead, facts=shop.facts())


def test_read_and_not_declared(shop: Shop) -> None:
    model = model_with(shop, {"careless": partial(Careless, (CalendarContext(),), ("calendar", "momentum"))})
    batch = shop.builder(model.contexts() | {"momentum": MomentumContext()})(shop.some_requests(3))
    with pytest.raises(
        ContextError, match=r"season\.careless \(Careless\) reads context 'momentum', but declares \['calendar'\]"
    ):
        check_contexts(model, batch)


def test_declared_and_never_read(shop: Shop) -> None:
    model = model_with(shop, {"careless": partial(Careless, (CalendarContext(), MomentumContext()), ("calendar",))})
    batch = shop.builder(model.contexts())(shop.some_requests(3))
    with pytest.raises(
        ContextError, match=r"season\.careless \(Careless\) declares context 'momentum' in reads and never reads"
    ):
        check_contexts(model, batch)


def test_declared_in_a_nested_part_and_never_read(shop: Shop) -> None:
    nothing = partial(Careless, (CalendarContext(),), ())
    model = model_with(shop, {"momentum": MomentumSeason, "calendar": nothing})
    batch = shop.builder(model.contexts())(shop.some_requests(3))
    with pytest.raises(ContextError, match=r"season\.calendar \(Careless\) declares context 'calendar'"):
        check_contexts(model, batch)


def test_read_and_not_computed(shop: Shop) -> None:
    model = model_with(shop, {"momentum": MomentumSeason})
    batch = shop.builder({"calendar": CalendarContext()})(shop.some_requests(3))
    message = r"Seasons reads context 'momentum', which was not computed; the batch has \['calendar'\]"
    with pytest.raises(ContextError, match=message):
        model(batch)


def test_computed_for_nobody(shop: Shop) -> None:
    model = model_with(shop, {})
    batch = shop.builder({"calendar": CalendarContext()})(shop.some_requests(3))
    with pytest.raises(ContextError, match=r"context 'calendar' is computed and no component reads it"):
        check_contexts(model, batch)


def test_one_name_with_two_options(shop: Shop) -> None:
    two = (MomentumContext(), MomentumContext(windows_days=(3,)))
    with pytest.raises(ValueError, match=r"context 'momentum' is read with two different options"):
        model_with(shop, {"careless": partial(Careless, two, ("momentum",))}).contexts()


def test_hooks_are_gone_after_a_refusal(shop: Shop) -> None:
    model = model_with(shop, {"careless": partial(Careless, (CalendarContext(),), ())})
    batch = shop.builder(model.contexts())(shop.some_requests(3))
    with pytest.raises(ContextError):
        check_contexts(model, batch)
    assert not model.season["careless"]._forward_pre_hooks
    assert model.training
    assert model(batch).shape == (3, shop.log.num_items)
    assert torch.is_grad_enabled()
