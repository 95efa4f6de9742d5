import pytest
import torch
from small_model import small_model
from small_shop import Shop

from seasonrec.evaluation.protocol import Protocol
from seasonrec.evaluation.ranking.evaluator import evaluate, requests_at_once
from seasonrec.evaluation.ranking.scorers import ModelScorer
from seasonrec.models.item_encoder.id import IdItems
from seasonrec.models.recommender import SeasonalRecommender
from seasonrec.models.temporal.gru import GRUTemporal


class DroppedItems(IdItems):
    """Item encoder whose output differs between training and evaluation."""

    def forward(self, item_ids: torch.Tensor | None = None) -> torch.Tensor:
        return torch.nn.functional.dropout(2.0 * super().forward(item_ids), training=self.training)


@pytest.fixture
def model(shop: Shop) -> SeasonalRecommender:
    return small_model(shop, item_encoder=DroppedItems, temporal=GRUTemporal)


@pytest.fixture
def scorer(shop: Shop, model: SeasonalRecommender) -> ModelScorer:
    return ModelScorer("full", model, shop.builder(model.contexts()))


def encoded(model: SeasonalRecommender) -> list[int]:
    """Counts the calls of the item encoder."""
    calls: list[int] = []
    model.item_encoder.register_forward_hook(lambda *_: calls.append(len(calls)))
    return calls


def test_items_are_encoded_once_a_pass(shop, model, scorer):
    calls = encoded(model)
    assert requests_at_once(shop.log.num_items, 16) == 16
    frame = evaluate(scorer, shop.log, shop.split, Protocol(), chunk=16, show_progress=False)
    assert frame.height > 3 * 16
    assert len(calls) == 1


def test_a_pass_changes_no_score_and_ends(shop, model, scorer):
    requests = shop.some_requests(20)
    alone = scorer.score(requests)
    with scorer.during_pass():
        assert torch.equal(scorer.score(requests), alone)
    with torch.no_grad():
        model.item_encoder.vectors.weight.mul_(torch.randn_like(model.item_encoder.vectors.weight))
    assert not torch.equal(scorer.score(requests), alone), "after the pass, the vectors follow the weights"


def test_a_pass_is_made_without_dropout(shop, model, scorer):
    requests = shop.some_requests(20)
    alone = scorer.score(requests)
    model.train()
    with scorer.during_pass():
        assert not model.training
        assert torch.equal(scorer.score(requests), alone)


def test_scores_carry_no_gradient(shop, scorer):
    scores = scorer.score(shop.some_requests(3))
    assert (scores.dtype, scores.requires_grad) == (torch.float32, False)
