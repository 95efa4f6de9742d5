"""Low-rank updates of a whole recommender."""

from __future__ import annotations

import pytest
import torch
from small_model import small_model
from small_shop import Shop

from seasonrec.models.peft.low_rank import LowRank, add_low_rank, merge_low_rank


def test_an_update_by_hand() -> None:
    weight = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    update = LowRank(weight, rank=1, alpha=2.0)
    assert torch.equal(update(weight), weight)
    with torch.no_grad():
        update.up.copy_(torch.tensor([[1.0], [3.0]]))
        update.down.copy_(torch.tensor([[5.0, 7.0]]))
    assert torch.equal(update(weight), weight + 2.0 * torch.tensor([[5.0, 7.0], [15.0, 21.0]]))


def test_updates_start_without_effect_are_read_everywhere_and_merge_to_the_same_scores(shop: Shop) -> None:
    model = small_model(shop).eval()
    batch = shop.builder(model.contexts())(shop.some_requests(6))
    names = set(model.state_dict())
    with torch.no_grad():
        before = model(batch)
        added = add_low_rank(model, rank=2, alpha=4.0)
        assert torch.equal(model(batch), before)
        trained = [weight for weight in model.parameters() if weight.requires_grad]
        assert {id(weight) for weight in trained} == {id(weight) for weight in added}
        assert sum(w.numel() for w in added) < sum(w.numel() for w in model.parameters() if not w.requires_grad)
        for weight in added:
            weight.add_(0.05)
        for_windows = model.backbone(torch.zeros(1, 3, 16), torch.zeros(1, 3, dtype=torch.bool))
        updated = model(batch)  # evaluation reads SASRec's matrices by itself
        assert not torch.allclose(updated, before)
        merge_low_rank(model)
    assert set(model.state_dict()) == names
    with torch.no_grad():
        assert torch.allclose(model(batch), updated, atol=1e-6)
        again = model.backbone(torch.zeros(1, 3, 16), torch.zeros(1, 3, dtype=torch.bool))
    assert torch.allclose(again, for_windows, atol=1e-6)


def test_a_small_matrix_stays_as_it_is(shop: Shop) -> None:
    model = small_model(shop)
    assert add_low_rank(model, rank=100, alpha=1.0) == []
    with pytest.raises(StopIteration):
        next(weight for weight in model.parameters() if weight.requires_grad)
