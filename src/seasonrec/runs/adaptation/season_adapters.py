"""The adaptation that trains an adapter for each season."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, cast

import numpy as np
import torch

from seasonrec.config.schema import Component, RunConfig
from seasonrec.errors import UserError
from seasonrec.models.season.adapters import By, SeasonAdapters
from seasonrec.ranges import AtLeast, Rate, Width, ranged
from seasonrec.runs.adaptation.base import FineTuning, Update, UpdatePlace, fine_tuned
from seasonrec.runs.adaptation.past import batches_of_past, evenly
from seasonrec.runs.run import Run
from seasonrec.training.continual.ewc import trained_weights

NAME = "season_adapters"
"""Name of the component among the model's seasons."""

PROBES = 512
"""Requests of the new period, evenly spaced, whose dates say which adapters it trains."""


@ranged("adaptation")
@dataclass(frozen=True)
class SeasonAdaptersTuning(FineTuning):
    """Fine-tuning of the adapters of the period's seasons; all other weights stay those of the checkpoint.

    The adapter of a season is chosen or mixed by the date of a request, and is kept until its season returns.

    Args:
        learning_rate: Peak learning rate; higher than that of all weights, because an adapter starts at zero.
        seasons: Seasons of the year, of equal length from 1 January.
        rank: Width of an adapter.
        by: ``mixed`` or ``chosen``, see :class:`~seasonrec.models.season.adapters.SeasonAdapters`.
    """

    learning_rate: Rate = 0.02
    seasons: Annotated[int, AtLeast(1, 366)] = 4
    rank: Width = 8
    by: By = "mixed"

    def extended(self, config: RunConfig) -> RunConfig:
        if NAME in (config.season or {}):
            raise UserError(
                f"checkpoint has season adapters already; walk from the run that it began with, or choose another "
                f"adaptation than {NAME}."
            )
        node = {"_target_": "seasonrec.models.season.adapters.SeasonAdapters", "number": self.seasons}
        added = {NAME: cast(Component, {**node, "rank": self.rank, "by": self.by})}
        return replace(config, season={**(config.season or {}), **added})

    def __call__(self, run: Run, place: UpdatePlace) -> Update:
        trained = trained_weights(run.model)
        adapters = cast(SeasonAdapters, run.model.season[NAME])
        run.model.requires_grad_(False)
        for season in self._touched(run, adapters):
            for weight in adapters.adapter(season):
                weight.requires_grad_(True)
        update = fine_tuned(run, place, self)
        for name, weight in run.model.named_parameters():
            weight.requires_grad_(name in trained)
        return update

    def _touched(self, run: Run, adapters: SeasonAdapters) -> list[int]:
        """Returns the seasons with a weight in the new period."""
        baskets = run.data.split.train_baskets(run.data.log)
        times = np.asarray(run.data.log.basket_times_s)[baskets]
        some = evenly(baskets[np.argsort(times, kind="stable")], PROBES)
        phases = [batch.context[adapters.calendar.name].year_phase for batch in batches_of_past(run, some, PROBES)]
        return torch.nonzero(adapters.weights(torch.cat(phases)).sum(0)).flatten().tolist()
