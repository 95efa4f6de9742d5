"""Preparation on disk: the same bytes as in memory, and as the plain reference algorithm."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from seasonrec.data.datasets.table import Table
from seasonrec.data.events import prepare, throttled
from seasonrec.data.files import reading
from seasonrec.data.log import EventLog
from seasonrec.data.preparation import arrays, spool
from seasonrec.data.tables import DataError

TIE_SEED = 20_170_101


def events(rows: int = 3000, seed: int = 0) -> pl.DataFrame:
    """Returns events with ties, repeated rows, missing and infinite values, all kinds of quantities and rare items."""
    random = np.random.default_rng(seed)
    value = np.round(random.gamma(2.0, 2.0, rows), 2)
    value[random.random(rows) < 0.2] = np.nan
    value[:2] = np.inf
    return pl.DataFrame(
        {
            "user_id": (random.pareto(1.0, rows) * 5).astype(np.int64) % 90,
            "item_id": (random.pareto(1.0, rows) * 5).astype(np.int64) % 200,
            "timestamp": 1_500_000_000 + random.integers(0, 40, rows) * 3600,
            "value": pl.Series(value).fill_nan(None),
            "quantity": random.integers(-1, 4, rows),
        }
    )


def plain(frame: pl.DataFrame, min_item_events: int) -> dict[str, list[object]]:
    """Computes the arrays by their definition, with one sort after the other."""
    frame = frame.filter(pl.col("quantity") > 0)
    frame = frame.filter(pl.len().over("item_id") >= min_item_events).with_columns(pl.col("^.*_id$").cast(pl.String))
    ids = {name: frame[name].unique().sort() for name in ("user_id", "item_id")}
    user, item = (np.searchsorted(ids[name].to_numpy(), frame[name].to_numpy()) for name in ids)
    time_s, value = frame["timestamp"].to_numpy(), frame["value"].cast(pl.Float32).cast(pl.Float64).to_numpy()
    order = np.lexsort((value, item, time_s, user))
    rows: dict[tuple[int, int, int], list[float]] = {}
    for row in order:
        rows.setdefault((user[row], time_s[row], item[row]), []).append(value[row])
    keys = np.array(list(rows))
    lots = np.random.default_rng(TIE_SEED).random(len(keys))
    sums = [
        np.sum([v for v in values if v == v]) if any(v == v for v in values) else np.nan for values in rows.values()
    ]
    order = np.lexsort((lots, keys[:, 1], keys[:, 0]))
    user, time_s, item = keys[order].T
    starts = [0, *(np.flatnonzero(np.diff(user) | np.diff(time_s)) + 1)]
    return {
        "event_items": item.tolist(),
        "event_times_s": time_s.tolist(),
        "event_values": np.array(sums)[order].astype(np.float32).tolist(),
        "user_offsets": [int((user < number).sum()) for number in range(len(ids["user_id"]) + 1)],
        "user_baskets": [int((user[starts] < number).sum()) for number in range(len(ids["user_id"]) + 1)],
        "basket_offsets": [*map(int, starts), len(user)],
        "basket_users": user[starts].tolist(),
        "basket_times_s": time_s[starts].tolist(),
        "item_first_seen_s": [int(time_s[item == number].min()) for number in range(len(ids["item_id"]))],
    }


def quiet(_: str) -> None:
    pass


def write(frame: pl.DataFrame, path: Path) -> str:
    if path.suffix == ".parquet":
        frame.write_parquet(path, row_group_size=250)
    else:
        frame.write_csv(path)
    return str(path)


def by_disk(monkeypatch: pytest.MonkeyPatch, batch_rows: int = 170, bucket_rows: int = 300) -> None:
    """Makes every log too large for the memory."""
    monkeypatch.setattr(reading, "WHOLE_BYTES", 0)
    monkeypatch.setattr(reading, "BATCH_ROWS", batch_rows)
    monkeypatch.setattr(arrays, "WHOLE_ROWS", 0)
    monkeypatch.setattr(arrays, "BUCKET_ROWS", bucket_rows)
    monkeypatch.setattr(spool, "MEMORY_ROWS", 500)


def files_of(log: EventLog) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in log.folder.iterdir() if path.name != "manifest.json"}


@pytest.mark.parametrize("min_item_events", [1, 4])
@pytest.mark.parametrize("way", [lambda _: None, by_disk], ids=["in memory", "by disk"])
def test_the_arrays_are_those_of_the_plain_algorithm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, min_item_events: int, way: Callable[[pytest.MonkeyPatch], None]
) -> None:
    frame = events()
    way(monkeypatch)
    options = {"value_column": "value", "quantity_column": "quantity", "min_item_events": min_item_events}
    log = prepare(Table(write(frame, tmp_path / "e.parquet"), **options), tmp_path, quiet)
    for name, wanted in plain(frame, min_item_events).items():
        np.testing.assert_array_equal(getattr(log, name), np.array(wanted), err_msg=name)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize(("batch_rows", "bucket_rows"), [(170, 300), (7, 40), (100_000, 7), (1000, 100_000)])
@pytest.mark.parametrize(
    "options", [{}, {"value_column": "value", "quantity_column": "quantity", "min_item_events": 4}]
)
def test_memory_and_disk_write_the_same_bytes(tmp_path, monkeypatch, suffix, batch_rows, bucket_rows, options):
    table = Table(write(events(600 if batch_rows == 7 else 3000), tmp_path / f"e.{suffix}"), **options)
    small = prepare(table, tmp_path / "small", quiet)
    by_disk(monkeypatch, batch_rows, bucket_rows)
    large = prepare(table, tmp_path / "large", quiet)
    assert files_of(large) == files_of(small)
    assert large.digest == small.digest
    assert large.report == small.report
    assert not list((tmp_path / "large" / "prepared").glob("*/bucket*"))


def test_the_disk_is_used_and_left_clean(tmp_path, monkeypatch):
    by_disk(monkeypatch)
    written: list[str] = []
    kept = spool.Spool._write
    monkeypatch.setattr(spool.Spool, "_write", lambda self, path: written.append(path.name) or kept(self, path))
    log = prepare(Table(write(events(), tmp_path / "e.csv")), tmp_path, quiet)
    assert {"rows", "bucket0", "bucket1"} <= set(written)
    assert {path.suffix for path in log.folder.iterdir()} == {".npy", ".parquet", ".json"}


BAD_ROWS = {
    "null user": ({}, {"user_id": None}, "column user_id is a key and must not be null, got 2 .* in row 701 "),
    "blank item": ({}, {"item_id": " "}, "column item_id is a key and must not be null, got 2 .* in row 701 "),
    "no time": ({}, {"timestamp": "noon"}, "seconds since 1970 UTC, got 'noon' in row 701 .* and 2 such rows in all"),
    "null time": ({}, {"timestamp": ""}, "column timestamp is a key and must not be null, got 2 .* in row 701 "),
    "milliseconds": (
        {},
        {"timestamp": "1500000000000"},
        "recognisable .*numbers from 15.* to 1500000000000 .* and 701, header.*several units",
    ),
    "future": (
        {"time_format": "s"},
        {"timestamp": "99000000000"},
        "not lie in the future, .*row 701 .*and 2 such rows",
    ),
    "no value": ({"value_column": "value"}, {"value": "x"}, "must hold numbers, got 'x' in row 701 .* and 2 such rows"),
    "time first": ({}, {"user_id": "", "timestamp": "noon"}, "got 'noon' in row 701"),
}


@pytest.mark.parametrize("large", [False, True], ids=["in memory", "by disk"])
@pytest.mark.parametrize(("options", "fault", "message"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_faults_are_told_with_their_row_of_the_whole_file(tmp_path, monkeypatch, large, options, fault, message):
    frame = events().cast(pl.String).with_row_index()
    bad = pl.col("index").is_in([700, 2500])
    frame = frame.with_columns(pl.when(bad).then(pl.lit(v)).otherwise(k).alias(k) for k, v in fault.items())
    path = write(frame, tmp_path / "e.csv")
    if large:
        by_disk(monkeypatch)
    with pytest.raises(DataError, match=message):
        prepare(Table(path, **options), tmp_path / "cache", quiet)
    assert not list((tmp_path / "cache" / "prepared").glob("[!.]*"))


def test_a_refused_large_log_leaves_nothing_behind(tmp_path, monkeypatch):
    by_disk(monkeypatch)
    with pytest.raises(DataError, match="no event is left"):
        prepare(Table(write(events(), tmp_path / "e.csv"), min_item_events=10_000), tmp_path / "cache", quiet)
    assert not [path for path in (tmp_path / "cache" / "prepared").iterdir() if path.is_dir()]


def test_ids_that_are_no_numbers_from_some_part_on(tmp_path, monkeypatch):
    """Numbers are coded by another method than text; both must give the same id the same number."""
    frame = events().cast(pl.String).with_row_index()
    odd = (pl.col("index") > 1500) & (pl.col("index") % 3 == 0)
    frame = frame.with_columns(user_id=pl.when(odd).then("0" + pl.col("user_id")).otherwise("user_id"))
    table = Table(write(frame, tmp_path / "e.csv"))
    small = prepare(table, tmp_path / "small", quiet)
    by_disk(monkeypatch)
    large = prepare(table, tmp_path / "large", quiet)
    assert files_of(large) == files_of(small)
    assert set(large.users["user_id"]) == set(frame["user_id"])


def test_quoted_line_breaks_in_a_large_file(tmp_path, monkeypatch):
    frame = events().with_columns(item_id=pl.format('a "{}",\nb', "item_id"))
    table = Table(write(frame, tmp_path / "e.csv"))
    small = prepare(table, tmp_path / "small", quiet)
    by_disk(monkeypatch)
    assert files_of(prepare(table, tmp_path / "large", quiet)) == files_of(small)
    assert small.items["item_id"][0].startswith('a "0",\nb')


def test_long_work_tells_its_progress(tmp_path, monkeypatch):
    by_disk(monkeypatch)
    lines: list[str] = []
    monkeypatch.setattr("seasonrec.data.events.throttled", lambda write: throttled(write, 0.0))
    prepare(Table(write(events(), tmp_path / "e.csv")), tmp_path, lines.append)
    assert "  read 3,000 rows of e.csv" in lines
    assert any(line.startswith("  sorted ") for line in lines)
