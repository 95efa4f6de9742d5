"""Differences between forecasters on the same series and origins, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seasonrec.evaluation.statistics.bootstrap import Estimate, infer
from seasonrec.evaluation.statistics.draws import Bootstrap, SeedSpread

COMPARED = ("mase", "scaled_pinball")
FEWEST_ORIGINS = 3
"""Smallest number of origins, and of seeds, whose spread is part of an interval."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """A forecaster less the reference.

    Args:
        forecaster: Its name.
        reference: Name of the reference.
        metric: The metric.
        value: The difference of the means.
        half: Half of the 95% interval; NaN with too few units.
        p_value: Two-sided p-value.
        unit: What the interval resamples.
    """

    forecaster: str
    reference: str
    metric: str
    value: float
    half: float
    p_value: float
    unit: str

    note = (
        "Negative is better for `mase` and `scaled_pinball`. Intervals are studentised bootstraps of paired "
        "differences, not corrected for their number. They resample the series; with three origins or more, and with "
        "three seeds or more, the spread over these is added. Overlapping origins are not independent."
    )

    def cells(self) -> list[str]:
        """Returns the row of a table."""
        interval = "-" if np.isnan(self.half) else f"[{self.value - self.half:+.4f}, {self.value + self.half:+.4f}]"
        p_value = "-" if np.isnan(self.p_value) else f"{self.p_value:.2g}"
        return [self.forecaster, self.metric, f"{self.value:+.4f}", interval, p_value, self.unit]


def differences(losses: pl.DataFrame, reference: str, bootstrap: Bootstrap | None = None) -> list[Difference]:
    """Returns the differences of all forecasters to the reference in ``mase`` and ``scaled_pinball``.

    Args:
        losses: ``forecaster, seed, origin, series`` and the losses of every forecast.
        reference: Forecaster that the others are compared with.
        bootstrap: Options of the resampling.
    """
    names = [name for name in losses["forecaster"].unique(maintain_order=True) if name != reference]
    chosen = [(name, metric) for name in names for metric in COMPARED]
    estimates = [_estimate(losses, name, reference, metric) for name, metric in chosen]
    found = infer([one for one, _ in estimates], bootstrap or Bootstrap())
    return [
        Difference(name, reference, metric, estimate.value, told.half, told.p_value, unit)
        for (name, metric), (estimate, unit), told in zip(chosen, estimates, found, strict=True)
    ]


def _estimate(losses: pl.DataFrame, name: str, reference: str, metric: str) -> tuple[Estimate, str]:
    both = losses.filter(pl.col("forecaster").is_in([name, reference]), pl.col(metric).is_not_nan())
    by_seed = both.group_by("forecaster", "seed", "origin", "series").agg(total=pl.col(metric).sum(), count=pl.len())
    mean = by_seed.group_by("forecaster", "origin", "series").agg(pl.col("total").mean(), pl.col("count").first())
    own, other = (mean.filter(pl.col("forecaster") == one) for one in (name, reference))
    paired = own.join(other, on=["origin", "series"], suffix="_other").sort("series", "origin")
    paired = paired.with_columns(change=pl.col("total") - pl.col("total_other"))
    sums = paired.group_by("series", maintain_order=True).agg(pl.col("change").sum(), pl.col("count").sum())
    origins = paired["origin"].n_unique()
    seeds = _seed_means(by_seed, name, reference)
    spreads = (*_origin_spread(paired), *_seed_spread(seeds))
    unit = "series" + (" and origins" if origins >= FEWEST_ORIGINS else "")
    unit += " and seeds" if len(seeds) >= FEWEST_ORIGINS else ""
    counts = sums["count"].to_numpy().astype(np.int64)
    return Estimate(sums["change"].to_numpy().astype(np.float64), counts, spreads), unit


def _origin_spread(paired: pl.DataFrame) -> tuple[SeedSpread, ...]:
    """Returns the spread of the difference over origins, with the part of it that is noise of single series."""
    origins = paired["origin"].n_unique()
    if origins < FEWEST_ORIGINS:
        return ()
    means = paired.group_by("origin").agg(pl.col("change").sum() / pl.col("count").sum())["change"].to_numpy()
    rate = pl.col("change").sum().over("series") / pl.col("count").sum().over("series")
    level = pl.col("change").sum().over("origin") / pl.col("count").sum().over("origin")
    overall = float(paired["change"].sum()) / float(paired["count"].sum())
    noise = paired.select(pl.col("change") - (rate + level - overall) * pl.col("count"))["change"].to_numpy()
    series = paired["series"].n_unique()
    freedom = max((origins - 1) * (series - 1) / series, 1.0)
    total = float(paired["count"].sum()) / origins
    return (SeedSpread(float(np.var(means, ddof=1)), float(np.square(noise).sum() / freedom / total**2), origins),)


def _seed_means(by_seed: pl.DataFrame, name: str, reference: str) -> Floats:
    """Returns the difference of each pair of seeds; an untrained forecaster has the same value in each."""
    means = by_seed.group_by("forecaster", "seed").agg(pl.col("total").sum() / pl.col("count").sum()).sort("seed")
    own, other = (means.filter(pl.col("forecaster") == one)["total"].to_numpy() for one in (name, reference))
    pairs = max(len(own), len(other))
    if 1 < min(len(own), len(other)) < pairs:
        pairs = min(len(own), len(other))
    return np.asarray(np.resize(own, pairs) - np.resize(other, pairs), dtype=np.float64)


def _seed_spread(means: Sequence[float] | Floats) -> tuple[SeedSpread, ...]:
    if len(means) < FEWEST_ORIGINS:
        return ()
    return (SeedSpread(float(np.var(means, ddof=1)), 0.0, len(means)),)
