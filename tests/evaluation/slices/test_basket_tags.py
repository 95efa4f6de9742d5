from functools import partial

import numpy as np
import polars as pl
import pytest
from counting import python_lines
from evaluation_logs import build_log, build_split

from seasonrec.evaluation.protocol import Protocol
from seasonrec.evaluation.slices.basket_tags import BasketTags

BASKETS = [
    (0, "2017-11-01 12:00", [0, 1]),
    (0, "2017-11-02 12:00", [0, 2]),
    (0, "2017-11-08 12:00", [0]),
    (1, "2017-11-08 12:00", [1]),
    (0, "2017-11-20 12:00", [0, 1, 3]),
    (0, "2017-11-21 03:00", [3, 2]),
    (1, "2017-12-01 04:30", [0]),
]


def tags_of(baskets, timezone="America/New_York", **rules) -> BasketTags:
    log = build_log(baskets, timezone=timezone)
    split = build_split(log, "2017-11-06", "2017-11-15")
    return BasketTags.of(log, split, Protocol(**rules))


def test_every_test_basket_is_there_with_its_local_day():
    requests = tags_of(BASKETS).requests
    assert requests["user_id"].to_list() == ["user0", "user0", "user1"]
    assert requests["basket"].to_list() == [3, 4, 6]
    # 03:00 UTC is still the evening before in New York, and 04:30 UTC on 1 December is 30 November there
    assert [str(day) for day in requests["day"]] == ["2017-11-20", "2017-11-20", "2017-11-30"]
    assert [str(week) for week in requests["week"]] == ["2017-11-20", "2017-11-20", "2017-11-27"]
    assert requests["month"].to_list() == [11, 11, 11]
    assert requests["window"].to_list() == ["thanksgiving", "thanksgiving", None]


def test_the_validation_part_ends_before_the_test():
    assert tags_of(BASKETS, part="validation").requests["basket"].to_list() == [2, 5]


def test_repeat_is_what_the_user_bought_before_that_second():
    events = tags_of(BASKETS).events
    assert events["request"].to_list() == [0, 0, 0, 1, 1, 2]
    assert events["items"].to_list() == [0, 1, 3, 3, 2, 0]
    # user 0 bought item 3 in the basket before, user 1 never bought item 0 though user 0 did
    assert events["repeat"].to_list() == [True, True, False, True, True, False]


def test_a_first_purchase_within_the_horizon_makes_no_repeat():
    events = tags_of(BASKETS, horizon_days=5).events
    # user 0 bought item 3 a day before the second test basket; what was bought earlier is known
    assert events["repeat"].to_list() == [True, True, False, False, True, False]


def test_gap_births_were_first_sold_between_the_end_of_the_history_and_the_request():
    assert "gap_birth" not in tags_of(BASKETS).events.columns
    for rules in ({"horizon_days": 5}, {"refresh_days": None}):  # the frozen history ends on 15 November
        events = tags_of(BASKETS, **rules).events
        # item 3 is first sold in the first test basket: in the gap for the second one, a birth at the request before
        assert events["gap_birth"].to_list() == [False, False, False, True, False, False]


def test_cold_users_count_baskets_before_the_test():
    assert tags_of(BASKETS, cold_user_baskets=3).requests["cold_user"].to_list() == [False, False, True]
    assert tags_of(BASKETS, cold_user_baskets=4).requests["cold_user"].to_list() == [True, True, True]


def test_cold_items_and_head_count_events_before_the_validation_cut():
    events = tags_of(BASKETS, cold_item_events=2).events
    # before 6 November: item 0 twice, items 1 and 2 once, item 3 never
    assert events["cold_item"].to_list() == [False, True, True, True, True, False]
    assert events["head"].to_list() == [True, False, False, False, False, True]


def test_items_level_with_the_last_of_the_head_belong_to_it():
    # the head is 40% of three trained items, that is two; items 1 and 2 share the second place
    assert tags_of(BASKETS, head_share=0.4).events["head"].to_list() == [True, True, False, False, True, True]


@pytest.mark.parametrize(("floor", "expected"), [(1, True), (6, True), (7, False)])
def test_in_season_is_a_share_above_the_yearly_one_and_enough_events(floor, expected):
    # item 0: 2 of 10 events a week in eight weeks, and 6 of 10 in the week of 20 November: .60 against 22/90 = .24
    baskets, monday = [], np.datetime64("2017-09-25")
    for week in range(9):
        special = 6 if week == 8 else 2
        for user in range(10):
            baskets.append((user, f"{monday + 7 * week + user % 7} 15:00", [0 if user < special else 1 + user % 2]))
    tags = tags_of(baskets, timezone="UTC", season_min_events=floor)
    marked = tags.events["in_season"].to_numpy()
    assert (marked == (expected & (tags.events["items"] == 0).to_numpy())).all()


def test_a_ratio_that_is_only_met_is_not_in_season():
    # item 0 is half of one week's two events and a quarter of all: exactly twice
    baskets = [(0, "2017-11-01", [1]), (0, "2017-11-07", [1]), (0, "2017-11-20", [0]), (0, "2017-11-21", [1])]
    rules = {"timezone": "UTC", "season_min_events": 1}
    assert tags_of(baskets, **rules, season_ratio=2.0).events["in_season"].to_list() == [False, False]
    assert tags_of(baskets, **rules, season_ratio=1.9).events["in_season"].to_list() == [True, False]


def test_baskets_are_tagged_without_a_loop_over_them():
    generator = np.random.default_rng(0)
    lines = []
    for users in (20, 40):
        baskets = [
            (user, f"{np.datetime64('2017-10-01') + day} 12:00", generator.choice(50, 10, replace=False).tolist())
            for user in range(users)
            for day in range(0, 90, 2)
        ]
        log = build_log(baskets)
        split = build_split(log, "2017-11-06", "2017-11-15")
        lines.append(python_lines(partial(BasketTags.of, log, split, Protocol())))
    assert lines[1] - lines[0] < 45  # 900 baskets more


def test_tags_of_some_baskets_are_those_rows(autumn_log, autumn_split):
    tags = BasketTags.of(autumn_log, autumn_split, Protocol())
    kept = np.arange(len(tags.baskets)) % 3 == 1
    some = tags.where(kept)
    assert some.baskets.tolist() == tags.baskets[kept].tolist()
    assert some.requests.equals(tags.requests.filter(kept))
    assert some.events["request"].unique().to_list() == list(range(kept.sum()))
    rows = tags.requests.with_row_index("request").filter(kept)["request"].cast(pl.Int64)
    assert some.events.drop("request").equals(
        tags.events.filter(pl.col("request").is_in(rows.implode())).drop("request")
    )
    assert tags.where(np.ones(len(kept), dtype=bool)) is tags
    assert tags.where(np.zeros(len(kept), dtype=bool)).events.height == 0
