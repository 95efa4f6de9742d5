"""Fit of the demand models of a run, before training."""

from __future__ import annotations

import time

import numpy as np

from seasonrec.batches.context.demand import DaySalesIndex
from seasonrec.data.calendar import local_days
from seasonrec.errors import UserError
from seasonrec.models.demand.multinomial import MultinomialDemand
from seasonrec.runs.run import Run
from seasonrec.training.distributed.processes import take_from_first

FITTED_CELLS, FITTED_DAYS = 1 << 23, 1 << 11
"""Largest number of days of a fit times items, and of days; of more days, evenly spaced ones are taken."""


def fit_demands(run: Run) -> None:
    """Fits the demand models of a run and its domains that are not fitted yet."""
    for one in run.all:
        if isinstance(one.model.demand, MultinomialDemand) and not bool(one.model.demand.is_fitted):
            _fit(one, one.model.demand)


def _fit(run: Run, demand: MultinomialDemand) -> None:
    """Fits a model to the days of the training part, each with what the protocol's horizon lets it know."""
    start_s = time.perf_counter()
    data = run.data
    sales = DaySalesIndex(data.log, demand.windows_days, demand.half_window_days, data.protocol.candidates)
    ends = local_days(np.array([data.split.train_from_s, data.spec.train_until_s]), data.log.timezone)
    first, stop = (ends - sales.counts.first_day).tolist()
    asked = np.arange(max(first, demand.first_day if demand.has_year else 0), stop)
    known = data.horizon.known_until_days(asked + sales.counts.first_day) - sales.counts.first_day
    least = max(demand.windows_days)
    pairs = [(day, until) for day, until in zip(asked.tolist(), known.tolist(), strict=True) if until >= least]
    days = [pair for pair in pairs if sales.on(pair[0]).any()]
    if not days:
        raise UserError(
            f"demand=multinomial is fitted on training days that know {least} days of the log under the protocol's "
            f"horizon{' and lie a year after its begin' if demand.has_year else ''}, and the training part ends on day "
            f"{stop} of the log; choose a later split.validation_from, or demand=none."
        )
    days = days[:: max(-(-len(days) * data.log.num_items // FITTED_CELLS), -(-len(days) // FITTED_DAYS))]
    bits = demand.fit([(sales.of(day, until), sales.on(day)) for day, until in days])
    take_from_first(demand.buffers())
    took_s = time.perf_counter() - start_s
    print(f"  demand: {bits:.4f} bits on {len(days)} training days, fitted in {took_s:.0f} s", flush=True)
