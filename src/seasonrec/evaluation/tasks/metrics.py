"""Metrics of the further tasks, by kind of sample.

A batch is first reduced to a few numbers per sample. Processes exchange these numbers, so that all compute the same
metrics from the same samples in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics.functional import classification, regression

from seasonrec.evaluation import metrics
from seasonrec.evaluation.ranking.ranks import rank_targets
from seasonrec.evaluation.results.store import START
from seasonrec.models.task.base import Kind, TaskOutput

K = 10
QUANTILES = {"low": 0.1, "middle": 0.5, "high": 0.9}
CALIBRATION_BINS = 15
OF_TRUTH = ("prevalence", "mae_constant", "censored")
"""Metrics that do not depend on the predictions."""
COMPARED = 8192
"""Largest number of samples of the concordance; from more samples, an evenly spaced selection is taken."""

_SCHEMAS: Mapping[Kind, dict[str, Any]] = {
    "binary": {"probability": pl.Float32, "truth": pl.Float32},
    "amount": dict.fromkeys((*QUANTILES, "truth"), pl.Float32) | {"censored": pl.Boolean},
    "ranking": {f"recall@{K}": pl.Float64, f"ndcg@{K}": pl.Float64},
}


def samples(kind: Kind, output: TaskOutput) -> pl.DataFrame:
    """Returns a few numbers per sample of a batch, and those of the head's baseline, null without one."""
    frame = _samples(kind, output.prediction, output)
    if output.start is None:
        start = pl.DataFrame({name: [None] * frame.height for name in frame.columns}, schema=frame.schema)
    else:
        start = _samples(kind, output.start, output)
    return pl.concat([frame, start.rename(lambda name: START + name)], how="horizontal")


def _samples(kind: Kind, prediction: Tensor, output: TaskOutput) -> pl.DataFrame:
    columns = _COLUMNS[kind](prediction.float().cpu(), output.truth.cpu(), output.censored)
    return pl.DataFrame(columns, schema=_SCHEMAS[kind])


def no_samples(kind: Kind) -> pl.DataFrame:
    """Returns a frame without samples."""
    schema = _SCHEMAS[kind]
    return pl.DataFrame(schema={**schema, **{START + name: dtype for name, dtype in schema.items()}})


def task_metrics(kind: Kind, frame: pl.DataFrame) -> dict[str, float]:
    """Returns the metrics of a task from its :func:`samples`; undefined metrics are left out.

    Returns:
        ``samples``, and

        - ``binary``: ``prevalence``, ``auc``, ``average_precision``, ``f1`` and ``accuracy`` at a threshold of
          0.5, ``calibration_error`` (mean distance of probability and frequency over 15 bins).
        - ``amount``: ``mae``, ``wape`` and ``rmsle`` (root mean squared error of ``log(1 + amount)``) of the median,
          ``mae_constant`` of the best constant (a bound for predictions that ignore the request), ``pinball@q`` and
          their mean ``pinball``, ``coverage@0.8`` of the outer quantiles. For censored samples: their number
          ``censored``, their share ``censored_below`` whose median lies below the observed time, and the
          ``concordance``. The other metrics leave them out, and so favour predictions that are too low.
        - ``ranking``: ``recall@10`` and ``ndcg@10``, means over the rankings.

        The metrics of the head's baseline have the prefix ``start_``.
    """
    found = {"samples": float(frame.height)}
    if not frame.height:
        return found
    names = list(_SCHEMAS[kind])
    found |= _METRICS[kind](frame.select(names))
    start = frame.select(pl.col(START + name).alias(name) for name in names)
    if start[names[0]].null_count() == frame.height:
        return found
    of_start = _METRICS[kind](start)
    return found | {START + name: value for name, value in of_start.items() if name not in OF_TRUTH}


def _binary_columns(prediction: Tensor, truth: Tensor, censored: Tensor | None) -> dict[str, NDArray[Any]]:
    return {"probability": torch.sigmoid(prediction).numpy(), "truth": truth.float().numpy()}


def _amount_columns(prediction: Tensor, truth: Tensor, censored: Tensor | None) -> dict[str, NDArray[Any]]:
    nothing = torch.full_like(truth, torch.nan)
    levels = (nothing, prediction, nothing) if prediction.ndim == 1 else prediction.unbind(1)
    late = torch.zeros(len(truth), dtype=torch.bool) if censored is None else censored.cpu()
    quantiles = {name: level.numpy() for name, level in zip(QUANTILES, levels, strict=True)}
    return {**quantiles, "truth": truth.float().numpy(), "censored": late.numpy()}


def _ranking_columns(prediction: Tensor, truth: Tensor, censored: Tensor | None) -> dict[str, NDArray[Any]]:
    recall, ndcg = ranked_sets(prediction, truth) if truth.dtype == torch.bool else ranked_gains(prediction, truth)
    return {f"recall@{K}": recall, f"ndcg@{K}": ndcg}


def ranked_sets(scores: Tensor, truth: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns ``(P,)`` recall@10 and NDCG@10 of sets, in expectation over the orders of equal scores.

    Args:
        scores: ``(P, C)``, ``-inf`` where an item is no candidate.
        truth: ``(P, C)`` bool, at least one in each row.
    """
    request, item = truth.nonzero(as_tuple=True)
    greater, ties, _ = (tensor.numpy() for tensor in rank_targets(scores, request, item))
    row, number = request.numpy(), len(scores)
    recall = metrics.basket_recall(greater, ties, row, number, K)
    return recall, metrics.basket_ndcg(greater, ties, row, number, K)


def ranked_gains(scores: Tensor, gains: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns ``(P,)`` recall@10 and NDCG@10 of graded relevance.

    NDCG sums the discounted gains. Recall is the share of the ten greatest gains above 0 (fewer if a row has fewer)
    among the first ten; gains equal to the last of them count too. Values are in expectation over the orders of equal
    scores.

    Args:
        scores: ``(P, C)``, ``-inf`` where a column is no candidate.
        gains: ``(P, C)`` at or above 0, not all 0 in a row; 0 where the score is ``-inf``.
    """
    gains = gains.double()
    length = min(K, scores.shape[1])
    best = gains.topk(length, dim=1).values  # (P, k)
    least = torch.where(best > 0, best, torch.inf).amin(1, keepdim=True)
    found, hits = (_by_place(scores, values)[:, :length] for values in (gains, (gains >= least).double()))
    discount = 1.0 / torch.arange(2, length + 2, dtype=torch.float64).log2()
    recall = hits.sum(1) / (best > 0).sum(1)
    return recall.numpy(), ((found * discount).sum(1) / (best * discount).sum(1)).numpy()


def _by_place(scores: Tensor, values: Tensor) -> Tensor:
    """Returns ``(P, C)`` expected values at each rank of a row; equal scores have equal expected values."""
    ordered, order = scores.sort(dim=1, descending=True)
    group = torch.zeros_like(order)
    group[:, 1:] = (ordered[:, 1:] != ordered[:, :-1]).cumsum(1)  # (P, C), number of the group of equal scores
    sums = torch.zeros_like(values).scatter_add(1, group, values.gather(1, order))
    sizes = torch.zeros_like(values).scatter_add(1, group, torch.ones_like(values))
    return (sums / sizes.clamp(min=1.0)).gather(1, group)


def _binary(frame: pl.DataFrame) -> dict[str, float]:
    probability, truth = frame["probability"].to_torch(), frame["truth"].to_torch().long()
    found = {
        "prevalence": truth.double().mean(),
        "f1": classification.binary_f1_score(probability, truth),
        "accuracy": classification.binary_accuracy(probability, truth),
        "calibration_error": classification.binary_calibration_error(probability, truth, n_bins=CALIBRATION_BINS),
    }
    if 0 < int(truth.sum()) < len(truth):
        found["auc"] = classification.binary_auroc(probability, truth)
        found["average_precision"] = classification.binary_average_precision(probability, truth)
    return {name: float(value) for name, value in found.items()}


def _amount(frame: pl.DataFrame) -> dict[str, float]:
    censored = frame.filter("censored")
    found = _exact_amount(frame.filter(~pl.col("censored"))) if len(censored) < len(frame) else {}
    if len(censored):
        found["censored"] = float(len(censored))
        found["censored_below"] = float((censored["middle"] < censored["truth"]).mean())  # type: ignore[arg-type]  # not empty
        found |= _concordance(frame)
    return found


def _exact_amount(frame: pl.DataFrame) -> dict[str, float]:
    forecast = {name: torch.from_numpy(frame[name].to_numpy().astype(np.float64)) for name in QUANTILES}
    truth = torch.from_numpy(frame["truth"].to_numpy().astype(np.float64))
    middle = forecast["middle"]
    found = {
        "mae": regression.mean_absolute_error(middle, truth),
        "mae_constant": (truth - truth.median()).abs().mean(),
        "rmsle": regression.mean_squared_log_error(middle, truth).sqrt(),
    }
    if bool(truth.any()):
        found["wape"] = regression.weighted_mean_absolute_percentage_error(middle, truth)
    if not bool(forecast["low"].isnan().any()):
        each = {f"pinball@{level}": _pinball(forecast[name], truth, level) for name, level in QUANTILES.items()}
        found |= each | {"pinball": torch.stack(list(each.values())).mean()}
        found["coverage@0.8"] = ((forecast["low"] <= truth) & (truth <= forecast["high"])).double().mean()
    else:
        found["pinball@0.5"] = _pinball(middle, truth, 0.5)
    return {name: float(value) for name, value in found.items()}


def _pinball(forecast: Tensor, truth: Tensor, level: float) -> Tensor:
    above = truth - forecast
    return torch.maximum(level * above, (level - 1.0) * above).mean()


def _concordance(frame: pl.DataFrame) -> dict[str, float]:
    """Returns Harrell's c: the share of ordered pairs with medians in the same order; equal medians count one half."""
    if frame.height > COMPARED:
        frame = frame[np.linspace(0, frame.height - 1, COMPARED).astype(np.int64)]
    truth, middle, censored = (frame[name].to_numpy() for name in ("truth", "middle", "censored"))
    pairs = agreeing = 0.0
    for place in np.flatnonzero(~censored):
        later = (truth > truth[place]) | ((truth == truth[place]) & censored)
        pairs += later.sum()
        agreeing += (middle[later] > middle[place]).sum() + 0.5 * (middle[later] == middle[place]).sum()
    return {"concordance": float(agreeing / pairs)} if pairs else {}


def _ranking(frame: pl.DataFrame) -> dict[str, float]:
    return {name: float(frame[name].mean()) for name in frame.columns}  # type: ignore[arg-type]  # not empty


_COLUMNS: Mapping[Kind, Callable[[Tensor, Tensor, Tensor | None], dict[str, NDArray[Any]]]] = {
    "binary": _binary_columns,
    "amount": _amount_columns,
    "ranking": _ranking_columns,
}
_METRICS: Mapping[Kind, Callable[[pl.DataFrame], dict[str, float]]] = {
    "binary": _binary,
    "amount": _amount,
    "ranking": _ranking,
}
