"""Counts of work of a training step and of a chunk of the evaluation: an additional copy or loop fails a test.

Arithmetic must be exactly what the mathematics needs. The other ceilings are a little above the counts at the time of
writing. A change that needs more raises the ceiling and gives the reason in the changelog.
"""

import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from counting import Counts, counted, python_lines
from small_shop import Shop

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.horizon import ROLLING
from seasonrec.batches.loader import BatchBuilder
from seasonrec.batches.requests import Requests
from seasonrec.batches.splits import TimeSplit, spec_of
from seasonrec.data.datasets.synthetic import Synthetic
from seasonrec.data.events import prepare
from seasonrec.evaluation.protocol import Protocol
from seasonrec.evaluation.ranking.evaluator import quick_metrics
from seasonrec.evaluation.ranking.scorers import ModelScorer, validation_metrics
from seasonrec.models.backbone.sasrec import SASRec
from seasonrec.models.habit.none import NoHabit
from seasonrec.models.habit.replenishment import ReplenishmentHabit
from seasonrec.models.head.next_item import NextItemHead
from seasonrec.models.item_encoder.id import IdItems
from seasonrec.models.recommender import SeasonalRecommender
from seasonrec.models.season.momentum import MomentumSeason
from seasonrec.models.task.next_basket import NextBasketHead
from seasonrec.models.task.purchase import PurchaseHead
from seasonrec.models.temporal.none import NoTemporal
from seasonrec.training.loss.full_softmax import FullSoftmax
from seasonrec.training.module import RecommenderModule
from seasonrec.training.optimizer import AdamWOptions

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.needed_work import Sizes, evaluation_flops, training_flops

LAYERS, WIDTH, LENGTH = 2, 16, 12
FEW, MANY = 40, 160
LOSS_CALLS = 220
OPTIMIZER_CALLS = 300
EVALUATION_CALLS = 73  # three of them mark targets that are no candidates
ALLOCATED_FLOATS = 94
"""Floats that a training step of two layers allocates, per token and unit of width."""
COPIED_FLOATS = 20
EVALUATION_FLOATS = 29
SCORE_MATRICES = 2
"""Tensors of the size of the scores that a chunk of the evaluation may make: the scores, and one copy."""
BUILDER_LINES = 1_160  # momentum also reads which items were unsold; own histories ask who has very many events
BATCHES_HELD = 1.75
"""Peak memory of the batch builder, as a multiple of the size of its batch."""


@dataclass(frozen=True)
class Bench:
    """A model on a small log, and requests with a full window and the whole catalogue."""

    shop: Shop
    model: SeasonalRecommender
    module: RecommenderModule
    builder: BatchBuilder
    baskets: Any

    def batch(self, count: int) -> SequenceBatch:
        return self.builder(self.requests(count))

    def requests(self, count: int) -> Requests:
        return Requests.of_baskets(self.shop.log, self.baskets[:count], ROLLING)

    def sizes(self, count: int) -> Sizes:
        return Sizes.of(self.batch(count), self.shop.log.num_items, WIDTH, LAYERS, parameters=0)

    def loss(self, count: int) -> Callable[[], object]:
        batch = self.batch(count)
        return lambda: self.module.losses(batch).tasks["next_item"].backward()

    def evaluate(self, count: int) -> Callable[[], object]:
        scorer, requests = ModelScorer("model", self.model, self.builder), self.requests(count)
        return lambda: quick_metrics(scorer, self.shop.log, requests, Protocol(), chunk=count)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("counted")
    dataset = Synthetic(num_users=120, num_items=400, num_days=400, visits_per_week=0.5)
    log = prepare(dataset, folder, progress=lambda line: None)
    split = TimeSplit().resolve(log)
    return Shop(log, split, spec_of(log, split), folder)


@pytest.fixture
def bench(shop: Shop) -> Bench:
    return bench_of(shop, season={}, habit=NoHabit)


def bench_of(shop: Shop, **parts: Any) -> Bench:
    facts = shop.facts(WIDTH, LENGTH)
    torch.manual_seed(0)
    fixed = {"item_encoder": IdItems, "temporal": NoTemporal, "head": NextItemHead}
    model = SeasonalRecommender(**fixed, backbone=partial(SASRec, num_layers=LAYERS), facts=facts, **parts)
    module = RecommenderModule(model, FullSoftmax(facts=facts), AdamWOptions(), validation_metrics, Path())
    builder = shop.builder(model.contexts(), LENGTH)
    late = shop.split.test_baskets(shop.log)
    requests = Requests.of_baskets(shop.log, late, ROLLING)
    has_all = requests.times_s > shop.log.item_first_seen_s.max()
    is_full = builder.history_ends(requests) - shop.log.user_offsets[requests.users] >= LENGTH
    return Bench(shop, model, module, builder, late[has_all & is_full])


def without_attention(flops: Callable[[Sizes], int], sizes: Sizes) -> int:
    """Returns the operations without attention, because its fused operator is not counted."""
    return flops(replace(sizes, pairs=0))


def slope(few: int, many: int, small: Sizes, large: Sizes) -> float:
    """Returns floats per token and unit of width from the bytes at two sizes, without the constant share."""
    return (many - few) / (4 * WIDTH * (large.tokens - small.tokens))


def test_there_is_enough_to_count(bench: Bench) -> None:
    assert len(bench.baskets) >= MANY
    assert not bench.batch(MANY).is_padding.any()


def test_a_training_step_multiplies_what_the_mathematics_needs(bench: Bench) -> None:
    counts = counted(bench.loss(MANY))
    assert counts.product_flops == without_attention(training_flops, bench.sizes(MANY))
    assert counts.calls["_scaled_dot_product_flash_attention_for_cpu"] == LAYERS
    assert counts.calls["_scaled_dot_product_flash_attention_for_cpu_backward"] == LAYERS


def test_a_chunk_of_the_evaluation_multiplies_what_the_mathematics_needs(bench: Bench) -> None:
    counts = counted(bench.evaluate(MANY))
    assert counts.product_flops == without_attention(evaluation_flops, bench.sizes(MANY))
    assert counts.calls["_scaled_dot_product_flash_attention_for_cpu"] == LAYERS


def test_the_number_of_operators_does_not_grow_with_the_batch(bench: Bench) -> None:
    for work, ceiling in ((bench.loss, LOSS_CALLS), (bench.evaluate, EVALUATION_CALLS)):
        few, many = counted(work(FEW)), counted(work(MANY))
        assert few.calls == many.calls
        assert many.calls.total() <= ceiling, many.calls


def test_the_optimiser_needs_few_operators(bench: Bench) -> None:
    optimizer = bench.module.optimizer.build(bench.model, 100)["optimizer"]
    bench.loss(FEW)()
    assert counted(optimizer.step).calls.total() <= OPTIMIZER_CALLS


def test_a_training_step_makes_and_copies_little(bench: Bench) -> None:
    sizes = bench.sizes(FEW), bench.sizes(MANY)
    few, many = counted(bench.loss(FEW)), counted(bench.loss(MANY))
    room = [4 * bench.shop.log.num_items * size.requests for size in sizes]
    assert slope(few.allocated - room[0], many.allocated - room[1], *sizes) <= ALLOCATED_FLOATS
    assert slope(few.copied, many.copied, *sizes) <= COPIED_FLOATS


def test_scores_are_made_once_in_training_and_seldom_in_the_evaluation(bench: Bench) -> None:
    scores = MANY * bench.shop.log.num_items
    assert made_as_large(counted(bench.loss(MANY)), scores) == 1
    evaluation = counted(bench.evaluate(MANY))
    assert made_as_large(evaluation, scores) <= SCORE_MATRICES
    few = counted(bench.evaluate(FEW))
    matrices = [4 * SCORE_MATRICES * bench.shop.log.num_items * count for count in (FEW, MANY)]
    sizes = bench.sizes(FEW), bench.sizes(MANY)
    assert slope(few.allocated - matrices[0], evaluation.allocated - matrices[1], *sizes) <= EVALUATION_FLOATS


def test_tasks_that_rank_items_share_the_scores_of_the_next_item(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks that scores are computed once, because season and habit are the expensive part of a step."""
    task = {"next_basket": NextBasketHead, "purchase": PurchaseHead}
    bench = bench_of(shop, season={"momentum": MomentumSeason}, habit=ReplenishmentHabit, task=task)
    made, score = [], SeasonalRecommender.score
    monkeypatch.setattr(SeasonalRecommender, "score", lambda *given: made.append(1) or score(*given))
    losses = bench.module.losses(bench.batch(FEW))
    assert set(losses.tasks) == {"next_item", *task}
    assert len(made) == 1


def made_as_large(counts: Counts, elements: int) -> int:
    return counts.sizes[elements]


def test_the_batch_builder_has_no_loop_over_requests(shop: Shop) -> None:
    bench = bench_of(shop, season={"momentum": MomentumSeason}, habit=ReplenishmentHabit)
    few, many = (python_lines(partial(bench.builder, bench.requests(count))) for count in (FEW, MANY))
    assert many - few < (MANY - FEW) / 2  # a few branches, but no line per request
    assert many <= BUILDER_LINES


def test_the_batch_builder_holds_little_beside_the_batch(bench: Bench) -> None:
    requests = bench.requests(MANY)
    bench.builder(requests)
    tracemalloc.start()
    try:
        batch = bench.builder(requests)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    size = sum(value.nbytes for value in vars(batch).values() if isinstance(value, torch.Tensor))
    assert peak <= BATCHES_HELD * size


def test_the_counters_see_what_they_are_for() -> None:
    rows = torch.randn(8, 4)
    counts = counted(lambda: (rows @ rows.T, rows.clone(), rows.view(4, 8), rows.add_(0.0)))
    assert counts.product_flops == 2 * 8 * 8 * 4
    assert (counts.copied, counts.allocated) == (rows.nbytes, rows.nbytes + 4 * 64)
    assert counts.calls == {"mm": 1, "clone": 1, "add_": 1}
    assert python_lines(lambda: [np.sqrt(n) for n in range(30)]) - python_lines(lambda: [np.sqrt(0)]) >= 25
