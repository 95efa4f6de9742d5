"""Known inputs by hand: holidays with the week before them, and the time of year."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from random_log import random_log

from seasonrec.data.occasions import Occasion
from seasonrec.errors import UserError
from seasonrec.forecast.inputs import TOGETHER, KnownInputs, calendar_inputs, dated_events

STARTS = np.arange(110, dtype=np.int64) * 7


def test_a_holiday_counts_for_the_week_before_it() -> None:
    events = {"yearly": (8 * 7 + 2, 60 * 7), "once": (20 * 7,)}
    inputs = calendar_inputs(events, STARTS, 7, known=100)
    assert inputs.names == ("yearly", TOGETHER), "less than two years: no time of year"
    yearly = inputs.values[:, 0]
    assert yearly[[7, 8, 59, 60]].tolist() == [5 / 8, 3 / 8, 7 / 8, 1 / 8]
    assert yearly.sum() == 2
    assert np.flatnonzero(inputs.values[:, 1]).tolist() == [19, 20]
    assert inputs.notes == {"holidays that share one input": 1, "left out, fewer than two years: time of year": 1}


def test_a_holiday_that_is_known_only_later_has_no_input_of_its_own() -> None:
    events = {"yearly": (8 * 7 + 2, 60 * 7)}
    inputs = calendar_inputs(events, STARTS, 7, known=50)
    assert inputs.names == (TOGETHER,)


def test_two_years_give_the_time_of_year() -> None:
    inputs = calendar_inputs({}, STARTS, 7, known=105)
    assert inputs.names == ("sin 1", "cos 1", "sin 2", "cos 2")
    assert inputs.values[0, 0] == pytest.approx(np.sin(2 * np.pi * 3.5 / 365.2425))


def test_inputs_that_end_before_the_horizon_are_refused() -> None:
    inputs = KnownInputs(("x",), np.zeros((10, 1)), {})
    assert inputs.until(10).shape == (10, 1)
    with pytest.raises(UserError, match=r"known inputs must reach the end of the horizon, period 12, got 10 periods"):
        inputs.until(12)


def test_the_users_occasions_are_inputs_if_the_first_origin_knows_them() -> None:
    log = replace(
        random_log(),
        country=None,
        occasions=(
            Occasion("sale", 10, 12),
            Occasion("sale", 40, 41),
            Occasion("late", 20, 20, known_from_day=60),
        ),
    )
    events = dated_events(log, 0, 80, known_day=50)
    assert events == {"late": (), "sale": (10, 11, 12, 40, 41)}
    inputs = calendar_inputs(events, STARTS[:12], 7, known=8)
    assert inputs.names == ("sale",), "two occurrences of some days each"
    later = calendar_inputs(dated_events(log, 0, 80, known_day=60), STARTS[:12], 7, known=8)
    assert later.names == ("sale", TOGETHER)
