"""``seasonrec forecast``: forecasts series of sales, and measures it at rolling origins."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl
from rich.table import Table

from seasonrec.atomic import write_text, writing
from seasonrec.config import build
from seasonrec.config.forecast_schema import ForecastConfig
from seasonrec.data.cache import default_cache_dir
from seasonrec.data.csv_text import without_formulas
from seasonrec.data.events import prepare, throttled
from seasonrec.errors import UserError
from seasonrec.forecast.base import Forecaster
from seasonrec.forecast.coming import coming_table, long_series
from seasonrec.forecast.comparing import Difference, differences
from seasonrec.forecast.library import require_library
from seasonrec.forecast.origins import Origin, Origins, Rolling
from seasonrec.forecast.panels import Opened, open_series
from seasonrec.forecast.rolling import Trial, run_trial
from seasonrec.forecast.series import SeriesOptions
from seasonrec.forecast.tables import losses, markdown, metric_table
from seasonrec.report.summary import WIDTH
from seasonrec.runs.record import StageClock, environment, write_json, write_yaml
from seasonrec.terminal import PlainConsole

SHOWN = ("mae", "rmse", "wape", "mase", "pinball", "coverage", "recall@20 all +1")
"""Metrics that are printed."""


def run(config: ForecastConfig) -> float:
    """Forecasts at rolling origins with each forecaster, and writes the results to ``config.run_dir``.

    ``table.{md,csv}`` has the metrics, ``steps.csv`` those by period ahead, ``differences.csv`` the differences to the
    reference, ``forecasts.csv`` the coming periods, ``series.parquet`` the series, ``cells.parquet`` and
    ``lists.parquet`` every forecast and list, and ``record.json``, which is written last, counts, notes, times and
    versions.

    Args:
        config: The complete configuration, as checked by the preflight.

    Returns:
        The MASE of the first forecaster, for a sweeper.
    """
    rolling = Rolling(config.horizon, config.origins, config.step, tuple(config.quantiles))
    options: SeriesOptions = build(config.series)()
    makers: dict[str, partial[Any]] = {name: build(node) for name, node in (config.forecaster or {}).items()}
    _check(config, options, {name: maker() for name, maker in makers.items()})
    folder, clock = Path(config.run_dir), StageClock()
    write_yaml(folder / "config.yaml", config.as_dict())
    with clock("prepare"):
        cache_dir = Path(config.cache_dir) if config.cache_dir else default_cache_dir()
        opened = open_series(prepare(build(config.data)(), cache_dir), options, rolling, cache_dir)
    with clock("series"):
        maker = Origins(opened.panel, options, rolling, opened.inputs, opened.source, config.jobs)
        origins = [maker.at(known) for known in rolling.known(opened.panel.num_periods)]
        end = maker.at(opened.panel.num_periods) if config.future else None
        _print_series(opened, origins)
    trials: dict[tuple[str, int], Trial] = {}
    for name, make in makers.items():
        with clock(name):
            for seed in config.seeds if make().is_trained else config.seeds[:1]:
                title = f"{name}, seed {seed}" if make().is_trained else name
                told = throttled(partial(_tell, title))
                trials[name, seed] = run_trial(make(), origins, end, seed, told)
    cells, lists = _together(trials, "cells"), _together(trials, "lists")
    table = metric_table(cells, lists, rolling.levels)
    found = differences(losses(cells, rolling.levels), config.reference or next(iter(makers)))
    _write(folder, opened, rolling, table, found, cells, lists)
    if end is not None:
        _write_csv(folder / "forecasts.csv", coming_table(opened.panel, trials, rolling.levels))
    write_json(folder / "record.json", _record(config, opened, origins, trials, clock))
    _print_table(table, folder)
    return float(table["mase"][0])


def _tell(title: str, line: str) -> None:
    print(f"  {title}, {line.strip()}", flush=True)


def _check(config: ForecastConfig, options: SeriesOptions, forecasters: dict[str, Forecaster]) -> None:
    """Checks what needs no data."""
    if not forecasters:
        raise UserError("forecaster must name at least one, got none; try forecaster=[seasonal_naive,ets].")
    if config.reference is not None and config.reference not in forecasters:
        known = ", ".join(forecasters)
        raise UserError(f"reference must be one of the forecasters {known}, got {config.reference!r}; choose one.")
    askers = [f"forecaster={name}" for name, one in forecasters.items() if getattr(one, "needs_library", False)]
    if not all(one.forecasts_all for one in forecasters.values()) and options.fallback == "croston":
        askers.append("series.fallback=croston")
    askers += ["series.outliers=mstl"] if options.outliers == "mstl" else []
    if askers and find_spec("statsforecast") is None:
        require_library(", ".join(askers))


def _together(trials: dict[tuple[str, int], Trial], kind: str) -> pl.DataFrame:
    frames = [
        getattr(trial, kind).select(pl.lit(name).alias("forecaster"), pl.lit(seed).alias("seed"), pl.all())
        for (name, seed), trial in trials.items()
    ]
    return pl.concat(frames)


def _write(
    folder: Path,
    opened: Opened,
    rolling: Rolling,
    table: pl.DataFrame,
    found: list[Difference],
    cells: pl.DataFrame,
    lists: pl.DataFrame,
) -> None:
    _write_csv(folder / "table.csv", table)
    _write_csv(folder / "steps.csv", metric_table(cells, lists, rolling.levels, by_step=True))
    _write_csv(folder / "differences.csv", pl.DataFrame([asdict(one) for one in found]))
    write_text(folder / "table.md", markdown(table, found, opened.sentences(rolling), rolling.levels, rolling.horizon))
    for name, frame in (("cells", cells), ("lists", lists), ("series", long_series(opened.panel))):
        with writing(folder / f"{name}.parquet") as temporary:
            frame.write_parquet(temporary)


def _write_csv(path: Path, frame: pl.DataFrame) -> None:
    with writing(path) as temporary:
        without_formulas(frame).write_csv(temporary)


def _record(
    config: ForecastConfig,
    opened: Opened,
    origins: list[Origin],
    trials: dict[tuple[str, int], Trial],
    clock: StageClock,
) -> dict[str, Any]:
    return {
        "data_digest": opened.source.log.digest,
        "data_report": opened.source.log.report,
        "series": opened.counts(),
        "known_inputs": {"names": opened.inputs.names, "notes": opened.inputs.notes},
        "origins": [{"day": opened.date_of(origin.history.known), **origin.counts} for origin in origins],
        "forecasters": [
            {"forecaster": name, "seed": seed, "seconds": round(trial.seconds, 3), "notes": trial.notes}
            for (name, seed), trial in trials.items()
        ],
        "stages_s": clock.seconds,
        **environment(),
        "config": config.as_dict(),
    }


def _print_series(opened: Opened, origins: list[Origin]) -> None:
    for name, count in {**opened.counts(), **origins[0].counts}.items():
        print(f"  {name}: {count:,}" if isinstance(count, int) else f"  {name}: {count}", flush=True)
    days = ", ".join(str(opened.date_of(origin.history.known)) for origin in origins)
    print(f"  origins: {days}; the counts are those of the first", flush=True)
    print(f"  known inputs: {', '.join(opened.inputs.names) or 'none'}", flush=True)


def _print_table(table: pl.DataFrame, folder: Path) -> None:
    columns = [name for name in SHOWN if name in table.columns]
    shown = Table(title="mean over origins, series and periods ahead")
    shown.add_column("forecaster", no_wrap=True)
    for name in columns:
        shown.add_column(name.replace(" ", "\n", 1), justify="right")
    for row in table.iter_rows(named=True):
        values = [row[name] for name in columns]
        shown.add_row(row["forecaster"], *("-" if value is None else f"{value:.3f}" for value in values))
    PlainConsole(width=WIDTH).print(shown)
    print(f"results in {folder}", flush=True)
