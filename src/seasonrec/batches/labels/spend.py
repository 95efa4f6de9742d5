"""Value of the basket of a request."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seasonrec.batches.labels.base import Cuts
from seasonrec.batches.requests import Requests
from seasonrec.batches.visits import basket_values
from seasonrec.data.log import EventLog
from seasonrec.errors import UserError


@dataclass(frozen=True)
class Spend:
    """Value of each request's basket; ``N`` requests.

    Args:
        value: ``(N,)`` float32, the sum of the basket's values; 0 for a negative sum (returns) and for an unknown one.
        known: ``(N,)`` bool, True if every event of the basket has a value.
        usual: ``(2,)`` float32, mean and standard deviation of ``log(1 + value)`` before the first cut. A head starts
            from it, so that it does not have to learn the unit of the currency.
    """

    value: Tensor
    known: Tensor
    usual: Tensor


@dataclass(frozen=True)
class SpendLabels:
    """Options of :class:`Spend`."""

    name: str = "spend"

    def bind(self, log: EventLog, cuts: Cuts) -> SpendIndex:
        return SpendIndex(log, cuts)


class SpendIndex:
    """Index of the values of baskets. Memory: 4 bytes per basket.

    Raises:
        ValueError: If no basket before the first cut has a value.
    """

    def __init__(self, log: EventLog, cuts: Cuts) -> None:
        self.values = basket_values(log)
        self.usual = _usual(self.values[np.asarray(log.basket_times_s) < cuts.times_s[0]])

    def __call__(self, requests: Requests) -> Spend:
        value = np.where(requests.baskets >= 0, self.values[requests.baskets], np.float32(np.nan))
        known = np.isfinite(value)
        return Spend(torch.from_numpy(np.where(known, value, 0.0)), torch.from_numpy(known), self.usual.clone())


def _usual(values: NDArray[np.float32]) -> Tensor:
    known = np.log1p(values[np.isfinite(values)].astype(np.float64))
    if not len(known):
        raise UserError(
            f"task=spend needs baskets with a value before the validation cut, got none among {len(values):,}; name "
            "the column of values (data.value_column of a table), or leave spend out of task."
        )
    return torch.tensor([known.mean(), max(known.std(), 1e-3)], dtype=torch.float32)
