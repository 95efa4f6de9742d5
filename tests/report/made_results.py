"""Files of results as in a study, generated from known effects instead of a training run."""

import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from seasonrec.evaluation.results.store import COLUMNS, RunResults, write_results

FIRST_DAY = date(2017, 11, 6)
WEEKS = 8
WINDOWS = {1: "thanksgiving", 2: "thanksgiving", 5: "christmas", 6: "christmas", 7: "after_christmas"}
PRINT = "0123456789abcdef"


def make_targets(users: int = 30, baskets: int = 240, lines: int = 5, seed: int = 0) -> pl.DataFrame:
    """Returns baskets and the tags of their targets, which all rows of a study share."""
    draw = np.random.default_rng(seed)
    user, days = np.sort(draw.integers(users, size=baskets)), draw.integers(7 * WEEKS, size=baskets)
    sizes = 1 + draw.poisson(lines - 1, size=baskets)
    lists = {
        "items": draw.integers(500, size=sizes.sum()).astype(np.int32),
        "repeat": draw.random(sizes.sum()) < 0.7,
        "in_season": draw.random(sizes.sum()) < 0.15,
        "cold_item": draw.random(sizes.sum()) < 0.05,
        "head": draw.random(sizes.sum()) < 0.6,
    }
    split = np.cumsum(sizes)[:-1]
    when = [FIRST_DAY + timedelta(days=int(day)) for day in days]
    return pl.DataFrame(
        {
            "user": pl.Series(user, dtype=pl.Int32),
            "user_id": [f"u{number}" for number in user],
            "basket": pl.Series(np.arange(baskets), dtype=pl.Int64),
            "request_time_s": pl.Series(1_509_926_400 + 86_400 * days, dtype=pl.Int64),
            "day": when,
            "week": [day - timedelta(days=day.weekday()) for day in when],
            "month": pl.Series([day.month for day in when], dtype=pl.Int8),
            "window": pl.Series([WINDOWS.get(day // 7) for day in days], dtype=pl.String),
            "cold_user": pl.Series(user % 7 == 0),
            **{name: np.split(values, split) for name, values in lists.items()},
        }
    )


def make_run(targets: pl.DataFrame, name: str, seed: int, loss: float = 0.0, season_loss: float = 0.0) -> RunResults:
    """Returns results with ``loss`` bits more than the best row, and ``season_loss`` more in season."""
    sizes = targets["items"].list.len().to_numpy()
    in_season = targets["in_season"].explode().to_numpy()
    shared, own = np.random.default_rng(1), np.random.default_rng([seed, *name.encode()])
    bits = 8.4 + shared.normal(0, 1.5, sizes.sum()) + loss + season_loss * in_season + own.normal(0, 0.2, sizes.sum())
    greater = np.clip(np.exp2(bits - 4.5), 0, 499).astype(np.int32)
    split = np.cumsum(sizes)[:-1]
    lists = {"bits": bits.astype(np.float32), "greater": greater, "ties": np.ones_like(greater)}
    frame = targets.with_columns(
        *(pl.Series(key, np.split(values, split)) for key, values in lists.items()),
        top_items=pl.Series([[1, 2]] * targets.height, dtype=pl.List(pl.Int32)),
    )
    return RunResults(name, seed, PRINT, 500, frame.select(COLUMNS))


def write_run(folder: Path, run: RunResults, parameters: int | None = None) -> None:
    """Writes the folder of a run as training does, ``metrics.json`` last."""
    write_results(folder / "results.parquet", run)
    if parameters is not None:
        record = {
            "stages_s": {"prepare": 6.0, "fit": 120.0},
            "trained_parameters": parameters,
            "peak_memory_mib": 900.0,
        }
        (folder / "record.json").write_text(json.dumps(record))
    (folder / "metrics.json").write_text(json.dumps(run.record((10,))))


def write_study(folder: Path, rows: tuple[str, ...], seeds: range) -> None:
    """Writes the folders of runs of a study, in which no_season has a loss, and of its baselines."""
    targets = make_targets()
    for row in rows:
        for seed in seeds:
            losses = (0.05, 0.6) if row == "no_season" else (0.0, 0.0)
            (folder / row / f"seed_{seed}").mkdir(parents=True)
            write_run(folder / row / f"seed_{seed}", make_run(targets, row, seed, *losses), parameters=98_765)
    for name in ("recent_7d", "popularity", "personal_recent"):
        (folder / "baselines" / "baselines" / name).mkdir(parents=True)
        write_run(folder / "baselines" / "baselines" / name, make_run(targets, name, 0, 0.4, 0.5))


def hand_run(
    name: str, seed: int, bits: list[list[float]], greater: list[list[int]], print_: str = PRINT
) -> RunResults:
    """Returns a run with one basket per user and two targets per basket, the first of each in season."""
    users = len(bits)
    labels = {"repeat": [True, False], "in_season": [True, False], "cold_item": [False, False], "head": [True, False]}
    frame = pl.DataFrame(
        {
            "user": pl.Series(range(users), dtype=pl.Int32),
            "user_id": [f"u{number}" for number in range(users)],
            "basket": pl.Series(range(users), dtype=pl.Int64),
            "request_time_s": pl.Series([1_509_926_400] * users, dtype=pl.Int64),
            "day": [FIRST_DAY] * users,
            "week": [FIRST_DAY] * users,
            "month": pl.Series([11] * users, dtype=pl.Int8),
            "window": pl.Series([None] * users, dtype=pl.String),
            "cold_user": [False] * users,
            "items": pl.Series([[0, 1]] * users, dtype=pl.List(pl.Int32)),
            "greater": pl.Series(greater, dtype=pl.List(pl.Int32)),
            "ties": pl.Series([[1, 1]] * users, dtype=pl.List(pl.Int32)),
            "bits": pl.Series(bits, dtype=pl.List(pl.Float32)),
            **{key: [value] * users for key, value in labels.items()},
            "top_items": pl.Series([[0, 1]] * users, dtype=pl.List(pl.Int32)),
        }
    )
    return RunResults(name, seed, print_, 500, frame.select(COLUMNS))
