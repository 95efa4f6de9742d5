"""Fit of log-linear counters by the likelihood of observed targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from seasonrec.batches.context.shares import COUNTED, SMALLEST, rows_or_zero
from seasonrec.evaluation.baselines.evidence import Evidence
from seasonrec.evaluation.baselines.log_linear import LogLinear
from seasonrec.evaluation.baselines.mixture import SMALLEST_WEIGHT, fit_mixture, with_floor

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
        parts: ``(M, K)`` probabilities of the targets under every part.
        features: ``(M, G)`` own features of the targets, 0 where the item is new.
        pair_cell: ``(P,)`` place of each pair in a ``(Q, V)`` table.
        pair_parts: ``(P, K - S)`` probabilities of the pairs under the parts that are not own.
        newborn_cell: ``(T,)`` place of each pair of a request and a newborn item in a ``(Q, V)`` table.
    """

    evidence: Evidence
    request: Tensor
    cell: Tensor
    parts: Tensor
    features: Tensor
    pair_cell: Tensor
    pair_parts: Tensor
    newborn_cell: Tensor

    @classmethod
    def of(cls, evidence: Evidence, request: Tensor, item: Tensor) -> Observed:
        """Returns the observed targets ``(request, item)``, both ``(M,)``; all are candidates of their requests."""
        shares = evidence.shares
        num_items, num_own = shares.by_day.shape[1], shares.own.shape[1]
        return cls(
            evidence,
            request,
            cell=shares.row[request] * num_items + item,
            parts=shares.at(request, item),
            features=rows_or_zero(evidence.features, shares.own_pair(request, item)),
            pair_cell=shares.row[shares.request] * num_items + shares.item,
            pair_parts=shares.at(shares.request, shares.item)[:, num_own:],
            newborn_cell=shares.row[shares.newborn_request] * num_items + shares.newborn_item,
        )


def log_likelihood(model: LogLinear, observed: Observed) -> Tensor:
    """Returns the ``(M,)`` log probabilities of the targets over the candidates.

    The sum over the candidates needs one table of days and corrections at the pairs, not a table of requests.
    """
    evidence, shares, bins = observed.evidence, observed.evidence.shares, model.bins(observed.evidence)
    by_own, others = model.weights.split_with_sizes([shares.own.shape[1], observed.pair_parts.shape[1]], dim=1)
    log_lift = (evidence.lifts @ model.lift).flatten()  # (Q V,)
    lift = log_lift.exp()
    by_row = torch.einsum("qvr,qv->qr", shares.by_day, lift.view(shares.by_day.shape[:2]))  # (Q, R + 2)
    _, by_day = shares.split(model.weights[bins])
    total = (by_row[shares.row] * by_day).sum(1)  # (N,)
    total = total.index_add(0, shares.newborn_request, lift[observed.newborn_cell] * shares.counted(by_day))
    added = _of_bin(shares.own, by_own, bins[shares.request])  # (P,), beyond the shares by day
    if len(model.own):
        other = _of_bin(observed.pair_parts, others, bins[shares.request])
        added = (other + added) * (evidence.features @ model.own).exp() - other
    total = total.index_add(0, shares.request, lift.index_select(0, observed.pair_cell) * added)
    share = _of_bin(observed.parts, model.weights, bins[observed.request])
    exponent = log_lift.index_select(0, observed.cell) + observed.features @ model.own
    return share.log() + exponent - total.log().index_select(0, observed.request)


def fit(observed: Observed, start: LogLinear, steps: int = FIT_STEPS) -> LogLinear:
    """Returns the parameters of maximum likelihood, with a weak prior that keeps a rare bin near the common weights.

    Args:
        observed: Evidence and targets.
        start: Bins, and parameters to start from. If no exponent is set, the weights start from a mixture fitted by EM.
        steps: Largest number of steps of L-BFGS; SciPy's, because PyTorch's imports its compiler for seconds.
    """
    if not (start.lift.any() or start.own.any()):
        start = replace(start, logits=_mixture_only(observed).expand(len(start.logits), -1))
    parts = (start.logits, start.lift, start.own)

    def model_of(values: Tensor) -> LogLinear:
        return LogLinear(start.edges, *_unflattened(values.float(), parts))

    def loss(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        vector = torch.from_numpy(values).requires_grad_()
        with torch.enable_grad():
            model = model_of(vector)
            mean = log_likelihood(model, observed).double().mean()
            value = 0.5 * PENALTY * _prior(model).double() / len(observed.cell) - mean
            (gradient,) = torch.autograd.grad(value, vector)
        return float(value.detach()), gradient.numpy()

    flat = torch.cat([part.flatten() for part in parts]).double().numpy()
    found = minimize(loss, flat, jac=True, method="L-BFGS-B", options={"maxiter": steps, "maxcor": 20})
    return _with_floor(model_of(torch.from_numpy(found.x)))


def _with_floor(model: LogLinear) -> LogLinear:
    """Returns the model with at least :data:`SMALLEST_WEIGHT` of the uniform part in every bin."""
    weights = [with_floor(row, -COUNTED) for row in model.weights]
    return replace(model, logits=torch.stack(weights).clamp(min=SMALLEST).log())


def _prior(model: LogLinear) -> Tensor:
    spread = model.logits - model.logits.mean(0)
    return model.lift.square().sum() + model.own.square().sum() + spread.square().sum()


def _unflattened(vector: Tensor, parts: Sequence[Tensor]) -> list[Tensor]:
    pieces = torch.tensor_split(vector, np.cumsum([part.numel() for part in parts])[:-1].tolist())
    return [piece.view(part.shape) for piece, part in zip(pieces, parts, strict=True)]


def _mixture_only(observed: Observed) -> Tensor:
    """Returns the ``(K,)`` logits of the weights of a mixture without exponents."""
    weights = fit_mixture(observed.parts, observed.evidence.shares.present[observed.request], EM_STEPS)
    return weights.clamp(min=SMALLEST_WEIGHT).log()


def _of_bin(shares: Tensor, weights: Tensor, bins: Tensor) -> Tensor:
    """Returns each row of ``(n, c)`` shares times the weights of its bin, ``(J, c)``; two products, no large gather."""
    if len(weights) == 1:
        return shares @ weights[0]
    return (shares @ weights.T).gather(1, bins[:, None]).squeeze(1)
