"""Fit of the mixtures of a run on the validation part."""

from __future__ import annotations

import torch

from seasonrec.batches.loader import LoaderOptions
from seasonrec.batches.user_pools import Period
from seasonrec.batches.validation import ValidationBatches
from seasonrec.config import build
from seasonrec.errors import UserError
from seasonrec.models.context_use import pick_contexts
from seasonrec.models.mixture.base import Mixture, Observed
from seasonrec.runs.opening import device_of
from seasonrec.runs.run import Run
from seasonrec.training.loss.base import Loss


def require_fit(run: Run, loss: Loss) -> None:
    """Checks, before training, that the mixture of a run or domain can be fitted after it.

    Raises:
        UserError: If the loss gives no probabilities.
    """
    if not run.model.mixture.needs_fit:
        return
    where = f"domain.{run.domain}: " if run.domain else ""
    if not loss.gives_probabilities:
        raise UserError(
            f"{where}mixture mixes probabilities, and loss={type(loss).__name__} gives none; set mixture=none, or "
            "loss=full_softmax."
        )


def fit_mixtures(run: Run) -> None:
    """Fits the mixture of a trained run and those of its domains; afterwards their batches hold what mixtures read."""
    for one in run.all:
        if isinstance(one.model.mixture, Mixture):
            _fit(one, one.model.mixture)
            one.build_batches()


def _fit(run: Run, mixture: Mixture) -> None:
    model, data = run.model.eval(), run.data
    options: LoaderOptions = build(run.config.loader)()
    following = Period(data.split.validation_from_s, data.split.test_from_s)
    log = data.log
    contexts = {name: one.bind(log, data.spec) for name, one in model.contexts(False, with_unfitted=True).items()}
    batches = ValidationBatches(run.batches.over(contexts), following, options, data.protocol.horizon_s)
    device = device_of(run.config)
    model.to(device)
    pieces: list[Observed] = []
    with torch.no_grad(), model.frozen_items():
        for batch in batches:
            moved = batch.to(device)
            context = pick_contexts(moved, mixture, mixture.contexts)
            pieces.append(mixture.observe(model.read(moved).scores(), moved, context))
        observed = Observed.joined(pieces)
        bits = mixture.fit(observed)
    shown = ", ".join(f"{name} {weight:.3f}" for name, weight in mixture.mean_weights(observed).items())
    print(f"  mixture: {bits:.4f} bits on the validation part it was fitted on; mean weights {shown}", flush=True)
