"""Split by time, with one cut for validation and one for test at local midnights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from seasonrec.batches.labels.base import Cuts
from seasonrec.batches.log_span import unsplittable
from seasonrec.data.features import feature_names
from seasonrec.data.log import EventLog
from seasonrec.data.occasions import occasion_names
from seasonrec.data.portions import basket_portions
from seasonrec.data.spec import SECONDS_PER_DAY, DataSpec
from seasonrec.errors import UserError
from seasonrec.ranges import DaysOrZero, Fraction, ranged

_WHOLE_WEEKS_FROM_DAYS = 12 * 7
"""Limit in days above which a log is cut at Mondays by default, so that every week in a report is complete."""

_DATES = ("train_from", "validation_from", "test_from", "test_until")

Part = Literal["validation", "test"]
"""Part of the log on which models are evaluated."""


@dataclass(frozen=True)
class Split:
    """Cuts in seconds since 1970-01-01 UTC; each part holds the baskets from its cut up to the next, less the gap.

    Args:
        train_from_s: First second of the training part.
        validation_from_s: First second of the validation part, from which on no event may be used for training.
        test_from_s: First second of the test part.
        end_s: First second after the test part: one after the last event, or the end that the user gave.
        gap_s: Seconds before the validation and the test cut that belong to no part.
    """

    train_from_s: int
    validation_from_s: int
    test_from_s: int
    end_s: int
    gap_s: int = 0

    @property
    def train_until_s(self) -> int:
        """First second after the training part."""
        return self.validation_from_s - self.gap_s

    @property
    def validation_until_s(self) -> int:
        """First second after the validation part."""
        return self.test_from_s - self.gap_s

    @property
    def cuts(self) -> Cuts:
        """Ends of the parts, at which labels end."""
        return Cuts((self.train_until_s, self.validation_until_s, self.end_s))

    def training_until_test(self) -> Split:
        """Returns the split whose training part ends where validation ended, and whose validation part is empty."""
        return replace(self, validation_from_s=self.test_from_s)

    def since_s(self, part: Part) -> int:
        """Returns the first second of a part."""
        return self.test_from_s if part == "test" else self.validation_from_s

    def baskets(self, log: EventLog, part: Part) -> NDArray[np.int64]:
        """Returns the rising basket numbers of a part."""
        return self.test_baskets(log) if part == "test" else self.validation_baskets(log)

    def baskets_by_part(self, log: EventLog) -> dict[str, NDArray[np.int64]]:
        """Returns the rising basket numbers of the training, the validation and the test part."""
        parts = {"training": self.train_baskets, "validation": self.validation_baskets, "test": self.test_baskets}
        return {name: baskets(log) for name, baskets in parts.items()}

    def train_baskets(self, log: EventLog) -> NDArray[np.int64]:
        return _baskets_between(log, self.train_from_s, self.train_until_s)

    def validation_baskets(self, log: EventLog) -> NDArray[np.int64]:
        return _baskets_between(log, self.validation_from_s, self.validation_until_s)

    def test_baskets(self, log: EventLog) -> NDArray[np.int64]:
        return _baskets_between(log, self.test_from_s, self.end_s)


@ranged("split")
@dataclass(frozen=True)
class TimeSplit:
    """Split of a log by dates, or by shares of its time span if no date is given.

    A cut by share is moved to the nearest local midnight, or to that of the nearest Monday if the log is longer than 12
    weeks. Without ``validation_from``, validation is the share of the span that ends at the test cut.

    Args:
        validation_from: First local day of validation, ``YYYY-MM-DD``.
        test_from: First local day of the test.
        test_until: First local day after the test; None for the rest of the log.
        train_from: First local day of training; None for the whole log.
        validation_fraction: Share of the time span for validation, between 0 and 1.
        test_fraction: Share of the time span for the test, between 0 and 1.
        gap_days: Days before the validation and the test cut that belong to no part. Under a horizon, whoever forecasts
            at the cut does not know these days: no weight may be fitted to them.

    Raises:
        ValueError: If a date is not ``YYYY-MM-DD``, a share is out of range, or the gap is below 0.
    """

    validation_from: str | None = None
    test_from: str | None = None
    train_from: str | None = None
    validation_fraction: Fraction = 0.10
    test_fraction: Fraction = 0.15
    gap_days: DaysOrZero = 0.0
    test_until: str | None = None

    def __post_init__(self) -> None:
        for name in _DATES:
            _day(name, getattr(self, name))
        if self.validation_fraction + self.test_fraction >= 1.0:
            raise UserError(
                "split.validation_fraction and split.test_fraction must leave a part for training, got "
                f"{self.validation_fraction} + {self.test_fraction}; lower one."
            )

    def resolve(self, log: EventLog) -> Split:
        """Returns the cuts for a log.

        Raises:
            ValueError: If a cut lies outside the log, cuts are out of order, or a part holds no basket. Where the user
                gave no cut, the message is about the log.
        """
        first_s, last_s = int(log.basket_times_s.min()), int(log.basket_times_s.max())
        span_s = last_s - first_s
        test_from_s = _midnight_s("test_from", self.test_from, log)
        if test_from_s is None:
            test_from_s = _round_day_s(last_s - self.test_fraction * span_s, span_s, log)
        validation_from_s = _midnight_s("validation_from", self.validation_from, log)
        if validation_from_s is None:
            validation_from_s = _round_day_s(test_from_s - self.validation_fraction * span_s, span_s, log)
        train_from_s = _midnight_s("train_from", self.train_from, log)
        train_from_s = first_s if train_from_s is None else train_from_s
        until_s = _midnight_s("test_until", self.test_until, log)
        end_s = last_s + 1 if until_s is None else min(until_s, last_s + 1)
        gap_s = round(self.gap_days * SECONDS_PER_DAY)
        split = Split(train_from_s, validation_from_s, test_from_s, end_s, gap_s)
        given = {name for name in _DATES if getattr(self, name) is not None}
        _check(split, log, given | ({"gap_days"} if self.gap_days else set()))
        return split


def spec_of(log: EventLog, split: Split) -> DataSpec:
    """Returns the facts found in the data."""
    text = log.items["text"].fill_null("").str.strip_chars()
    return DataSpec(
        num_users=log.num_users,
        num_items=log.num_items,
        num_categories=int(log.item_categories.max()) + 1,
        num_events=log.num_events,
        num_baskets=log.num_baskets,
        first_time_s=int(log.basket_times_s.min()),
        last_time_s=int(log.basket_times_s.max()),
        train_until_s=split.train_until_s,
        country=log.country,
        timezone=log.timezone,
        has_text=bool((text != "").any()),
        has_value=any(np.isfinite(log.event_values[events]).any() for _, events in basket_portions(log)),
        occasions=occasion_names(log.occasions),
        occasions_list_items=any(one.lists_items for one in log.occasions),
        behaviours=log.behaviours,
        features=feature_names(log.items),
    )


def _baskets_between(log: EventLog, from_s: int, until_s: int) -> NDArray[np.int64]:
    return np.flatnonzero((log.basket_times_s >= from_s) & (log.basket_times_s < until_s)).astype(np.int64)


def _day(name: str, text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(str(text))
    except ValueError as error:
        raise UserError(f"split.{name} must be a day as YYYY-MM-DD, got {text!r}; e.g. 2017-10-02.") from error


def _midnight_s(name: str, text: str | None, log: EventLog) -> int | None:
    day = _day(name, text)
    return None if day is None else start_of_day_s(day, log.timezone)


def start_of_day_s(day: date, timezone: str) -> int:
    """Returns the second of the local midnight that begins a day."""
    return int(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(timezone)).timestamp())


def _round_day_s(time_s: float, span_s: int, log: EventLog) -> int:
    """Returns the local midnight nearest to ``time_s``; in a long log, the nearest midnight of a Monday."""
    today = date.fromisoformat(local_date(time_s, log))
    days = [today + timedelta(offset) for offset in range(-7, 8)]
    if span_s > _WHOLE_WEEKS_FROM_DAYS * SECONDS_PER_DAY:
        days = [day for day in days if day.weekday() == 0]
    return min((start_of_day_s(day, log.timezone) for day in days), key=lambda start_s: abs(start_s - time_s))


def _check(split: Split, log: EventLog, given: set[str]) -> None:
    """Raises the first fault: of the keys that are ``given``, or of the log where all cuts are shares."""
    first_s, last_s = int(log.basket_times_s.min()), int(log.basket_times_s.max())
    cuts = {"test_from": split.test_from_s, "validation_from": split.validation_from_s}  # validation follows the test
    for name, cut_s in cuts.items():
        if not first_s < cut_s <= last_s:
            if name not in given:
                raise unsplittable(log)
            raise UserError(
                f"split.{name} must lie inside the log, which runs from {local_date(first_s, log)} to "
                f"{local_date(last_s, log)}, got {local_date(cut_s, log)}; choose a day in between."
            )
    if not split.train_from_s < split.validation_from_s < split.test_from_s:
        if not given:
            raise unsplittable(log)
        raise UserError(
            "split needs train_from < validation_from < test_from, got "
            f"{', '.join(_dates_of_cuts(split, log))}; move a cut."
        )
    if split.end_s <= split.test_from_s:
        raise UserError(
            f"split.test_until must lie after test_from={local_date(split.test_from_s, log)}, got "
            f"{local_date(split.end_s, log)}; choose a later day, or null for the rest of the log."
        )
    for part, baskets in split.baskets_by_part(log).items():
        if not len(baskets):
            if not given:
                raise unsplittable(log)
            train, validation, test = _dates_of_cuts(split, log)
            raise UserError(
                f"split: the {part} part holds no basket (training from {train}, validation from {validation}, "
                f"test from {test}, {split.gap_s / SECONDS_PER_DAY:g} days of gap before each cut); move a cut."
            )


def _dates_of_cuts(split: Split, log: EventLog) -> list[str]:
    return [local_date(time_s, log) for time_s in (split.train_from_s, split.validation_from_s, split.test_from_s)]


def local_date(time_s: float, log: EventLog) -> str:
    """Returns the local day of a second as ``YYYY-MM-DD``."""
    return str(datetime.fromtimestamp(time_s, ZoneInfo(log.timezone)).date())
