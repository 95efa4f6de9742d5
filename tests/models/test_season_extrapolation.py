"""Tests of the seasons at a time of year that the log does not cover."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from hashed_reader import HashedReader
from small_shop import Shop

from seasonrec.batches.context.calendar import CalendarContext
from seasonrec.batches.context.last_year import LastYearContext, request_and_known_days, window_a_year_ago
from seasonrec.batches.facts import Facts
from seasonrec.batches.requests import Requests
from seasonrec.batches.splits import TimeSplit, spec_of
from seasonrec.config import build, compose, conf_dir
from seasonrec.data.datasets.synthetic import Synthetic
from seasonrec.data.events import prepare
from seasonrec.data.spec import SECONDS_PER_DAY
from seasonrec.errors import UserError
from seasonrec.models.calendar_features import KNOTS_DAYS, MAJOR, HolidayRamps
from seasonrec.models.scoring import ScoredItems
from seasonrec.models.season.calendar import CalendarSeason
from seasonrec.models.season.last_year import LastYearSeason
from seasonrec.models.season.text import TextSeason, date_in_words

OPTIONS = sorted(path.stem for path in (conf_dir() / "season").glob("*.yaml"))
TRAINED_DAYS = range(230)
"""Days of the first year's log before the validation cut: May to December."""
UNCOVERED_DAYS = range(306, 311)
"""Early March after that log, a time of year that it does not hold, with no ramp of a holiday."""


@pytest.fixture(scope="module")
def first_year(tmp_path_factory):
    """Opens a shop whose log begins in May and ends in December of one year."""
    folder = tmp_path_factory.mktemp("first_year")
    source = Synthetic(num_users=24, num_items=30, num_days=240, first_date="2017-05-01")
    log = prepare(source, folder, progress=lambda line: None)
    split = TimeSplit().resolve(log)
    return Shop(log, split, spec_of(log, split), folder)


def _at(log, days_after_start):
    times_s = int(log.event_times_s.min()) + np.asarray(days_after_start, dtype=np.int64) * SECONDS_PER_DAY
    return Requests(np.zeros(len(times_s), dtype=np.int64), times_s, times_s, np.full(len(times_s), -1))


def _trained_calendar(first_year):
    """Returns a calendar season with random weights, as after training."""
    torch.manual_seed(0)
    season = CalendarSeason(facts=first_year.facts())
    for weight in (season.affinity.weight, season.own_affinity.weight, season.condition.weight):
        torch.nn.init.normal_(weight)
    return season


def _effect(season, shop, days):
    """Returns the season's queries and scores on days, for fixed queries and items."""
    requests, draw, num_items = _at(shop.log, days), torch.Generator().manual_seed(0), shop.log.num_items
    context = {one.name: one.bind(shop.log, shop.spec)(requests) for one in season.reads}
    items = ScoredItems(torch.randn(num_items, 16, generator=draw), None, num_items)
    effect = season(torch.randn(len(requests), 16, generator=draw), items, context)
    return [part for part in (effect.query, effect.scores) if part is not None]


@pytest.mark.parametrize("option", OPTIONS)
def test_an_uncovered_time_of_year_reads_no_weight_that_training_has_not_touched(option, first_year, monkeypatch):
    """Finds the weights without a gradient on all days of training, changes them, and asks for a later time of year."""
    monkeypatch.setattr("seasonrec.models.season.text.TextReader", HashedReader)
    torch.manual_seed(0)
    try:
        season = build(compose([f"season=[{option}]"]).season[option])(facts=first_year.facts())
    except UserError:
        return  # it refuses a log of less than a year
    with torch.no_grad():
        for weight in season.parameters():
            weight += 0.1 * torch.randn_like(weight)  # as after training
    sum(part.square().sum() for part in _effect(season, first_year, TRAINED_DAYS)).backward()
    expected = _effect(season, first_year, UNCOVERED_DAYS)
    with torch.no_grad():
        for weight in season.parameters():
            weight += 0.1 if weight.grad is None else 0.1 * (weight.grad == 0)
    found = _effect(season, first_year, UNCOVERED_DAYS)
    assert all(torch.equal(*both) for both in zip(expected, found, strict=True)), (
        "the effect in March depends on weights that no day from May to December has trained; multiply the feature by "
        "0 until the log has been there, in training and in the test, as harmonics() in calendar_features.py does"
    )


def test_yearly_harmonics_are_zero_until_the_log_holds_a_full_cycle(first_year):
    season = _trained_calendar(first_year)
    context = CalendarContext().bind(first_year.log, first_year.spec)
    features = season.yearly(context(_at(first_year.log, [0, 100, 239, 355, 364, 380])))
    year = features[:, : 2 * season.num_harmonics].abs().sum(1)
    assert year[:4].tolist() == [0.0] * 4  # exactly: Adam turns the smallest gradient into full steps
    assert 0 < year[4] < year[5]


def test_training_on_part_of_a_year_leaves_the_yearly_features_untouched(first_year):
    season = _trained_calendar(first_year)
    calendar = CalendarContext().bind(first_year.log, first_year.spec)(_at(first_year.log, range(0, 230)))
    num_items = first_year.log.num_items
    query, items = torch.randn(len(calendar.day), 16), ScoredItems(torch.randn(num_items, 16), None, num_items)
    effect = season(query, items, {"calendar": calendar})
    (effect.query.square().sum() + effect.scores.square().sum()).backward()
    for weight in (season.phase.weight, season.condition.weight):
        assert weight.grad[:, season.num_usual :].abs().max() == 0
        assert weight.grad[:, : season.num_usual].abs().max() > 0


@pytest.fixture(scope="module")
def two_years(tmp_path_factory):
    """Opens a shop with two and a half years of log, in which some items appear late."""
    folder = tmp_path_factory.mktemp("two_years")
    source = Synthetic(num_users=12, num_items=30, num_days=900, cold_share=0.4)
    log = prepare(source, folder, progress=lambda line: None)
    split = TimeSplit().resolve(log)
    return Shop(log, split, spec_of(log, split), folder)


def test_the_year_of_an_item_begins_with_its_first_birthday(two_years):
    season, days = _trained_calendar(two_years), np.array([700, 760])
    requests = _at(two_years.log, days)
    calendar = CalendarContext().bind(two_years.log, two_years.spec)(requests)
    num_items = two_years.log.num_items
    items = ScoredItems(torch.zeros(num_items, 16), None, num_items)
    scores = season(torch.zeros(2, 16), items, {"calendar": calendar}).scores
    usual = season.usual(calendar) @ season.phase.weight[:, : season.num_usual].T @ season.own_affinity.weight.T
    age_days = torch.from_numpy((requests.times_s[:, None] - two_years.log.item_first_seen_s) / SECONDS_PER_DAY)
    young, old = age_days < 358, age_days > 367
    assert (young & (age_days > 0)).any()
    assert torch.equal(scores[young], usual[young])
    assert not torch.isclose(scores[old], usual[old]).any()


def test_a_first_year_that_later_years_check_is_learned(two_years, first_year):
    usual, season = CalendarSeason(facts=two_years.facts()), CalendarSeason(first_year=True, facts=two_years.facts())
    calendar = CalendarContext().bind(two_years.log, two_years.spec)(_at(two_years.log, [100, 760]))
    assert usual.yearly(calendar)[0].abs().max() == 0
    assert season.yearly(calendar)[0].abs().max() > 0
    assert torch.equal(season.yearly(calendar)[1], usual.yearly(calendar)[1])
    items = ScoredItems(torch.zeros(two_years.log.num_items, 16), None, two_years.log.num_items)
    covered = season._covered(calendar, items)
    assert covered[0].tolist() == [1.0] * two_years.log.num_items  # no item is older in the first year
    assert torch.equal(covered[1], usual._covered(calendar, items)[1])
    assert 0 < covered[1].mean() < 1
    with pytest.raises(ValueError, match=r"first_year=true .* needs at least 1 yearly cycle"):
        CalendarSeason(first_year=True, facts=first_year.facts())


def test_a_young_item_has_the_year_that_its_text_says(two_years):
    torch.manual_seed(0)
    season = CalendarSeason(young_by_text=True, facts=two_years.facts())
    torch.nn.init.normal_(season.affinity.weight)
    torch.nn.init.normal_(season.own_affinity.weight)
    requests = _at(two_years.log, [760])
    calendar = CalendarContext().bind(two_years.log, two_years.spec)(requests)
    num_items = two_years.log.num_items
    items = ScoredItems(torch.randn(num_items, 16), None, num_items)
    scores = season(torch.zeros(1, 16), items, {"calendar": calendar}).scores[0]
    direction = season.phase(season.features(calendar))[0]
    usual = season.phase.weight[:, : season.num_usual] @ season.usual(calendar)[0]
    by_vector, own = season.affinity(items.vectors), season.own_affinity.weight
    age_days = torch.from_numpy((requests.times_s[0] - two_years.log.item_first_seen_s) / SECONDS_PER_DAY)
    young, old = age_days < 358, age_days > 367
    assert (young & (age_days > 0)).any()
    torch.testing.assert_close(scores[young], (by_vector @ direction + own @ usual)[young])
    torch.testing.assert_close(scores[old], ((by_vector + own) @ direction)[old])


def test_a_query_reads_what_does_not_wait_for_a_year_and_tasks_read_all(two_years):
    season = _trained_calendar(two_years)
    calendar = CalendarContext().bind(two_years.log, two_years.spec)(_at(two_years.log, [760]))
    items = ScoredItems(torch.zeros(two_years.log.num_items, 16), None, two_years.log.num_items)
    query, context = torch.zeros(1, 16), {"calendar": calendar}
    split, weight = season.num_usual, season.condition.weight
    usual, yearly = season.usual(calendar), season.yearly(calendar)
    torch.testing.assert_close(season(query, items, context).query, usual @ weight[:, :split].T)
    torch.testing.assert_close(
        season.conditioned(query, context), usual @ weight[:, :split].T + yearly @ weight[:, split:].T
    )


def test_the_curve_of_a_holiday_is_linear_between_its_knots(two_years):
    season = CalendarSeason(facts=two_years.facts())
    occurrence = CalendarContext().bind(two_years.log, two_years.spec)
    majors = [name for name in occurrence.occurrences if name in MAJOR]
    start = 2 * season.num_harmonics + majors.index("Independence Day") * len(KNOTS_DAYS)
    assert season.num_features == season.num_usual + 2 * season.num_harmonics + len(majors) * len(KNOTS_DAYS)
    july_4th = 365 + 366 + 184  # of 2018, after two occurrences in the log
    offsets = np.array([-40, -28, -24, -7, 0, 1, 4, 7, 14])
    bumps = season.yearly(occurrence(_at(two_years.log, july_4th + offsets)))[:, start : start + len(KNOTS_DAYS)]
    by_hand = [
        [0, 0, 0, 0, 0, 0, 0],
        [1, 0, 0, 0, 0, 0, 0],
        [3 / 7, 4 / 7, 0, 0, 0, 0, 0],
        [0, 0, 0, 1, 0, 0, 0],
        [0, 0, 0, 0, 1, 0, 0],
        [0, 0, 0, 0, 0, 1, 0],
        [0, 0, 0, 0, 0, 1 / 2, 1 / 2],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 0],
    ]
    torch.testing.assert_close(bumps, torch.tensor(by_hand))


def test_a_ramp_ends_instead_of_fading():
    up, down = HolidayRamps(1)(torch.tensor([[-60.0], [-14.0], [-7.0], [0.0], [1.0], [5.0], [60.0]])).squeeze(1).T
    torch.testing.assert_close(up, torch.tensor([0.0, 0.0, 0.5, 1.0, 0.0, 0.0, 0.0]), atol=1e-6, rtol=0)
    torch.testing.assert_close(down, torch.tensor([0.0, 0.0, 0.0, 0.0, 0.8, 0.0, 0.0]), atol=1e-6, rtol=0)
    assert up[0] == 0
    assert down[-1] == 0


def test_a_holidays_own_ramp_needs_an_earlier_occurrence(tmp_path):
    log = prepare(Synthetic(num_users=10, num_items=12, num_days=730), tmp_path, progress=lambda line: None)
    split = TimeSplit().resolve(log)
    calendar = CalendarContext().bind(log, spec_of(log, split))
    first, second = calendar(_at(log, [185])), calendar(_at(log, [185 + 365]))  # early July of both years
    name = list(calendar.occurrences).index("Independence Day")
    assert first.holiday_known[0, name] == 0
    assert second.holiday_known[0, name] == 1


def test_last_year_is_refused_on_a_log_of_one_year(first_year):
    with pytest.raises(ValueError, match=r"season=\[last_year\] reads the same season.*got 0\.\d\d; choose"):
        LastYearSeason(facts=first_year.facts())


def test_last_year_reads_the_sales_of_a_year_ago_and_none_of_this_year(tmp_path):
    log = prepare(Synthetic(num_users=30, num_items=12, num_days=800), tmp_path, progress=lambda line: None)
    spec = spec_of(log, TimeSplit().resolve(log))
    season = LastYearSeason(facts=Facts.of(log, spec, 16, 12, tmp_path))
    lift = season.context.bind(log, spec)(_at(log, [500]))
    counts = season.context.bind(log, spec).counts.before(np.arange(501))
    around = counts[500 - 364 + 15] - counts[500 - 364 - 14]
    share = (counts[500] + 1) / (counts[500] + 1).sum()
    expected = np.log((around + 5.0) / (share * around.sum() + 5.0))
    torch.testing.assert_close(lift.lifts[0, :, 0], torch.from_numpy(expected).float())


def test_last_year_follows_the_request_even_if_the_history_ends_earlier(tmp_path):
    log = prepare(Synthetic(num_users=30, num_items=12, num_days=800), tmp_path, progress=lambda line: None)
    index = LastYearContext(half_window_days=3).bind(log, spec_of(log, TimeSplit().resolve(log)))
    request = _at(log, [500])
    earlier = replace(request, known_until_s=request.times_s - 56 * SECONDS_PER_DAY)
    days, _ = request_and_known_days(index.counts, earlier)
    assert days.tolist() == [[500, 444]]
    assert [day.tolist() for day in window_a_year_ago(days, 3)] == [[500 - 364 - 3], [500 - 364 + 4]]


def test_a_date_in_words_names_the_season_and_the_holiday():
    thanksgiving = (np.datetime64("2017-11-23") - np.datetime64("1970-01-01")).astype(int)
    assert date_in_words(int(thanksgiving) - 3, "US", 14) == "shopping in November, autumn, for Thanksgiving Day"
    assert date_in_words(int(thanksgiving) - 30, None, 14) == "shopping in October, autumn"


@pytest.mark.parametrize(("country", "season"), [("AU", "summer"), ("US", "winter"), (None, "winter")])
def test_seasons_follow_the_hemisphere_of_the_country(country, season):
    january, july = (int(np.datetime64(f"2018-{month}-10", "D").astype(int)) for month in ("01", "07"))
    assert date_in_words(january, country, 0) == f"shopping in January, {season}"
    assert date_in_words(july, country, 0).split(", ")[1] == {"summer": "winter", "winter": "summer"}[season]


class CountedReader(HashedReader):
    """A reader that records the lists of texts that it has embedded."""

    read: ClassVar[list[list[str]]] = []

    def __call__(self, texts):
        self.read.append(list(texts))
        return super().__call__(texts)


def test_text_reads_each_sentence_once_and_works_for_any_date(first_year, monkeypatch):
    monkeypatch.setattr("seasonrec.models.season.text.TextReader", CountedReader)
    monkeypatch.setattr(CountedReader, "read", [])
    season = TextSeason(facts=first_year.facts())
    sentences, _ = CountedReader.read
    assert len(sentences) == len(set(sentences)) < len(season.day_vectors) // 10
    inside, before, after = season.first_day + 40, season.first_day - 325, season.last_day + 3000
    vectors = season._vectors_of(torch.tensor([before, inside, after, after]))
    words = [season.in_words(day) for day in (before, inside, after, after)]
    torch.testing.assert_close(vectors, HashedReader("", None)(words) - season.centre)
    assert len(CountedReader.read) == 3
    season._vectors_of(torch.tensor([after, before]))
    assert len(CountedReader.read) == 3, "a later date is embedded once"
