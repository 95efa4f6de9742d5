"""Tests that a component gets only the contexts that it declares, and that it reads all of them."""

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
    """A season that declares some contexts and reads others."""

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


def test_a_context_that_is_read_but_not_declared_is_refused(shop: Shop) -> None:
    model = model_with(shop, {"careless": partial(Careless, (CalendarContext(),), ("calendar", "momentum"))})
    batch = shop.builder(model.contexts() | {"momentum": MomentumContext()})(shop.some_requests(3))
    with pytest.raises(
        ContextError, match=r"season\.careless \(Careless\) reads context 'momentum', but declares \['calendar'\]"
    ):
        check_contexts(model, batch)


def test_a_context_that_is_declared_but_never_read_is_refused(shop: Shop) -> None:
    model = model_with(shop, {"careless": partial(Careless, (CalendarContext(), MomentumContext()), ("calendar",))})
    batch = shop.builder(model.contexts())(shop.some_requests(3))
    with pytest.raises(
        ContextError, match=r"season\.careless \(Careless\) declares context 'momentum' in reads and never reads"
    ):
        check_contexts(model, batch)


def test_a_context_that_a_nested_component_never_reads_is_refused(shop: Shop) -> None:
    nothing = partial(Careless, (CalendarContext(),), ())
    model = model_with(shop, {"momentum": MomentumSeason, "calendar": nothing})
    batch = shop.builder(model.contexts())(shop.some_requests(3))
    with pytest.raises(ContextError, match=r"season\.calendar \(Careless\) declares context 'calendar'"):
        check_contexts(model, batch)


def test_a_context_that_is_read_but_not_computed_is_refused(shop: Shop) -> None:
    model = model_with(shop, {"momentum": MomentumSeason})
    batch = shop.builder({"calendar": CalendarContext()})(shop.some_requests(3))
    message = r"Seasons reads context 'momentum', which was not computed; the batch has \['calendar'\]"
    with pytest.raises(ContextError, match=message):
        model(batch)


def test_a_context_that_no_component_reads_is_refused(shop: Shop) -> None:
    model = model_with(shop, {})
    batch = shop.builder({"calendar": CalendarContext()})(shop.some_requests(3))
    with pytest.raises(ContextError, match=r"context 'calendar' is computed and no component reads it"):
        check_contexts(model, batch)


def test_a_context_with_two_different_options_is_refused(shop: Shop) -> None:
    two = (MomentumContext(), MomentumContext(windows_days=(3,)))
    with pytest.raises(ValueError, match=r"context 'momentum' is read with two different options"):
        model_with(shop, {"careless": partial(Careless, two, ("momentum",))}).contexts()


def test_hooks_are_removed_after_an_error(shop: Shop) -> None:
    model = model_with(shop, {"careless": partial(Careless, (CalendarContext(),), ())})
    batch = shop.builder(model.contexts())(shop.some_requests(3))
    with pytest.raises(ContextError):
        check_contexts(model, batch)
    assert not model.season["careless"]._forward_pre_hooks
    assert model.training
    assert model(batch).shape == (3, shop.log.num_items)
    assert torch.is_grad_enabled()
