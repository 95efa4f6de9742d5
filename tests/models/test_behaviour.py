"""Behaviour embedding by hand, and augmentations and perturbations that move behaviours with their events."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_clicks import with_clicks
from small_shop import Shop

from seasonrec.batches.batch import SequenceBatch
from seasonrec.errors import UserError
from seasonrec.evaluation.robustness.histories import histories
from seasonrec.models.augmentation.base import Augmentation
from seasonrec.models.augmentation.crop import Crop
from seasonrec.models.augmentation.insert import Insert
from seasonrec.models.augmentation.mask import Mask
from seasonrec.models.augmentation.reorder import Reorder
from seasonrec.models.augmentation.several import Several
from seasonrec.models.augmentation.substitute import Substitute
from seasonrec.models.behaviour.embedding import BehaviourEmbedding
from seasonrec.models.behaviour.none import NoBehaviour


@pytest.fixture(scope="module")
def clicks(shop: Shop) -> Shop:
    return with_clicks(shop)


@pytest.fixture(scope="module")
def batch(clicks: Shop) -> SequenceBatch:
    return clicks.builder({})(clicks.some_requests(20))


def test_embedding_adds_the_vector_of_the_behaviour(clicks: Shop, batch: SequenceBatch) -> None:
    module = BehaviourEmbedding(facts=clicks.facts(embedding_dim=3))
    with torch.no_grad():
        module.vectors.weight.copy_(torch.tensor([[1.0, 0, 0], [0, 10.0, 0], [0, 0, 100.0]]))
    events = torch.full((*batch.item_ids.shape, 3), 0.5).masked_fill(batch.is_padding[..., None], 0.0)
    read = module(events, batch)
    assert batch.behaviours is not None
    assert set(batch.behaviours[~batch.is_padding].tolist()) == {0, 1, 2}
    for number, vector in enumerate(([1.5, 0.5, 0.5], [0.5, 10.5, 0.5], [0.5, 0.5, 100.5])):
        chosen = (batch.behaviours == number) & ~batch.is_padding
        assert read[chosen].unique(dim=0).tolist() == [vector]
    assert not read[batch.is_padding].any()


def test_without_it_no_weight_and_no_draw_changes(shop: Shop) -> None:
    state = torch.random.get_rng_state()
    module = NoBehaviour(facts=shop.facts())
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not module.state_dict()
    events = torch.randn(2, 3, 4)
    assert module(events, None) is events  # type: ignore[arg-type]


def test_a_log_without_behaviours_is_refused(shop: Shop) -> None:
    with pytest.raises(
        UserError, match=r"behaviour=embedding needs events with behaviours.*data.behaviour_column=NAME"
    ):
        BehaviourEmbedding(facts=shop.facts())


def marked(batch: SequenceBatch, num_items: int) -> SequenceBatch:
    """Returns the batch with a behaviour that says the item, so that a moved event can be recognised."""
    return replace(batch, behaviours=torch.where(batch.is_padding, 0, batch.item_ids))


MOVES = {"crop": Crop, "reorder": Reorder}
STAYS = {"mask": Mask, "substitute": Substitute}


def augmentation(name: str, shop: Shop) -> Augmentation:
    options = {"reorder": {"window_s": 9 * 86_400}, "mask": {"rate": 0.5}, "substitute": {"rate": 0.7}}
    made: Augmentation = (MOVES | STAYS)[name](**options.get(name, {}), facts=shop.facts(), log=shop.log)
    return made


@pytest.mark.parametrize("name", MOVES)
def test_behaviours_move_with_their_items(name: str, clicks: Shop, batch: SequenceBatch) -> None:
    before = marked(batch, clicks.log.num_items)
    after = augmentation(name, clicks)(before, np.random.default_rng(1))
    assert after.behaviours is not None
    assert after.item_ids.shape != before.item_ids.shape or not torch.equal(after.item_ids, before.item_ids)
    assert torch.equal(after.behaviours, torch.where(after.is_padding, 0, after.item_ids))


@pytest.mark.parametrize("name", STAYS)
def test_behaviours_stay_where_items_are_replaced(name: str, clicks: Shop, batch: SequenceBatch) -> None:
    after = augmentation(name, clicks)(batch, np.random.default_rng(1))
    assert not torch.equal(after.item_ids, batch.item_ids)
    assert after.behaviours is batch.behaviours


def test_an_inserted_event_has_the_behaviour_of_the_one_before(clicks: Shop, batch: SequenceBatch) -> None:
    after = Insert(rate=0.6, facts=clicks.facts(max_seq_len=40), log=clicks.log)(
        marked(batch, clicks.log.num_items), np.random.default_rng(1)
    )
    assert after.behaviours is not None
    for row in range(len(after.item_ids)):
        told = after.behaviours[row][~after.is_padding[row]].tolist()
        own = batch.item_ids[row][~batch.is_padding[row]].tolist()
        inserted = [
            place for place, item in enumerate(after.item_ids[row, : len(told)].tolist()) if item != told[place]
        ]
        assert [told[place] for place in range(len(told)) if place not in inserted] == own
        assert all(told[place] == told[place - 1] for place in inserted)
    assert int((~after.is_padding).sum()) > int((~batch.is_padding).sum())


def test_several_take_the_behaviours_of_the_chosen_version(clicks: Shop, batch: SequenceBatch) -> None:
    before = marked(batch, clicks.log.num_items)
    parts = {part.__name__.lower(): part for part in (Crop, Mask, Reorder, Substitute, Insert)}
    made = Several(**parts, weights=(1.0, 0.0, 1.0, 0.0, 0.0), facts=clicks.facts(), log=clicks.log)
    after = made(before, np.random.default_rng(1))
    assert after.behaviours is not None
    assert torch.equal(after.behaviours, torch.where(after.is_padding, 0, after.item_ids))


@pytest.mark.parametrize("name", ["swap", "drop", "shuffle"])
def test_changed_histories_take_their_behaviours_along(name: str, clicks: Shop, batch: SequenceBatch) -> None:
    before = marked(batch, clicks.log.num_items)
    after = histories(clicks.log.num_items)[name](before, 0.5, np.random.default_rng(1))
    assert after.behaviours is not None
    assert not torch.equal(after.item_ids, before.item_ids)
    assert torch.equal(after.behaviours, torch.where(after.is_padding, 0, after.item_ids))
