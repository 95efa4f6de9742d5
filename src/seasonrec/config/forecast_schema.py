"""The top level of the configuration of ``seasonrec forecast``, with its defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from seasonrec.config.schema import Component, Config
from seasonrec.ranges import AtLeast, Entries, Fraction, Length, Processes, Seed


@dataclass(frozen=True)
class ForecastConfig(Config):
    """Configuration of ``seasonrec forecast``: slots first, then values.

    Args:
        data: Source of the event and item tables.
        series: Series that are made of them.
        forecaster: Forecasters by name, chosen as a list: ``forecaster=[seasonal_naive,ets,lstm]``.
        run_dir: Folder that receives the results.
        horizon: Periods ahead, 1 to 12.
        origins: Origins of the evaluation; the last one lies ``horizon`` periods before the end of the log.
        step: Periods between two origins.
        quantiles: Probabilities of the quantiles.
        seeds: Seeds of the trained forecasters.
        reference: Forecaster that the others are compared with; null for the first of the list.
        future: Whether the periods after the end of the log are forecast too, into ``forecasts.csv``.
        jobs: Processes of the forecasters that treat one series after the other.
        cache_dir: Folder of the prepared data and text embeddings; null for the user's cache folder.
    """

    data: Component
    series: Component
    run_dir: str
    forecaster: dict[str, Component] | None = None
    horizon: Annotated[int, AtLeast(1, 12)] = 4
    origins: Length = 4
    step: Length = 1
    quantiles: Annotated[tuple[Fraction, ...], Entries(2, rising=True)] = (0.1, 0.5, 0.9)
    seeds: Annotated[tuple[Seed, ...], Entries()] = (0,)
    reference: str | None = None
    future: bool = True
    jobs: Processes = 1
    cache_dir: str | None = None
