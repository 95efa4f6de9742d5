"""Fit of the mixtures of a run on the validation part."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from seasonrec.batches.requests import Requests
from seasonrec.config import build
from seasonrec.errors import UserError
from seasonrec.models.context_use import pick_contexts
from seasonrec.models.mixture.base import Mixture, Observed
from seasonrec.runs.opening import device_of
from seasonrec.runs.run import Run
from seasonrec.training.distributed.processes import take_from_first
from seasonrec.training.loss.base import Loss

FITTED_CELLS = 1 << 26
"""Largest number of requests of a fit times items, whose probabilities are held in memory (256 MiB)."""


def require_fit(run: Run, loss: Loss) -> None:
    """Checks, before training, that the mixtures of a run and its domains, which share a loss, can be fitted after it.

    Raises:
        UserError: If the loss gives no probabilities.
    """
    if isinstance(run.model.mixture, Mixture) and not loss.gives_probabilities:
        raise UserError(
            f"mixture mixes probabilities, and loss={type(loss).__name__} gives none; set mixture=none, or "
            "loss=full_softmax."
        )


def fit_mixtures(run: Run) -> None:
    """Fits the mixture of a trained run and those of its domains; afterwards their batches hold what mixtures read."""
    for one in run.all:
        if isinstance(one.model.mixture, Mixture):
            _fit(one, one.model.mixture)
            one.build_batches()


def _fit(run: Run, mixture: Mixture) -> None:
    model, data, device = run.model.eval(), run.data, device_of(run.config)
    contexts = {name: one.bind(data.log, data.spec) for name, one in model.contexts(False, with_unfitted=True).items()}
    builder = run.batches.over(contexts)
    observed: list[Observed] = []
    model.to(device)
    with torch.no_grad(), model.frozen_items():
        for requests in _held_out(run):
            batch = builder(requests).to(device)
            context = pick_contexts(batch, mixture, mixture.contexts)
            observed.append(mixture.observe(model.read(batch).scores(), batch, context))
        bits = mixture.fit(observed)
        take_from_first(mixture.buffers())
        shares = mixture.mean_weights(observed)
    shown = ", ".join(f"{name} {weight:.3f}" for name, weight in shares.items())
    print(f"  mixture: {bits:.4f} bits on the validation requests it was fitted on; mean weights {shown}", flush=True)


def _held_out(run: Run) -> Iterator[Requests]:
    """Yields evenly spaced validation requests, by rising time: a batch of one or two days has small tables of days."""
    log, options = run.data.log, build(run.config.loader)()
    baskets = run.data.split.validation_baskets(log)
    step = max(options.validation_stride, -(-len(baskets) * log.num_items // FITTED_CELLS))
    chosen = baskets[::step]
    chosen = chosen[np.argsort(np.asarray(log.basket_times_s)[chosen], kind="stable")]
    for start in range(0, len(chosen), options.evaluation_batch_size):
        part = np.sort(chosen[start : start + options.evaluation_batch_size])
        yield Requests.of_baskets(log, part, run.data.horizon)
