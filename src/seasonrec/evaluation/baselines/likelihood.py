"""Fit of log-linear counters by the likelihood of observed targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from seasonrec.evaluation.baselines.evidence import Evidence
from seasonrec.evaluation.baselines.log_linear import LogLinear
from seasonrec.evaluation.baselines.mixture import fit_mixture

PENALTY = 1.0
"""Precision of the normal prior of the exponents, and of each bin's distance from the bins' mean."""

EM_STEPS, FIT_STEPS = 40, 30
"""Steps of the start, with equal weights in all bins, and of the fit."""


@dataclass(frozen=True)
class Observed:
    """Evidence and targets of a fit, with everything looked up that no parameter changes.

    Args:
        evidence: Evidence of the requests.
        request: ``(M,)`` request of each target.
        cell: ``(M,)`` place of the target in a ``(Q, V)`` table.
        own: ``(M, S)`` own shares of the targets; 0 where the item is new to the user.
        popular: ``(M, R)`` shares by day of the targets.
        features: ``(M, G)`` own features of the targets, 0 where the item is new.
        pair_cell: ``(P,)`` place of each pair in a ``(Q, V)`` table.
        pair_popular: ``(P, R)`` shares by day of the pairs.
    """

    evidence: Evidence
    request: Tensor
    cell: Tensor
    own: Tensor
    popular: Tensor
    features: Tensor
    pair_cell: Tensor
    pair_popular: Tensor

    @classmethod
    def of(cls, evidence: Evidence, request: Tensor, item: Tensor) -> Observed:
        """Returns the observed targets ``(request, item)``, both ``(M,)``."""
        popular = evidence.popular.flatten(0, 1)  # (Q V, R)
        num_items = evidence.popular.shape[1]
        cell = evidence.row[request] * num_items + item
        pair_cell = evidence.row[evidence.request] * num_items + evidence.item
        pair = evidence.pair_of(request, item)
        own, features = (_rows_or_zero(values, pair) for values in (evidence.own, evidence.features))
        return cls(evidence, request, cell, own, popular[cell], features, pair_cell, popular[pair_cell])


def log_likelihood(model: LogLinear, observed: Observed) -> Tensor:
    """Returns the ``(M,)`` log probabilities of the targets over the catalogue.

    The sum over the catalogue needs one table of days and a correction at the pairs, not a table of requests.
    """
    evidence, bins = observed.evidence, model.bins(observed.evidence)
    by_own, by_day = model.split_weights(evidence)
    log_lift = (evidence.lifts @ model.lift).flatten()  # (Q V,)
    lift = log_lift.exp()
    by_row = torch.einsum("qvd,qv->qd", evidence.popular, lift.view(evidence.popular.shape[:2]))  # (Q, R)
    total = (by_row @ by_day.T)[evidence.row].gather(1, bins[:, None]).squeeze(1)  # (N,)
    added = _of_bin(evidence.own, by_own, bins[evidence.request])  # (P,), beyond the shares by day
    if len(model.own):
        popular = _of_bin(observed.pair_popular, by_day, bins[evidence.request])
        added = (popular + added) * (evidence.features @ model.own).exp() - popular
    total = total.index_add(0, evidence.request, lift.index_select(0, observed.pair_cell) * added)
    bins = bins[observed.request]
    share = _of_bin(observed.popular, by_day, bins) + _of_bin(observed.own, by_own, bins)
    exponent = log_lift.index_select(0, observed.cell) + observed.features @ model.own
    return share.log() + exponent - total.log().index_select(0, observed.request)


def fit(observed: Observed, edges: Tensor, start: LogLinear | None = None, steps: int = FIT_STEPS) -> LogLinear:
    """Returns the parameters of maximum likelihood, with a weak prior that keeps a rare bin near the common weights.

    Args:
        observed: Evidence and targets.
        edges: ``(J - 1,)`` edges of the bins.
        start: Parameters to start from; None for a mixture without exponents, fitted by EM.
        steps: Largest number of steps of L-BFGS; SciPy's, because PyTorch's imports its compiler for seconds.
    """
    start = start or _mixture_only(observed, edges)
    parts = (start.logits, start.lift, start.own)

    def loss(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        vector = torch.from_numpy(values).float().requires_grad_()
        with torch.enable_grad():
            model = LogLinear(edges, *_unflattened(vector, parts))
            mean = log_likelihood(model, observed).double().mean()
            value = 0.5 * PENALTY * _prior(model).double() / len(observed.cell) - mean
            (gradient,) = torch.autograd.grad(value, vector)
        return float(value.detach()), gradient.double().numpy()

    flat = torch.cat([part.flatten() for part in parts]).double().numpy()
    found = minimize(loss, flat, jac=True, method="L-BFGS-B", options={"maxiter": steps, "maxcor": 20})
    return LogLinear(edges, *_unflattened(torch.from_numpy(found.x).float(), parts))


def _prior(model: LogLinear) -> Tensor:
    spread = model.logits - model.logits.mean(0)
    return model.lift.square().sum() + model.own.square().sum() + spread.square().sum()


def _unflattened(vector: Tensor, parts: Sequence[Tensor]) -> list[Tensor]:
    pieces = torch.tensor_split(vector, np.cumsum([part.numel() for part in parts])[:-1].tolist())
    return [piece.view(part.shape) for piece, part in zip(pieces, parts, strict=True)]


def _mixture_only(observed: Observed, edges: Tensor) -> LogLinear:
    weights = fit_mixture(torch.cat([observed.own, observed.popular], dim=1), EM_STEPS)
    logits = weights.clamp(min=1e-5).log().expand(len(edges) + 1, -1)
    sizes = observed.evidence.lifts.shape[2], observed.evidence.features.shape[1]
    return LogLinear(edges, logits, *(torch.zeros(size) for size in sizes))


def _of_bin(shares: Tensor, weights: Tensor, bins: Tensor) -> Tensor:
    """Returns each row of ``(n, c)`` shares times the weights of its bin, ``(J, c)``; two products, no large gather."""
    if len(weights) == 1:
        return shares @ weights[0]
    return (shares @ weights.T).gather(1, bins[:, None]).squeeze(1)


def _rows_or_zero(values: Tensor, place: Tensor) -> Tensor:
    if not len(values):
        return values.new_zeros(len(place), values.shape[1])
    return values[place.clamp(min=0)] * (place >= 0)[:, None]
