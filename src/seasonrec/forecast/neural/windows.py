"""Windows of series: what a network reads before an origin, and what it shall forecast."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset

from seasonrec.forecast.base import Floats, History

Normalisation = Literal["mean", "standard", "none"]
LEAST_READ = 4
"""Periods that a training window reads at least."""


@dataclass(frozen=True)
class SeriesBatch:
    """Windows of series; ``N`` windows, ``T`` read periods, ``H`` periods ahead, ``K`` known inputs.

    Args:
        values: ``(N, T)`` normalised values, the oldest first; 0 after the last read one.
        days: ``(N, T)`` int64, local day of each read period; 0 after the last one.
        length: ``(N,)`` int64 number of read periods.
        origin_days: ``(N,)`` int64, local day of the first period ahead.
        past_inputs: ``(N, T, K)``.
        future_inputs: ``(N, H, K)``.
        target: ``(N, H)`` sales ahead; zero where they are not known.
        shift: ``(N, 1)`` value that normalisation subtracts.
        scale: ``(N, 1)`` value by which it divides.
    """

    values: Tensor
    days: Tensor
    length: Tensor
    origin_days: Tensor
    past_inputs: Tensor
    future_inputs: Tensor
    target: Tensor
    shift: Tensor
    scale: Tensor


@dataclass(frozen=True)
class WindowMaker:
    """Maker of windows from the series of a history.

    Args:
        history: The series.
        window: Largest number ``T`` of read periods.
        normalisation: ``mean``: values are divided by 1 + their mean in the window; ``standard``: their mean is
            subtracted, and they are divided by their standard deviation; ``none``.
        differences: 1 for changes: the network reads each value less the one before, and forecasts values less the last
            known one; 0 for the values themselves.
    """

    history: History
    window: int
    normalisation: Normalisation
    differences: int

    def places(self, stop: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Returns series and origin of every window whose origin lies before ``stop``."""
        origins = np.arange(stop)
        read = origins[None, :] - self.history.first[:, None]
        series, origin = np.nonzero(read >= LEAST_READ)
        return series, origin

    def __call__(self, series: NDArray[np.int64], origin: NDArray[np.int64]) -> SeriesBatch:
        """Returns the windows that end before an origin of a series, ``(N,)`` both."""
        history = self.history
        length = np.clip(origin - history.first[series], 1, self.window)
        place = (origin - length)[:, None] + np.arange(self.window)  # (N, T)
        is_read = place < origin[:, None]
        place = np.where(is_read, place, 0)
        values = np.where(is_read, history.values[series[:, None], place], 0.0)
        shift, scale = self._normal(values, is_read, length)
        ahead = origin[:, None] + np.arange(history.horizon)  # (N, H)
        known = ahead < history.known
        target = np.where(known, history.values[series[:, None], np.minimum(ahead, history.known - 1)], 0.0)
        inputs = history.inputs.until(history.known + history.horizon)
        if self.differences:
            last = values[np.arange(len(values)), length - 1][:, None]
            before = np.concatenate([values[:, :1], values[:, :-1]], axis=1)
            values, shift = np.where(is_read, (values - before) / scale, 0.0), last
        else:
            values = np.where(is_read, (values - shift) / scale, 0.0)
        return SeriesBatch(
            values=_float(values),
            days=torch.from_numpy(np.where(is_read, history.starts[place], 0)),
            length=torch.from_numpy(length),
            origin_days=torch.from_numpy(history.starts[origin]),
            past_inputs=_float(inputs[place] * is_read[:, :, None]),
            future_inputs=_float(inputs[ahead]),
            target=_float(target),
            shift=_float(shift),
            scale=_float(scale),
        )

    def _normal(self, values: Floats, is_read: NDArray[np.bool_], length: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Returns ``(N, 1)`` shift and scale of the read values."""
        mean = values.sum(axis=1, keepdims=True) / length[:, None]
        if self.normalisation == "mean":
            return np.zeros_like(mean), 1.0 + mean
        if self.normalisation == "none":
            return np.zeros_like(mean), np.ones_like(mean)
        spread = np.sqrt((np.where(is_read, values - mean, 0.0) ** 2).sum(axis=1, keepdims=True) / length[:, None])
        return mean, np.maximum(spread, 1e-3)


def _float(values: Floats) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


class DrawnWindows(IterableDataset[SeriesBatch]):
    """Batches of windows drawn with replacement.

    Args:
        maker: Maker of the windows.
        places: Series and origin of each window that may be drawn.
        batch_size: Windows of a batch.
        batches: Number of batches.
        seed: Seed of the draws.
    """

    def __init__(
        self,
        maker: WindowMaker,
        places: tuple[NDArray[np.int64], NDArray[np.int64]],
        batch_size: int,
        batches: int,
        seed: int,
    ) -> None:
        self.maker, self.places = maker, places
        self.batch_size, self.batches, self.seed = batch_size, batches, seed

    def __iter__(self) -> Iterator[SeriesBatch]:
        generator = np.random.default_rng(self.seed)
        for _ in range(self.batches):
            drawn = generator.integers(len(self.places[0]), size=self.batch_size)
            yield self.maker(self.places[0][drawn], self.places[1][drawn])
