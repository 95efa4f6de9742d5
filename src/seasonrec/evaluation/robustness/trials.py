"""Ranking quality of a trained model with perturbed inputs or changed histories."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl
import torch
from torch import Tensor

from seasonrec.atomic import write_text
from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.loader import BatchBuilder
from seasonrec.batches.requests import Requests
from seasonrec.data.csv_text import without_formulas
from seasonrec.data.log import EventLog
from seasonrec.errors import UserError
from seasonrec.evaluation.protocol import Protocol
from seasonrec.evaluation.ranking.evaluator import Scorer, quick_metrics
from seasonrec.evaluation.ranking.scorers import ModelScorer
from seasonrec.evaluation.robustness.histories import ChangeHistory, histories
from seasonrec.models.recommender import SeasonalRecommender
from seasonrec.ranges import Count, Entries, PartOfAll, Positive, ranged
from seasonrec.training.adversarial.perturbation import random_unit, unit
from seasonrec.training.adversarial.shifts import Deltas, Shift, TargetCall, Watch
from seasonrec.training.adversarial.targets import Target, changed, check_target

PERTURBATIONS = ("adversarial", "random")
SCHEMA = {
    "kind": pl.String, "target": pl.String, "size": pl.Float64, "ndcg@10": pl.Float64, "bits": pl.Float64,
    "requests": pl.Int64,
}  # fmt: skip


@ranged("")
@dataclass(frozen=True)
class RobustnessOptions:
    """Options of the robustness trials.

    Args:
        target: Target of the perturbation, see :data:`~seasonrec.training.adversarial.targets.Target`.
        sizes: Norms of the perturbation, as shares of the mean norm of the perturbed vectors.
        shares: Shares of a history's events that are swapped, dropped or shuffled.
        max_requests: Largest number of requests of the evaluated part, evenly spaced.
        seed: Seed of all random numbers.

    Raises:
        ValueError: If a number lies outside its range.
    """

    target: Target
    sizes: Annotated[tuple[Positive, ...], Entries(0)]
    shares: Annotated[tuple[PartOfAll, ...], Entries(0)]
    max_requests: Count
    seed: int


@dataclass(frozen=True)
class PerturbedScorer:
    """Scores of a model whose inputs are perturbed in a direction: ``"adversarial"`` or ``"random"``.

    ``adversarial`` follows the gradient of the requests' own loss, like FGM in training. It knows the targets and is
    the worst direction. ``random`` shows the effect of noise of the same size. An item has one vector for all requests
    that are scored at once, so that a perturbation of items is the worst for these requests together. For ``target``,
    ``size`` and ``seed`` see :class:`RobustnessOptions`.
    """

    name: str
    model: SeasonalRecommender
    builder: BatchBuilder
    target: Target
    direction: str
    size: float
    seed: int

    def score(self, requests: Requests) -> Tensor:
        """Returns ``(N, V)`` logits of all items."""
        self.model.eval()
        batch = self.builder(requests).to(next(self.model.parameters()).device)
        watch = Watch(keeps_gradient=False)
        with torch.no_grad(), changed(self.model, self.target, watch):
            self.model(batch)
        find = self._towards_loss if self.direction == "adversarial" else self._at_random
        deltas = [
            None if found is None else self.size * one.radius * found
            for one, found in zip(watch.calls, find(batch, watch.calls), strict=True)
        ]
        with torch.no_grad():
            return self._shifted(batch, deltas).float()

    def _at_random(self, batch: SequenceBatch, calls: list[TargetCall]) -> Deltas:
        place = np.random.SeedSequence((self.seed, int(batch.basket_ids[0])))
        seed = int(place.generate_state(1)[0])
        return [random_unit(one.shape, one.is_padding, torch.Generator(one.device).manual_seed(seed)) for one in calls]

    def _towards_loss(self, batch: SequenceBatch, calls: list[TargetCall]) -> Deltas:
        leaves = [torch.zeros(one.shape, device=one.device, requires_grad=True) for one in calls]
        # the GRU of cuDNN has no gradient in evaluation mode
        with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
            scores = self.model.mask_unavailable(self._shifted(batch, leaves).float(), batch)
            shares = torch.log_softmax(scores, dim=1)[batch.target_request, batch.target_items]
            gradients = torch.autograd.grad(-shares.mean(), leaves, allow_unused=True)
        return [None if gradient is None else unit(gradient) for gradient in gradients]

    def _shifted(self, batch: SequenceBatch, deltas: Deltas) -> Tensor:
        with changed(self.model, self.target, Shift(deltas, self.target, needs_gradient=False)):
            return self.model(batch)


class ChangedBuilder(BatchBuilder):
    """Batches with changed histories; the random numbers of a request depend on the seed and its chunk."""

    def __init__(self, builder: BatchBuilder, change: ChangeHistory, share: float, seed: int) -> None:
        super().__init__(builder.log, builder.contexts, builder.max_seq_len, candidates=builder.candidates)
        self.change = change
        self.share = share
        self.seed = seed

    def __call__(self, requests: Requests, *more: object, **options: object) -> SequenceBatch:
        batch = super().__call__(requests, *more, **options)  # type: ignore[arg-type]  # passed on unchanged
        return self.change(batch, self.share, np.random.default_rng((self.seed, int(requests.baskets[0]))))


def robustness_table(
    scorer: ModelScorer,
    log: EventLog,
    requests: Requests,
    protocol: Protocol,
    options: RobustnessOptions,
    progress: Callable[[str], None] = print,
) -> pl.DataFrame:
    """Returns NDCG@10 and bits by size of a perturbation, and with changed histories.

    Args:
        scorer: The trained model.
        log: The prepared log.
        requests: Requests of the evaluated part.
        protocol: Gives the rule of the candidates.
        options: Options of the trials.
        progress: Called with a line for each trial.

    Returns:
        ``kind`` (``clean``, ``adversarial``, ``random``, ``swap``, ``drop``, ``shuffle``), ``target`` (null for
        histories), ``size`` (0 for ``clean``), ``ndcg@10``, ``bits`` and ``requests``, one row per trial.

    Raises:
        ValueError: If the model lacks the target, or there is no request.
    """
    check_target(scorer.model, options.target, "target")
    if not len(requests):
        raise UserError("robustness needs at least one request in the test part, got none; choose an earlier cut.")
    chosen = requests[:: -(-len(requests) // options.max_requests)]
    found = []
    for kind, target, size, tried in _trials(scorer, log.num_items, options):
        means = quick_metrics(tried, log, chosen, protocol)
        progress(f"{kind} {size:g}: ndcg@10 {means['ndcg@10']:.4f}, bits {means['bits']:.4f}")
        found.append((kind, target, size, means["ndcg@10"], means["bits"], len(chosen)))
    return pl.DataFrame(found, schema=SCHEMA, orient="row")


def write_table(path: Path, table: pl.DataFrame) -> None:
    """Writes a CSV file atomically."""
    write_text(path, without_formulas(table).write_csv())


def _trials(
    scorer: ModelScorer, num_items: int, options: RobustnessOptions
) -> Iterator[tuple[str, Target | None, float, Scorer]]:
    yield "clean", None, 0.0, scorer
    for kind in PERTURBATIONS:
        for size in options.sizes:
            options_of = (scorer.name, scorer.model, scorer.builder, options.target, kind, size, options.seed)
            yield kind, options.target, size, PerturbedScorer(*options_of)
    for kind, change in histories(num_items).items():
        for share in options.shares:
            builder = ChangedBuilder(scorer.builder, change, share, options.seed)
            yield kind, None, share, replace(scorer, builder=builder)
