"""The multinomial demand as a forecaster: totals by hand, shares that add up, and nothing of the future."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_series import history_of
from small_shop import Shop

from seasonrec.errors import UserError
from seasonrec.forecast.base import History
from seasonrec.forecast.forecaster.demand_text import DemandText, _totals
from seasonrec.forecast.origins import Origins, Rolling
from seasonrec.forecast.panels import open_series
from seasonrec.forecast.series import SeriesOptions


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seasonrec.models.demand.multinomial.FIT_STEPS", 8)


@pytest.fixture(scope="module")
def history(shop: Shop) -> History:
    rolling = Rolling(3, 1, 1, (0.1, 0.5, 0.9))
    options = SeriesOptions(fallback="naive", least_nonzero=1)
    opened = open_series(shop.log, options, rolling, shop.cache_dir)
    maker = Origins(opened.panel, options, rolling, opened.inputs, opened.source)
    return maker.at(opened.panel.num_periods - 3).history


def test_the_total_follows_last_year() -> None:
    values = np.full((1, 70), 2.0)
    values[0, 70 - 52 : 73 - 52] = [3, 4, 2]
    values[0, -8:] = 6.0
    np.testing.assert_allclose(_totals(history_of(values, horizon=3)), [6 * 1.5, 6 * 2, 6])
    short = history_of(values[:, -30:], horizon=3)
    np.testing.assert_allclose(_totals(short), [6, 6, 6], err_msg="no year before: the mean of the last eight")


def test_shares_add_up_to_the_total_and_know_no_later_sale(shop: Shop, history: History) -> None:
    forecaster = DemandText(use="id", hidden_dim=2)
    forecaster.fit(history, 0)
    found = forecaster.forecast(history)
    np.testing.assert_allclose(found.mean.sum(axis=0), _totals(history), rtol=1e-5)
    assert found.notes["knows last year"] == 1
    origin = int(history.starts[history.known])
    days = np.asarray(shop.log.event_times_s) // 86_400
    items = np.where(days > origin, (np.asarray(shop.log.event_items) + 7) % shop.log.num_items, shop.log.event_items)
    assert history.source is not None
    other = replace(history.source, log=replace(shop.log, event_items=items.astype(np.int32)))
    again = DemandText(use="id", hidden_dim=2)
    again.fit(replace(history, source=other), 0)
    np.testing.assert_array_equal(again.forecast(replace(history, source=other)).mean, found.mean)


def test_it_forecasts_events_of_a_log(history: History) -> None:
    with pytest.raises(
        UserError, match=r"forecaster=demand_text forecasts events of a log; choose series.measure=events"
    ):
        DemandText().fit(replace(history, source=None), 0)
    with pytest.raises(UserError, match=r"forecaster.demand_text.use must be one of all, text, cluster, id, got 'x'"):
        DemandText(use="x")  # type: ignore[arg-type]
