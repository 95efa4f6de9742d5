"""Tests of the log of growing size and of its benchmark."""

import numpy as np
import polars as pl

from benchmarks.growth import prepare, slope, train_step
from benchmarks.growth_log import GrowthLog
from benchmarks.long_histories import measure


def test_a_log_has_its_size_a_season_ties_and_reproducible_bytes(tmp_path):
    log = GrowthLog(events=60_000, users=500, items=300)
    log.write(tmp_path / "a.parquet")
    log.write(tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.parquet", "b.parquet"]
    frame = pl.read_parquet(tmp_path / "a.parquet")
    assert frame.height == 60_000
    assert frame["user_id"].is_between(0, 499).all()
    assert frame["item_id"].is_between(0, 299).all()
    assert frame["timestamp"].is_sorted()
    assert frame.select(pl.struct("user_id", "timestamp").n_unique()).item() < 30_000  # baskets of about three
    quarter = (frame["timestamp"] - 1_609_459_200) // (365.25 * 86_400 / 4) % 4
    shares = frame.with_columns(q=quarter).group_by("item_id", "q").len().sort("len")
    swing = shares.group_by("item_id").agg(pl.col("len").max() / pl.col("len").min()).get_column("len")
    assert np.median(swing) > 1.5


def test_sizes_of_the_default_logs():
    assert (GrowthLog.of_size(10**6).users, GrowthLog.of_size(10**6).items) == (100_000, 10_000)
    large = GrowthLog.of_size(10**8)
    assert 4_900_000 < large.users < 5_100_000
    assert large.items == 1_000_000


def test_a_small_log_is_prepared_and_trained_on(tmp_path, capsys):
    GrowthLog(events=20_000, users=200, items=100).write(tmp_path / "log.parquet")
    assert prepare(tmp_path / "log.parquet", tmp_path / "cache") > 0
    assert "200 users, 100 items" in capsys.readouterr().out
    assert train_step(tmp_path / "log.parquet", tmp_path / "cache") > 0


def test_the_slope_of_linear_time_is_one():
    rows = [{"events": 10**n, "seconds": 3.0 * 10 ** (n - 6)} for n in (6, 7, 8)]
    assert abs(slope(rows) - 1) < 1e-9


def test_works_of_a_long_user_answer_every_request(tmp_path):
    rows = measure([1_500, 2_000], items=20, rounds=1, folder=tmp_path)
    assert [row["work"] for row in rows] == ["inputs of an epoch", "sides of own items", "ease", "tifu_knn", "up_cf"]
    assert set(rows[0]["us_per_request"]) == {"long 1500", "few 1500", "long 2000", "few 2000"}
    assert pl.read_parquet(tmp_path / "long_1500.parquet")["user_id"].value_counts()["count"].max() == 500
