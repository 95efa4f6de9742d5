"""Forecasters of a finished ``seasonrec forecast`` beside NHITS and LSTM of neuralforecast, on the same series.

    python -m benchmarks.forecast.run RUN_DIR --python ENV/bin/python --output benchmarks/results/forecast.md

The peers get the same series, origins, horizon, steps and window, and a negative binomial as their distribution. They
have no known inputs, as their univariate form has none.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from seasonrec.atomic import write_text
from seasonrec.forecast.comparing import differences
from seasonrec.forecast.tables import losses, markdown, metric_table, quantile_names

RUNNER = Path(__file__).with_name("neuralforecast_runner.py")


def main() -> None:
    """Runs the peers on the series of a run and writes the table of all."""
    parser = argparse.ArgumentParser(description="Forecasters of a run beside neuralforecast.")
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--python", type=Path, required=True, help="interpreter with neuralforecast")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/forecast.md"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--window", type=int, default=52)
    options = parser.parse_args()
    record = json.loads((options.run_dir / "record.json").read_text(encoding="utf-8"))
    cells = pl.read_parquet(options.run_dir / "cells.parquet")
    with TemporaryDirectory() as folder:
        export(options, record, cells, Path(folder))
        subprocess.run([options.python, RUNNER, folder], check=True)
        peers = pl.read_csv(Path(folder) / "forecasts.csv", schema_overrides={"unique_id": pl.String})
    write_text(options.output, report(record, with_peers(cells, peers)))
    print(options.output)


def export(options: argparse.Namespace, record: dict[str, Any], cells: pl.DataFrame, folder: Path) -> None:
    """Writes the series that are forecast at the first origin, and the facts of the evaluation."""
    chosen = cells.filter(pl.col("origin") == 0)["series"].unique()
    series = pl.read_parquet(options.run_dir / "series.parquet").filter(pl.col("number").is_in(chosen.implode()))
    first = pl.col("period").filter(pl.col("value") > 0).min().over("number")
    named = series.filter(pl.col("period") >= first)
    named.select(unique_id=pl.col("number").cast(pl.String), ds="period", y="value").write_csv(folder / "series.csv")
    facts = {
        "horizon": record["config"]["horizon"],
        "origins": [origin["day"] for origin in record["origins"]],
        "levels": record["config"]["quantiles"],
        "seeds": list(range(options.seeds)),
        "window": options.window,
        "steps": options.steps,
    }
    (folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")


def with_peers(cells: pl.DataFrame, peers: pl.DataFrame) -> pl.DataFrame:
    """Returns the cells of all forecasters on the series and origins that both have."""
    keys = ["series", "origin", "step"]
    peers = peers.with_columns(
        series=pl.col("unique_id").cast(pl.Int32),
        origin=pl.col("origin").cast(pl.Int32),
        step=pl.col("step").cast(pl.Int8),
    )
    truth = cells.unique(keys).select(*keys, "actual", "scale")
    joined = peers.join(truth, on=keys)
    both = cells.join(joined.select(keys).unique(), on=keys, how="semi")
    positive = joined.with_columns(pl.col("mean", *[name for name in peers.columns if name[0] == "q"]).clip(0))
    return pl.concat([both, positive.select(pl.col(name).cast(both.schema[name]) for name in both.columns)])


def report(record: dict[str, Any], cells: pl.DataFrame) -> str:
    """Returns the table with differences to the first forecaster of the run."""
    levels = tuple(record["config"]["quantiles"])
    assert set(quantile_names(levels)) < set(cells.columns)
    none = pl.DataFrame(schema={"forecaster": pl.String, "seed": pl.Int32, "step": pl.Int64, "group": pl.String,
                                "k": pl.Int64, "recall": pl.Float64})  # fmt: skip
    table = metric_table(cells, none, levels)
    found = differences(losses(cells, levels), cells["forecaster"][0])
    lines = [f"Series and origins of the run, {date.today()}; the rows `nf_...` are neuralforecast."]
    return markdown(table, found, lines, levels, record["config"]["horizon"])


if __name__ == "__main__":
    main()
