"""A step of several batches: the gradient is that of one large batch, a mean over all its targets."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from shared_runs import WITHOUT_DROPOUT
from small_runs import LOADER, small_model
from small_shop import Shop

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.horizon import ROLLING, Horizon
from seasonrec.batches.loader import LoaderOptions, TrainingLoader
from seasonrec.batches.sharding import WHOLE, Shard
from seasonrec.evaluation.ranking.scorers import validation_metrics
from seasonrec.models.recommender import SeasonalRecommender
from seasonrec.training.loss.full_softmax import FullSoftmax
from seasonrec.training.module import RecommenderModule
from seasonrec.training.optimizer import AdamWOptions

IN_POOLS = replace(LOADER, batch_size=16, pool_size=100)


def loader_of(
    shop: Shop,
    model: SeasonalRecommender | None,
    step_batches: int,
    shard: Shard = WHOLE,
    options: LoaderOptions = LOADER,
) -> TrainingLoader:
    builder = shop.builder({} if model is None else model.contexts())
    baskets = shop.split.train_baskets(shop.log)
    return TrainingLoader(builder, baskets, options, ROLLING, 7, shard=shard, step_batches=step_batches)


@pytest.mark.parametrize("options", [LOADER, IN_POOLS], ids=["one pool", "pools"])
@pytest.mark.parametrize(("ranks", "step_batches"), [(1, 2), (1, 3), (2, 1), (3, 2)])
def test_weights_make_all_targets_of_a_step_equal(
    shop: Shop, options: LoaderOptions, ranks: int, step_batches: int
) -> None:
    loaders = [loader_of(shop, None, step_batches, Shard(rank, ranks), options) for rank in range(ranks)]
    for _ in range(2):
        epochs = [list(loader) for loader in loaders]
        assert len(epochs[0]) % step_batches == 0
        found = set()
        for start in range(0, len(epochs[0]), step_batches):
            parts = [batch for epoch in epochs for batch in epoch[start : start + step_batches]]
            total = sum(len(batch.target_items) for batch in parts)
            for batch in parts:
                assert batch.weight is not None
                assert batch.weight.item() / len(parts) == pytest.approx(len(batch.target_items) / total, rel=1e-6)
                found.add(batch.weight.item())
        assert len(found) > 2
        met = [basket for epoch in epochs for batch in epoch for basket in batch.basket_ids.tolist()]
        assert sorted(met) == shop.split.train_baskets(shop.log).tolist()


def test_a_step_without_targets_weighs_nothing(shop: Shop) -> None:
    """A horizon longer than the log hides every item, so that no basket has a target."""
    loader = TrainingLoader(
        shop.builder({}), shop.split.train_baskets(shop.log), LOADER, Horizon(10**9), 7, step_batches=2
    )
    assert {float(batch.weight) for batch in loader if batch.weight is not None} == {0.0}


def test_a_step_of_one_batch_has_no_weight(shop: Shop) -> None:
    assert all(batch.weight is None for batch in loader_of(shop, None, 1))


class Noting(L.Callback):
    """Notes the gradients of every step and the batches."""

    def __init__(self) -> None:
        self.batches: list[SequenceBatch] = []
        self.steps: list[dict[str, torch.Tensor]] = []
        self.weights: list[dict[str, torch.Tensor]] = []

    def on_train_batch_start(self, trainer: Any, module: Any, batch: SequenceBatch, number: int) -> None:
        self.batches.append(batch)

    def on_before_optimizer_step(self, trainer: Any, module: Any, optimizer: Any) -> None:
        named = dict(module.model.named_parameters())
        self.steps.append({name: weight.grad.clone() for name, weight in named.items()})
        self.weights.append({name: weight.detach().clone() for name, weight in named.items()})


def whole_gradient(model: SeasonalRecommender, parts: list[SequenceBatch]) -> dict[str, torch.Tensor]:
    """Returns the gradient of the mean of the losses of all targets of some batches."""
    model.zero_grad()
    losses = []
    for batch in parts:
        scores = model.read(batch).scores()
        losses.append(-torch.log_softmax(scores, 1)[batch.target_request, batch.target_items])
    torch.cat(losses).mean().backward()
    return {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}


@pytest.mark.parametrize("gathered", [2, 3])
def test_accumulated_gradients_are_those_of_the_whole(shop: Shop, tmp_path: Path, gathered: int) -> None:
    L.seed_everything(7, verbose=False)
    model, noted = small_model(shop, **WITHOUT_DROPOUT), Noting()
    module = RecommenderModule(model, FullSoftmax(facts=shop.facts()), AdamWOptions(), validation_metrics, tmp_path)
    trainer = L.Trainer(
        max_epochs=1, accelerator="cpu", accumulate_grad_batches=gathered, callbacks=[noted], logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(module, loader_of(shop, model, gathered))
    assert len(noted.batches) == gathered * len(noted.steps) > gathered
    unweighted = 0.0
    for step, found in enumerate(noted.steps):
        model.load_state_dict(noted.weights[step])
        parts = noted.batches[step * gathered : (step + 1) * gathered]
        expected = whole_gradient(model, parts)
        for name, gradient in expected.items():
            torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-7)
        means = [whole_gradient(model, [part])["head.bias"] for part in parts]
        unweighted = max(unweighted, (torch.stack(means).mean(0) - expected["head.bias"]).norm().item())
    assert unweighted > 1e-4, "the case is one in which the weights matter"


def test_fewer_requests_than_a_step_has_batches_are_refused(shop: Shop) -> None:
    baskets = shop.split.train_baskets(shop.log)[:5]
    with pytest.raises(
        ValueError, match=r"with 3 batches each per step cannot share 5 .* lower trainer.accumulate_bat"
    ):
        TrainingLoader(shop.builder({}), baskets, LOADER, ROLLING, 7, shard=Shard(0, 2), step_batches=3)
