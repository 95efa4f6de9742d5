"""Tables and differences of forecasters, on made losses."""

from __future__ import annotations

import numpy as np
import polars as pl

from seasonrec.forecast.comparing import differences
from seasonrec.forecast.tables import losses, markdown, metric_table, recalls

LEVELS = (0.1, 0.9)


def cells(shift: float, name: str, seed: int = 0, noise: float = 0.0) -> pl.DataFrame:
    """Forecasts of 12 series at 4 origins that are ``shift`` too high, each actual 10 and each scale 2."""
    draw = np.random.default_rng([seed, len(name)])
    rows = 48
    mean = 10 + shift + noise * draw.normal(size=rows)
    return pl.DataFrame(
        {
            "forecaster": name, "seed": seed,
            "origin": np.repeat(np.arange(4), 12), "series": np.tile(np.arange(12), 4),
            "step": np.ones(rows, dtype=np.int8), "actual": np.full(rows, 10.0), "mean": mean, "q0.1": mean - 2,
            "q0.9": mean + 2, "scale": np.full(rows, 2.0),
        }
    )  # fmt: skip


def test_the_table_has_means_over_seeds() -> None:
    every = pl.concat([cells(1.0, "a"), cells(1.0, "b", 0), cells(3.0, "b", 1)])
    lists = pl.DataFrame(
        [
            {"forecaster": name, "seed": seed, "origin": 0, "step": 1, "group": "all", "k": 20, "recall": recall}
            for name, seed, recall in (("a", 0, 0.5), ("b", 0, 0.2), ("b", 1, 0.4))
        ]
    )
    table = metric_table(every, lists, LEVELS)
    assert table["forecaster"].to_list() == ["a", "b"]
    assert table["mase"].to_list() == [0.5, 1.0]
    assert table["seeds"].to_list() == [1, 2]
    assert table["coverage"].to_list() == [1.0, 0.5]
    np.testing.assert_allclose(table["recall@20 all +1"], [0.5, 0.3])
    np.testing.assert_allclose(table["mase_sd"][1], np.sqrt(0.5))
    assert recalls(lists).columns == ["forecaster", "seed", "recall@20 all +1"]
    by_step = metric_table(every, lists, LEVELS, by_step=True)
    assert by_step["step"].to_list() == [1, 1]
    told = markdown(table, differences(losses(every, LEVELS), "a"), ["Made."], LEVELS, 1)
    assert "| a | **1.000** |" in told
    assert "| b | mase | +0.5000 |" in told


def test_differences_are_paired_and_have_the_unit_of_their_interval() -> None:
    every = pl.concat([cells(1.0, "a", noise=0.3), cells(2.0, "b", noise=0.3), cells(1.0, "a2", noise=0.3)])
    found = {(one.forecaster, one.metric): one for one in differences(losses(every, LEVELS), "a")}
    worse = found["b", "mase"]
    assert worse.unit == "series and origins"
    assert worse.value == np.float64(worse.value)
    assert 0.3 < worse.value < 0.7
    assert worse.value - worse.half > 0, "clearly worse"
    assert worse.p_value < 0.01
    same = found["a2", "mase"]
    assert abs(same.value) < same.half, "no difference but noise"


def test_the_spread_of_seeds_widens_an_interval() -> None:
    narrow = pl.concat([cells(1.0, "a", noise=0.1), *(cells(1.5, "b", seed, 0.1) for seed in range(3))])
    wide = pl.concat(
        [cells(1.0, "a", noise=0.1), *(cells(1.5 + 0.4 * (seed - 1), "b", seed, 0.1) for seed in range(3))]
    )
    (few, *_), (many, *_) = (differences(losses(frame, LEVELS), "a") for frame in (narrow, wide))
    assert few.unit == many.unit == "series and origins and seeds"
    assert many.half > 3 * few.half
