"""Precision: bf16 changes the metrics less than another seed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from small_runs import OPTIONS, small_model, small_run
from small_shop import Shop

from seasonrec.batches.requests import Requests
from seasonrec.evaluation.protocol import Protocol
from seasonrec.evaluation.ranking.evaluator import quick_metrics
from seasonrec.evaluation.ranking.scorers import ModelScorer
from seasonrec.training.fit import TrainerOptions

SEEDS = range(5)
METRICS = ("bits", "ndcg@10", "hr@10", "mrr")


def metrics_by_seed(shop: Shop, folder: Path, options: TrainerOptions) -> NDArray[np.float64]:
    """Returns ``(seeds, metrics)`` on the test part."""
    rows = []
    for seed in SEEDS:
        run = small_run(shop, folder / str(seed), options=options, seed=seed)
        model = small_model(shop)
        model.load_state_dict({name.removeprefix("model."): weight for name, weight in run.weights.items()})
        scorer = ModelScorer("small", model, shop.builder(model.contexts()))
        requests = Requests.of_baskets(shop.log, shop.split.test_baskets(shop.log))
        found = quick_metrics(scorer, shop.log, requests, Protocol())
        rows.append([found[name] for name in METRICS])
    return np.asarray(rows)


@pytest.fixture(scope="module")
def full(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> NDArray[np.float64]:
    return metrics_by_seed(shop, tmp_path_factory.mktemp("full"), OPTIONS)


def test_bf16_mixed_is_fp32_within_the_spread_over_seeds(shop: Shop, full: NDArray[np.float64], tmp_path: Path) -> None:
    """Compares runs with equal batches, random numbers and initial weights, so that only precision differs.

    The tolerance is the standard deviation over seeds, measured here: a difference below it cannot be told from the
    luck of one seed, which is the least that a table of results takes for noise.
    """
    mixed = metrics_by_seed(shop, tmp_path, replace(OPTIONS, precision="bf16-mixed"))
    spread = full.std(axis=0, ddof=1)
    difference = mixed - full
    assert (difference != 0).any(), "the products were taken in bf16"
    assert (spread > 0).all()
    assert (np.abs(difference.mean(axis=0)) < spread).all(), dict(zip(METRICS, difference.mean(axis=0), strict=True))
    assert np.sqrt((difference**2).mean(axis=0))[0] < spread[0], "no seed's bits are far from those in fp32"


def test_the_spread_would_tell_a_worse_model(full: NDArray[np.float64], shop: Shop, tmp_path: Path) -> None:
    """Checks that a third of the training is outside the tolerance, so that the test can fail."""
    short = metrics_by_seed(shop, tmp_path, replace(OPTIONS, max_epochs=1))
    assert abs((short - full).mean(axis=0)[0]) > full.std(axis=0, ddof=1)[0]
