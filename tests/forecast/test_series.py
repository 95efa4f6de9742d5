"""Series of a log: weeks from Monday, gaps and zeros, levels, and what does not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from random_log import log_of

from seasonrec.data.log import EventLog
from seasonrec.errors import UserError
from seasonrec.forecast.levels import series_of_items
from seasonrec.forecast.series import Panel, SeriesOptions, panel_of, second_of

DAY_S = 86_400
FRIDAY_S = 1_483_722_000  # 2017-01-06 12:00 in New York
MONDAY = 17_175  # 2017-01-09, the first whole week


def small_log() -> EventLog:
    """A log from a Friday on: two events before the first whole week, then weeks 0, 1 and 3, and a cut last week."""
    days = np.array([0, 3, 4, 9, 10, 24, 31])  # Friday, Monday, Tuesday, Sunday, Monday, Monday, Monday
    lengths = np.array([2, 2, 1, 1, 1, 2, 1])
    items = np.array([0, 1, 0, 1, 0, 1, 0, 0, 2, 0])
    return log_of(np.zeros(7, dtype=np.int64), FRIDAY_S + days * DAY_S, lengths, items, 3)


def panel(options: SeriesOptions) -> Panel:
    log = small_log()
    names, series = series_of_items(log, options, second_of(log, MONDAY + 7), Path())
    return panel_of(log, options, names, series)


def test_weeks_begin_on_monday_and_incomplete_ones_are_left_out() -> None:
    found = panel(SeriesOptions())
    assert found.names == ("i0", "i1", "i2")
    assert found.starts.tolist() == [MONDAY, MONDAY + 7, MONDAY + 14, MONDAY + 21]
    assert found.values.tolist() == [[2, 1, 0, 1], [2, 0, 0, 0], [0, 0, 0, 1]]
    assert found.cut_events == 3
    assert found.start_of(4) == MONDAY + 28


def test_a_week_without_any_event_is_a_gap_and_no_zero() -> None:
    log = small_log()
    longer = log_of(
        np.zeros(8, dtype=np.int64),
        np.append(log.basket_times_s, FRIDAY_S + 60 * DAY_S),
        np.append(np.diff(log.basket_offsets), 1),
        np.append(log.event_items, 1),
        3,
    )
    found = panel_of(longer, SeriesOptions(), ("i0", "i1", "i2"), np.arange(3))
    assert found.is_closed.tolist() == [False, False, True, False, False, True, True, True]
    assert found.values[0].tolist() == [2, 1, 0, 1, 1, 0, 0, 0]
    assert found.first.tolist() == [0, 0, 3]


def test_days_and_values() -> None:
    log = small_log()
    values = np.arange(len(log.event_items), dtype=np.float32)
    daily = panel_of(
        EventLog(**{**log.__dict__, "event_values": values}),
        SeriesOptions(period="day", measure="value"),
        ("i0", "i1", "i2"),
        np.arange(3),
    )
    assert len(daily.starts) == 32
    assert daily.values[:, 0].tolist() == [0, 1, 0]
    assert daily.values[:, 24].tolist() == [7, 0, 8]
    with pytest.raises(UserError, match=r"series.measure=value needs a value of every event"):
        panel_of(
            EventLog(**{**log.__dict__, "event_values": values * np.nan}),
            SeriesOptions(measure="value"),
            ("i0", "i1", "i2"),
            np.arange(3),
        )


def test_series_by_category_add_their_items() -> None:
    log = small_log()
    named = EventLog(**{**log.__dict__, "items": log.items.with_columns(category=pl.Series(["a", "b", "a"]))})
    options = SeriesOptions(level="category")
    names, series = series_of_items(named, options, 0, Path())
    assert names == ("a", "b")
    assert panel_of(named, options, names, series).values.tolist() == [[2, 1, 0, 2], [2, 0, 0, 0]]
    without = EventLog(**{**log.__dict__, "items": log.items.with_columns(category=pl.lit(None, pl.String))})
    with pytest.raises(UserError, match=r"series.level=category needs items with categories, got none"):
        series_of_items(without, options, 0, Path())


def test_clusters_are_made_of_items_known_at_the_first_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    log = small_log()
    vectors = np.array([[1.0, 0.0], [0.0, 1.0], [0.1, 0.9]], dtype=np.float32)
    monkeypatch.setattr(
        "seasonrec.models.language.text_vectors.TextReader.__call__", lambda self, texts: _Vectors(vectors)
    )
    words = log.items.with_columns(text=pl.Series(["red bauble", "blue mug", "blue cup"]))
    named = EventLog(**{**log.__dict__, "items": words})
    names, series = series_of_items(named, SeriesOptions(level="cluster"), second_of(log, MONDAY + 7), Path())
    assert series.tolist() in ([0, 1, 1], [1, 0, 0]), "the third item is new and belongs to the nearest centre"
    assert {name.partition(": ")[2] for name in names} == {"red bauble", "blue mug"}


class _Vectors:
    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def numpy(self) -> np.ndarray:
        return self.values


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": "shop"}, "series.level must be one of item, category, cluster, got 'shop'"),
        ({"missing": "drop"}, "series.missing must be one of zero, interpolate, mean, seasonal, got 'drop'"),
        ({"least_nonzero": 0}, "series.least_nonzero must be at least 1, got 0"),
        ({"most": 0}, "series.most must be at least 1, got 0"),
    ],
)
def test_options_are_checked(options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        SeriesOptions(**options)  # type: ignore[arg-type]


def test_an_origin_needs_events_before_it() -> None:
    with pytest.raises(UserError, match=r"an origin must have events before it, got none"):
        second_of(small_log(), MONDAY - 14)
