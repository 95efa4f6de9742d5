"""Generated log against its known truth."""

import numpy as np
import pytest

from seasonrec.batches.splits import TimeSplit
from seasonrec.data.datasets.synthetic import Synthetic, _baskets
from seasonrec.data.events import prepare
from seasonrec.data.synthetic_truth import HOLIDAYS, PROMOTION_DAYS, PROMOTION_EVERY_DAYS, _basket_sizes, holiday_date

DATA = Synthetic(num_users=300, habit_share=0.3)
CHANGING = Synthetic(num_users=100, num_days=1096, habit_share=0.3, gone_share=0.2, promoted_share=0.6)


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return prepare(DATA, tmp_path_factory.mktemp("cache"), progress=lambda line: None)


@pytest.fixture(scope="module")
def truth():
    return DATA.truth()


def _days(log):
    return (log.event_times_s - log.event_times_s.min()) // 86_400


def test_every_item_and_user_has_events(log):
    assert (log.num_users, log.num_items) == (300, 60)
    assert log.items["item_id"][7] == "item_00007"


def test_the_peak_of_a_seasonal_item_lies_at_its_phase(log, truth):
    angle = 2 * np.pi * _days(log) / 365.2425
    everyone = np.bincount(_days(log), minlength=730)
    seasonal = np.flatnonzero((truth.amplitude > 0) & (truth.first_day == 0))
    for item in seasonal[np.argsort(-truth.base[seasonal])[:8]]:
        mine = log.event_items == item
        weight = 1.0 / everyone[_days(log)[mine]]  # share of the day's events
        found = np.angle(np.sum(weight * np.exp(1j * angle[mine]))) / (2 * np.pi) % 1
        off = abs((found - truth.phase[item] + 0.5) % 1 - 0.5)
        assert off < 0.08


def test_holiday_items_sell_before_their_day_alone(log, truth):
    for number, name in enumerate(HOLIDAYS):
        days_of = [(holiday_date(year, name) - truth.first_date).days for year in (2016, 2017)]
        near = np.any([(_days(log) <= day) & (_days(log) >= day - 21) for day in days_of], axis=0)
        mine = np.isin(log.event_items, np.flatnonzero(truth.holiday == number))
        assert np.mean(near[mine]) > 2 * np.mean(near)


def test_cold_items_appear_late(log, truth):
    cold = np.flatnonzero(truth.first_day > 0)
    assert len(cold) == 6
    first_day = (log.item_first_seen_s - log.event_times_s.min()) // 86_400
    assert np.all(first_day[cold] >= truth.first_day[cold] - 1)
    split = TimeSplit().resolve(log)
    assert np.any(log.item_first_seen_s[cold] >= split.validation_from_s)


@pytest.fixture(scope="module")
def sold():
    """Returns ``(days, items)`` events of a log with promotions and with items that go."""
    events = CHANGING.tables().events
    days = (events["timestamp_s"].to_numpy() - events["timestamp_s"].min()) // 86_400
    found = np.zeros((CHANGING.num_days, CHANGING.num_items), dtype=np.int64)
    np.add.at(found, (days, events["item_id"].str.tail(5).cast(int).to_numpy()), 1)
    return found


def test_items_go_and_are_sold_until_then(sold):
    truth = CHANGING.truth()
    gone = np.flatnonzero(truth.last_day < CHANGING.num_days)
    assert len(gone) == 11  # a fifth of the 54 items that are not cold
    for item in gone:
        assert sold[truth.last_day[item] :, item].sum() == 0
        assert sold[truth.last_day[item] - 100 : truth.last_day[item], item].sum() > 0 or truth.holiday[item] >= 0


def test_items_on_promotion_sell_more(sold):
    truth = CHANGING.truth()
    promoted = np.flatnonzero(truth.promotion >= 0)
    assert len(promoted) == 12  # of the 20 items without a season
    assert np.all((truth.amplitude[promoted] == 0) & (truth.holiday[promoted] < 0))
    on = truth.is_promoted(np.arange(CHANGING.num_days))[:, promoted]
    during, otherwise = sold[:, promoted][on].mean(), sold[:, promoted][~on].mean()
    assert 3 < during / otherwise < 8  # habits and the other promotions of the day dilute the factor of 8


def test_items_without_a_season_are_born():
    truth = Synthetic(num_days=1096, cold_share=0.0, gone_share=0.2, promoted_share=0.5, born_share=0.5).truth()
    born = truth.first_day > 0
    assert born.sum() == 4  # half of the items without a season, a promotion or an end
    assert np.all(
        (truth.amplitude == 0) & (truth.holiday < 0) & (truth.promotion < 0) & (truth.last_day == 1096) | ~born
    )
    assert truth.first_day[born].min() >= 0.6 * 1096 - 1


def test_no_promotion_returns_at_the_same_time_of_a_later_year():
    days = np.arange(CHANGING.num_days)
    on = CHANGING.truth().is_promoted(days)
    assert np.all(on.sum(axis=0)[CHANGING.truth().promotion >= 0] >= 4 * PROMOTION_DAYS)
    for years, weeks_off in ((365, 3), (730, 3)):
        for off in range(-7 * weeks_off, 7 * weeks_off + 1):
            assert not np.any(on[: len(days) - years - off] & on[years + off :][: len(days) - years - off])


def test_a_log_without_promotions_is_what_it_was():
    small = {"num_users": 20, "num_days": 60}
    assert (
        Synthetic(**small, promoted_share=0.0, gone_share=0.0)
        .tables()
        .events.equals(Synthetic(**small).tables().events)
    )
    before, after = Synthetic(**small).truth(), Synthetic(**small, promoted_share=0.5, gone_share=0.1).truth()
    for name in ("phase", "base", "holiday", "first_day", "favourites"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))


def test_a_wrong_season_moves_the_year_and_a_wrong_trend_the_promotions():
    truth = CHANGING.truth()
    day = truth.promotion[truth.promotion >= 0][:1] + 4 * PROMOTION_EVERY_DAYS
    earlier = day - 100
    right = truth.season_shares(day)[0]
    season = truth.season_shares(day, season_days=earlier)[0]
    trend = truth.season_shares(day, trend_days=earlier)[0]
    plain = (truth.promotion < 0) & (truth.amplitude == 0) & (truth.holiday < 0) & (right > 0)
    per_plain = [shares / shares[plain].sum() for shares in (right, season, trend)]  # free of the normalisation
    moved_by_season = ~np.isclose(per_plain[0], per_plain[1])
    moved_by_trend = ~np.isclose(per_plain[0], per_plain[2])
    assert moved_by_season.any()
    assert moved_by_trend.any()
    assert np.all(truth.promotion[moved_by_season] < 0)
    assert np.all(truth.promotion[moved_by_trend] >= 0)


def test_shares_of_a_basket_are_those_of_drawn_baskets(truth):
    users, days, draw = np.full(40_000, 3), np.full(40_000, 340), np.random.default_rng(0)
    chances = truth.chances(users[:1], days[:1])
    sizes = 1 + draw.poisson(truth.basket_size - 1, len(users))
    _, items = _baskets(truth, users, days, sizes, draw)
    found = np.bincount(items, minlength=truth.phase.size) / len(items)
    shares = truth.basket_shares(chances)[0]
    assert shares.sum() == pytest.approx(1)
    error, first_draw = (np.abs(found - given).sum() / 2 for given in (shares, chances[0]))
    assert error < 0.01
    assert first_draw > 2 * error


@pytest.mark.parametrize("mean", [1, 3, 20])
def test_sizes_of_baskets_are_those_of_the_generator(mean):
    sizes = dict(_basket_sizes(float(mean), 30))
    drawn = np.minimum(1 + np.random.default_rng(0).poisson(mean - 1, 100_000), 30)
    assert sum(sizes.values()) == pytest.approx(1)
    assert max(sizes) <= 30
    assert all(np.mean(drawn == size) == pytest.approx(chance, abs=0.005) for size, chance in sizes.items())


def test_users_have_habits(log, truth):
    own = truth.favourites[np.repeat(np.arange(log.num_users), np.diff(log.user_offsets))]
    assert np.mean(np.any(own == log.event_items[:, None], axis=1)) > 0.3


def test_shares_sum_to_one_and_follow_the_weekday(log, truth):
    shares = truth.season_shares(np.arange(0, 730, 30))
    assert shares.shape == (25, 60)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    assert truth.weekday_share.sum() == pytest.approx(1.0)
    weekday = (log.basket_times_s // 86_400 + 3) % 7  # 1970-01-01 was a Thursday; shops open by day in UTC too
    found = np.bincount(weekday, minlength=7) / log.num_baskets
    np.testing.assert_allclose(found, truth.weekday_share, atol=0.02)


def test_the_seed_decides_everything():
    small = {"num_users": 20, "num_days": 60}
    assert Synthetic(**small).tables().events.equals(Synthetic(**small).tables().events)
    assert not Synthetic(**small, seed=1).tables().events.equals(Synthetic(**small).tables().events)
    assert Synthetic(seed=1).identity() != Synthetic().identity()


def test_thanksgiving_is_the_fourth_thursday():
    assert holiday_date(2017, "thanksgiving").isoformat() == "2017-11-23"
    assert holiday_date(2018, "thanksgiving").isoformat() == "2018-11-22"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_items": 3}, "num_items must be at least 10, got 3"),
        ({"gone_share": -0.1}, r"data\.gone_share must lie in \[0, 1\), got -0\.1"),
        ({"habit_share": 1.0}, r"data\.habit_share must lie in \[0, 1\), got 1\.0"),
        ({"visits_per_week": 0.0}, r"data\.visits_per_week must be above 0, got 0\.0; try 1\.0"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Synthetic(**options)
