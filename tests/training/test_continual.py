"""The formulas of adaptation, worked by hand on small arrays."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from small_model import small_model
from small_shop import Shop
from torch import Tensor, nn

from seasonrec.batches.batch import SequenceBatch
from seasonrec.training.continual.distillation import DistilledLoss, distillation
from seasonrec.training.continual.ewc import ElasticLoss, diagonal_fisher, elastic_penalty
from seasonrec.training.continual.herding import herd
from seasonrec.training.loss.full_softmax import FullSoftmax


class TwoItems(nn.Module):
    """Logits ``(w x, 0)`` of two items, for a request with the input ``x``."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(0.5))
        self.frozen = nn.Parameter(torch.tensor(1.0), requires_grad=False)

    def read(self, batch: Any) -> Any:
        return SimpleNamespace(scores=lambda: torch.stack([self.w * batch.x, 0 * self.w])[None])


def test_the_fisher_information_is_that_of_a_logistic_regression() -> None:
    """For p = sigmoid(w x), the information is x^2 p (1 - p)."""
    model, x = TwoItems(), 2.0
    batches = [SimpleNamespace(x=x)] * 4000
    found = diagonal_fisher(model, batches, torch.Generator().manual_seed(0))  # type: ignore[arg-type]
    p = 1 / (1 + math.exp(-0.5 * x))
    assert set(found) == {"w"}
    assert float(found["w"]) == pytest.approx(x**2 * p * (1 - p), rel=0.03)  # items are drawn


def test_the_elastic_penalty_by_hand() -> None:
    weights = {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([[3.0]])}
    anchor = {"a": torch.tensor([0.0, 2.0]), "b": torch.tensor([[1.0]])}
    fisher = {"a": torch.tensor([0.5, 9.0]), "b": torch.tensor([[2.0]])}
    assert float(elastic_penalty(weights, anchor, fisher)) == 0.5 * (0.5 * 1 + 2.0 * 4)


def test_distillation_by_hand() -> None:
    """T^2 KL of (3/4, 1/4) and (1/2, 1/2) at T = 2, with a third item that is no candidate."""
    none = -math.inf
    teacher = torch.tensor([[2 * math.log(3.0), 0.0, none]])
    student = torch.tensor([[1.0, 1.0, none]], requires_grad=True)
    kl = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    loss = distillation(student, teacher, 2.0)
    assert float(loss.detach()) == pytest.approx(4 * kl)
    loss.backward()
    assert torch.allclose(student.grad, torch.tensor([[2 * (0.5 - 0.75), 2 * (0.5 - 0.25), 0.0]]))  # T (q - p)
    assert float(distillation(teacher, teacher, 2.0)) == 0.0


def test_herding_by_hand() -> None:
    """Unit rows (1, 0), (0, 1) and (0.6, 0.8) have the mean (0.533, 0.6).

    The third is nearest to it. Then (0.8, 0.4), the mean with the first, is nearer than (0.3, 0.9), with the second.
    """
    rows = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 4.0]])
    assert herd(rows, 2).tolist() == [2, 0]
    assert herd(rows, 9).tolist() == [2, 0, 1]


def _one_batch(shop: Shop, model: Any) -> SequenceBatch:
    return shop.builder(model.contexts())(shop.some_requests(6))


def test_the_changed_losses_are_the_loss_at_the_start_and_more_away_from_it(shop: Shop) -> None:
    model, teacher = small_model(shop), small_model(shop)
    batch, plain = _one_batch(shop, model), FullSoftmax(facts=shop.facts())
    model.eval()

    def fisher_of_ones() -> dict[str, Tensor]:
        return {name: torch.ones_like(weight) for name, weight in model.named_parameters()}

    elastic = ElasticLoss(plain, model, fisher_of_ones(), strength=3.0)
    distilled = DistilledLoss(plain, teacher, weight=1.0, temperature=2.0)
    with torch.no_grad():
        start = float(plain(model, batch))
        assert float(elastic(model, batch)) == start
        assert float(distilled(model, batch)) == pytest.approx(start, abs=1e-6)
        model.head.bias += torch.linspace(0, 1, len(model.head.bias))
        moved = float(plain(model, batch))
        square = float(torch.linspace(0, 1, len(model.head.bias)).square().sum())
        assert float(elastic(model, batch)) == pytest.approx(moved + 1.5 * square, rel=1e-5)
        assert float(distilled(model, batch)) > moved
    assert not any(weight.requires_grad for weight in teacher.parameters())
