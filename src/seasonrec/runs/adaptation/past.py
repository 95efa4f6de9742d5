"""Earlier requests of an update: evenly spaced samples, batches and features."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.requests import Requests
from seasonrec.batches.user_pools import Period
from seasonrec.config import build
from seasonrec.runs.opening import device_of
from seasonrec.runs.run import Run
from seasonrec.training.continual.modes import evaluating


def past_baskets(run: Run, past: Period) -> NDArray[np.int64]:
    """Returns the baskets of a period by rising time."""
    log = run.data.log
    baskets = past.of_users(log, (0, log.num_users))
    return baskets[np.argsort(np.asarray(log.basket_times_s)[baskets], kind="stable")]


def evenly(baskets: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Returns at most ``count`` evenly spaced entries."""
    if len(baskets) <= count:
        return baskets
    return baskets[np.linspace(0, len(baskets) - 1, count).astype(np.int64)]


def batches_of_past(run: Run, baskets: NDArray[np.int64], size: int) -> Iterator[SequenceBatch]:
    """Yields the requests of some baskets in batches on the run's device."""
    data, device = run.data, device_of(run.config)
    builder = run.batches.only(run.model.contexts(with_tasks=False))
    for start in range(0, len(baskets), size):
        requests = Requests.of_baskets(data.log, baskets[start : start + size], data.horizon)
        yield builder(requests).to(device)


def queries(run: Run, baskets: NDArray[np.int64]) -> Tensor:
    """Returns the ``(n, D)`` queries of the requests of some baskets."""
    model = run.model.to(device_of(run.config))
    size = build(run.config.loader)().evaluation_batch_size
    with torch.no_grad(), evaluating(model), model.frozen_items():
        return torch.cat([model.read(batch).query for batch in batches_of_past(run, baskets, size)])
