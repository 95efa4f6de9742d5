import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import polars as pl
import pytest
import torch
from evaluation_logs import TableScorer

from seasonrec.batches.requests import Requests
from seasonrec.batches.sharding import Shard
from seasonrec.evaluation.protocol import Protocol
from seasonrec.evaluation.ranking import evaluator
from seasonrec.evaluation.ranking.evaluator import evaluate, quick_metrics, requests_at_once
from seasonrec.evaluation.ranking.ranks import top_items
from seasonrec.evaluation.results.store import RunResults, summarise
from seasonrec.evaluation.results.targets import RankedEvents
from seasonrec.evaluation.slices.basket_tags import BasketTags


def table_of(log, seed: int = 0) -> TableScorer:
    """Scorer by user, coarse enough for ties."""
    table = torch.randint(0, 6, (log.num_users, log.num_items), generator=torch.Generator().manual_seed(seed)).float()
    return TableScorer(lambda requests: table[torch.from_numpy(requests.users)])


def test_ranks_are_those_of_a_plain_loop(autumn_log, autumn_split):
    log, scorer = autumn_log, table_of(autumn_log)
    frame = evaluate(scorer, log, autumn_split, Protocol(), chunk=13, show_progress=False)
    assert frame.height == len(autumn_split.test_baskets(log))
    for row in frame.iter_rows(named=True):
        events = slice(log.basket_offsets[row["basket"]], log.basket_offsets[row["basket"] + 1])
        assert row["items"] == log.event_items[events].tolist()
        scores = scorer.score(RequestsOf(row["user"]))[0].double().numpy()
        scores[log.item_first_seen_s >= row["request_time_s"]] = -math.inf
        own = scores[row["items"]]
        assert row["greater"] == [(scores > score).sum() for score in own]
        assert row["ties"] == [(scores == score).sum() * math.isfinite(score) for score in own]
        bits = (np.log(np.exp(scores).sum()) - own) / math.log(2)
        assert row["bits"] == pytest.approx(np.where(np.isinf(bits), math.nan, bits).tolist(), abs=1e-5, nan_ok=True)
        assert scores[row["top_items"]].tolist() == sorted(scores[np.isfinite(scores)], reverse=True)[:50]


class RequestsOf:
    def __init__(self, user: int) -> None:
        self.users = np.array([user])


def test_items_of_the_future_are_ranked_by_no_one_unless_asked(autumn_log, autumn_split):
    scorer = table_of(autumn_log)
    seen = evaluate(scorer, autumn_log, autumn_split, Protocol(), show_progress=False)
    everything = evaluate(scorer, autumn_log, autumn_split, Protocol(candidates="all"), show_progress=False)
    born_s = autumn_log.item_first_seen_s[39]
    shown = seen.filter(pl.col("top_items").list.contains(39))
    assert shown["basket"].to_list() == seen.filter(pl.col("request_time_s") > born_s)["basket"].to_list()
    assert everything["top_items"].list.contains(39).all()


@pytest.mark.parametrize("horizon_days", [0.0, 28.0])
def test_a_target_that_was_never_sold_before_is_missed_and_counted(autumn_log, autumn_split, horizon_days):
    protocol = Protocol(horizon_days=horizon_days)
    frame = evaluate(table_of(autumn_log), autumn_log, autumn_split, protocol, show_progress=False)
    until_s = frame["request_time_s"].to_numpy() - round(horizon_days * 86_400)
    expected = [
        [int(autumn_log.item_first_seen_s[item]) >= known_s for item in items]
        for items, known_s in zip(frame["items"].to_list(), until_s.tolist(), strict=True)
    ]
    found = [[count == 0 for count in ties] for ties in frame["ties"].to_list()]
    assert found == expected
    assert [[math.isnan(bits) for bits in row] for row in frame["bits"].to_list()] == expected
    unavailable = sum(map(sum, expected))
    assert unavailable > 0
    record = RunResults("table", 0, "f" * 16, autumn_log.num_items, frame).record((10,))
    assert record["unavailable"] == unavailable
    born = [
        known_s <= int(autumn_log.item_first_seen_s[item]) < asked_s
        for items, known_s, asked_s in zip(frame["items"], until_s.tolist(), frame["request_time_s"], strict=True)
        for item in items
    ]
    assert record["gap_births"] == sum(born)
    number = frame["items"].list.len().sum()
    assert record["slices"]["all"]["n"] == number
    bits = frame["bits"].explode().to_numpy().astype(np.float64)
    assert record["slices"]["all"]["bits"] == pytest.approx(np.nansum(bits) / (number - unavailable))
    requests = Requests.of_baskets(
        autumn_log, autumn_split.test_baskets(autumn_log), protocol.horizon(autumn_split, "UTC")
    )
    quick = quick_metrics(table_of(autumn_log), autumn_log, requests, protocol)
    assert quick == pytest.approx({name: record["slices"]["all"][name] for name in quick})


def test_tags_are_shared_and_scorers_do_not_change_them(autumn_log, autumn_split):
    protocol = Protocol(part="validation")
    tags = BasketTags.of(autumn_log, autumn_split, protocol)
    shared = evaluate(table_of(autumn_log), autumn_log, autumn_split, protocol, tags=tags, show_progress=False)
    alone = evaluate(table_of(autumn_log), autumn_log, autumn_split, protocol, show_progress=False)
    assert shared.equals(alone)
    assert shared["basket"].to_list() == autumn_split.validation_baskets(autumn_log).tolist()


def test_the_horizon_closes_the_history_and_leaves_the_request(autumn_log, autumn_split):
    met = []

    def note(requests):
        met.append(requests)
        return torch.zeros(len(requests), autumn_log.num_items)

    evaluate(TableScorer(note), autumn_log, autumn_split, Protocol(horizon_days=28), show_progress=False)
    assert all((one.times_s - one.known_until_s == 28 * 86_400).all() for one in met)
    assert len(met) == math.ceil(len(autumn_split.test_baskets(autumn_log)) / 256)


def test_a_constant_scorer_knows_nothing(autumn_log, autumn_split):
    scorer = TableScorer(lambda requests: torch.zeros(len(requests), autumn_log.num_items))
    before = autumn_split.test_baskets(autumn_log)
    means = quick_metrics(scorer, autumn_log, Requests.of_baskets(autumn_log, before[before < 14]), Protocol())
    alive = (autumn_log.item_first_seen_s <= autumn_log.basket_times_s[before[0]]).sum()
    assert means["hr@10"] == pytest.approx(10 / alive, abs=0.01)
    assert means["bits"] == pytest.approx(math.log2(alive), abs=0.05)


def test_quick_metrics_are_those_of_the_full_evaluation(autumn_log, autumn_split):
    scorer, protocol = table_of(autumn_log), Protocol(part="validation")
    frame = evaluate(scorer, autumn_log, autumn_split, protocol, show_progress=False)
    full = summarise(RankedEvents.of(frame), (10,))["all"]
    requests = Requests.of_baskets(autumn_log, autumn_split.validation_baskets(autumn_log))
    quick = quick_metrics(scorer, autumn_log, requests, protocol, chunk=50)
    assert quick == pytest.approx({name: full[name] for name in ("hr@10", "ndcg@10", "mrr", "bits")})


def test_means_alone_make_no_lists(autumn_log, autumn_split, monkeypatch):
    """Checks that a pass for means does not compute the best items of every request."""
    met = []
    monkeypatch.setattr(evaluator, "top_items", lambda scores, length: met.append(length) or top_items(scores, length))
    requests = Requests.of_baskets(autumn_log, autumn_split.test_baskets(autumn_log))
    quick_metrics(table_of(autumn_log), autumn_log, requests, Protocol())
    assert set(met) == {0}


def test_a_score_that_is_not_finite_names_scorer_user_and_item(autumn_log, autumn_split):
    def broken(requests):
        scores = torch.zeros(len(requests), autumn_log.num_items)
        scores[requests.users == 4, 2] = -math.inf
        return scores

    with pytest.raises(ValueError, match=r"table.score must be finite for every candidate, got -inf for user user4 at"):
        evaluate(TableScorer(broken), autumn_log, autumn_split, Protocol(), show_progress=False)


def test_an_item_of_the_future_may_get_any_score(autumn_log, autumn_split):
    def careless(requests):
        scores = torch.zeros(len(requests), autumn_log.num_items)
        scores[:, 39] = torch.where(
            torch.from_numpy(requests.times_s) < autumn_log.item_first_seen_s[39], math.nan, 0.0
        )
        return scores

    assert evaluate(TableScorer(careless), autumn_log, autumn_split, Protocol(), show_progress=False).height > 0


def test_scores_of_another_shape_are_refused(autumn_log, autumn_split):
    scorer = TableScorer(lambda requests: torch.zeros(len(requests), 5))
    with pytest.raises(ValueError, match=r"table.score must give \(requests, items\) = \(9, 40\), got \(9, 5\)"):
        evaluate(scorer, autumn_log, autumn_split, Protocol(), chunk=9, show_progress=False)


def test_the_progress_bar_names_the_scorer(autumn_log, autumn_split, capsys):
    evaluate(table_of(autumn_log), autumn_log, autumn_split, Protocol(), show_progress=True)
    assert "evaluate table" in capsys.readouterr().out


@pytest.mark.parametrize("world_size", [1, 2, 5, 40])
def test_shares_of_several_processes_are_the_whole_and_no_basket_twice(autumn_log, autumn_split, world_size):
    scorer = table_of(autumn_log)

    def share(shard: Shard) -> pl.DataFrame:
        return evaluate(scorer, autumn_log, autumn_split, Protocol(), chunk=13, shard=shard, show_progress=False)

    whole = share(Shard())
    parts = [share(Shard(rank, world_size)) for rank in range(world_size)]
    assert pl.concat(parts).sort("basket").equals(whole)
    assert max(part.height for part in parts) - min(part.height for part in parts) <= 13
    assert parts[0].schema == parts[-1].schema
    assert (parts[-1].height == 0) == (world_size == 40), "some processes have no chunk"


def test_a_share_is_scored_with_the_neighbours_it_has_in_one_process(autumn_log, autumn_split):
    met: list[list[int]] = []

    def note(requests):
        met.append(requests.baskets.tolist())
        return torch.zeros(len(requests), autumn_log.num_items)

    def chunks(shard: Shard) -> list[list[int]]:
        met.clear()
        evaluate(TableScorer(note), autumn_log, autumn_split, Protocol(), chunk=13, shard=shard, show_progress=False)
        return list(met)

    assert sorted(chunks(Shard(0, 2)) + chunks(Shard(1, 2))) == chunks(Shard())


def test_fewer_requests_at_once_where_the_catalogue_is_large(autumn_log, autumn_split, monkeypatch):
    assert [requests_at_once(items, 256) for items in (1_500, 2**16, 2**20, 2**30)] == [256, 256, 16, 1]
    monkeypatch.setattr(evaluator, "SCORES_AT_ONCE", 7 * autumn_log.num_items)
    sizes = []

    def note(requests):
        sizes.append(len(requests))
        return torch.zeros(len(requests), autumn_log.num_items)

    evaluate(TableScorer(note), autumn_log, autumn_split, Protocol(), show_progress=False)
    requests = Requests.of_baskets(autumn_log, autumn_split.test_baskets(autumn_log)[:21])
    quick_metrics(TableScorer(note), autumn_log, requests, Protocol())
    assert max(sizes) == 7
    assert sizes[-3:] == [7, 7, 7]


def test_a_scorer_prepares_once_for_all_chunks(autumn_log, autumn_split):
    told: list[str] = []

    class Prepared(TableScorer):
        @contextmanager
        def during_pass(self) -> Iterator[None]:
            told.append("opens")
            yield
            told.append("closes")

    def note(requests):
        told.append("scores")
        return torch.zeros(len(requests), autumn_log.num_items)

    requests = Requests.of_baskets(autumn_log, autumn_split.test_baskets(autumn_log)[:20])
    quick_metrics(Prepared(note), autumn_log, requests, Protocol(), chunk=10)
    assert told == ["opens", "scores", "scores", "closes"]
