"""Slices by the attributes of the users' table."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from small_shop import Shop

from seasonrec.data.log import EventLog
from seasonrec.evaluation.protocol import Protocol
from seasonrec.evaluation.ranking.evaluator import evaluate
from seasonrec.evaluation.results.store import RunResults, read_results, write_results
from seasonrec.evaluation.slices import user_groups as module
from seasonrec.evaluation.slices.basket_tags import BasketTags
from seasonrec.evaluation.slices.masks import slice_masks
from seasonrec.evaluation.slices.user_groups import group_notes, user_groups


@pytest.fixture
def log(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> EventLog:
    """The shop of 24 users, of whom 12 are in France, 8 in Spain, 2 in Peru, and 2 nowhere."""
    monkeypatch.setattr(module, "LEAST_USERS", 3)
    country = ["France"] * 12 + ["Spain"] * 8 + ["Peru"] * 2 + [None, " "]
    users = shop.log.users.select("user_id").with_columns(
        pl.Series("country", country),
        age=pl.Series(["<25"] * 10 + [">25"] * 14),
        birthday=pl.Series(range(24)),
        kind=pl.lit("person"),
    )
    return replace(shop.log, users=users)


def test_groups_have_enough_users_and_names_of_their_own(log: EventLog) -> None:
    groups = user_groups(log)
    assert groups.columns == ["user.country", "user.age"]
    assert groups["user.country"].to_list() == ["france"] * 12 + ["spain"] * 8 + [None] * 4
    assert groups["user.age"].to_list() == ["25"] * 10 + ["25_2"] * 14
    assert group_notes(log) == [
        "user slices of country: user_country_france (12 users), user_country_spain (8 users)",
        "user slices of age: user_age_25_2 (14 users), user_age_25 (10 users)",
        "no user slices of birthday: 24 different values, at most 20 make slices",
        "no user slices of kind: it needs 2 values, one of them with 3 users",
    ]


def test_users_without_an_event_do_not_count(log: EventLog) -> None:
    offsets = np.append(log.user_offsets, [log.num_events] * 2)
    more = pl.concat([log.users, log.users[20:22].with_columns(user_id=pl.Series(["x", "y"]))])
    assert user_groups(replace(log, users=more, user_offsets=offsets))["user.country"].unique().sort().to_list() == [
        None, "france", "spain",
    ]  # fmt: skip


def test_slices_hold_the_targets_of_their_users_and_survive_a_file(log: EventLog, shop: Shop, tmp_path: Path) -> None:
    class Even:
        name = "even"

        def score(self, requests):  # type: ignore[no-untyped-def]
            import torch

            return torch.zeros(len(requests), log.num_items)

    frame = evaluate(Even(), log, shop.split, Protocol(), show_progress=False)
    write_results(tmp_path / "r.parquet", RunResults("even", 0, "f", log.num_items, frame))
    read = read_results(tmp_path / "r.parquet")
    masks = slice_masks(read.frame)
    users = np.repeat(frame["user"].to_numpy(), frame["items"].list.len().to_numpy())
    assert [name for name in masks if name.startswith("user_")] == [
        "user_country_france", "user_country_spain", "user_age_25", "user_age_25_2",
    ]  # fmt: skip
    assert np.array_equal(masks["user_country_spain"], (users >= 12) & (users < 20))
    assert masks["user_country_spain"].any()


def test_a_log_without_attributes_has_the_tags_of_before(shop: Shop) -> None:
    plain = BasketTags.of(shop.log, shop.split, Protocol()).requests
    assert not [column for column in plain.columns if column.startswith("user.")]
