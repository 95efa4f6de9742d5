"""Columns of the partitions in results frames, files and ``metrics.json``."""

import json
import math

import numpy as np
import polars as pl
import pytest
import torch
from evaluation_logs import TableScorer

from seasonrec.batches.requests import Requests
from seasonrec.batches.sharding import Shard
from seasonrec.evaluation import metrics
from seasonrec.evaluation.groups.columns import SIDES, column_types, has_groups
from seasonrec.evaluation.groups.partitions import Partitions
from seasonrec.evaluation.groups.summary import summarise_groups
from seasonrec.evaluation.protocol import Protocol
from seasonrec.evaluation.ranking.evaluator import evaluate
from seasonrec.evaluation.ranking.lists import top_lists
from seasonrec.evaluation.results.store import COLUMNS, RunResults, read_results, user_sums, write_results

PROTOCOL = Protocol(season_min_events=2, words={"few": ("item 1", "item 2")})
NAMES = [*SIDES, "with_few"]
GROUP_COLUMNS = tuple(column_types(NAMES))


@pytest.fixture(scope="module")
def scorer(autumn_log) -> TableScorer:
    draw = torch.Generator().manual_seed(0)
    table = torch.randint(0, 6, (autumn_log.num_users, autumn_log.num_items), generator=draw).float()
    return TableScorer(lambda requests: table[torch.from_numpy(requests.users)])


@pytest.fixture(scope="module")
def partitions(autumn_log, autumn_split) -> Partitions:
    return Partitions(autumn_log, autumn_split, PROTOCOL)


@pytest.fixture(scope="module")
def frame(autumn_log, autumn_split, scorer, partitions):
    return evaluate(scorer, autumn_log, autumn_split, PROTOCOL, partitions=partitions, show_progress=False)


def results_of(frame) -> RunResults:
    return RunResults("full", 0, "f" * 16, 40, frame)


def test_the_columns_come_after_all_others_and_change_none(frame, autumn_log, autumn_split, scorer):
    plain = evaluate(scorer, autumn_log, autumn_split, PROTOCOL, show_progress=False)
    assert tuple(plain.columns) == COLUMNS
    assert tuple(frame.columns) == (*COLUMNS, *GROUP_COLUMNS)
    assert frame.select(COLUMNS).equals(plain)


def test_sides_bits_and_ranks_are_those_of_a_plain_loop(frame, autumn_log, scorer, partitions):
    rows = frame.to_dicts()
    assert {side for row in rows for side in row["hot"]} == {True, False}
    for row in rows:
        requests = Requests.of_baskets(autumn_log, np.array([row["basket"]]))
        scores = scorer.score(requests)[0].double().numpy()
        scores[autumn_log.item_first_seen_s >= row["request_time_s"]] = -math.inf
        chances = np.exp(scores) / np.exp(scores).sum()
        for name, found in partitions(requests).items():
            first = found[0].numpy()
            assert row[name] == first[row["items"]].tolist()
            mass = np.array([chances[first == first[item]].sum() for item in row["items"]])
            there = np.isfinite(scores[row["items"]])
            of_side, bits = np.array(row[f"bits_{name}"]), np.array(row["bits"])
            assert np.isnan(of_side).tolist() == np.isnan(bits).tolist() == (~there).tolist()
            assert of_side[there] == pytest.approx(-np.log2(mass[there]), abs=1e-5)
            within = -np.log2(chances[row["items"]][there] / mass[there])
            assert (bits - of_side)[there] == pytest.approx(within, abs=1e-5)  # stored float32 values add up
        own = partitions(requests)["own"][0].numpy()
        rivals = [scores[own == own[item]] for item in row["items"]]
        pairs = list(zip(rivals, scores[row["items"]], strict=True))
        assert row["greater_own"] == [int((others > score).sum()) for others, score in pairs]
        assert row["ties_own"] == [int((others == score).sum()) * math.isfinite(score) for others, score in pairs]


@pytest.mark.parametrize("world_size", [2, 40])
def test_shards_have_the_columns_of_the_whole(frame, autumn_log, autumn_split, scorer, partitions, world_size):
    """Some of forty processes have no basket."""
    pieces = [
        evaluate(
            scorer,
            autumn_log,
            autumn_split,
            PROTOCOL,
            partitions=partitions,
            chunk=20,
            shard=Shard(rank, world_size),
            show_progress=False,
        )
        for rank in range(world_size)
    ]
    assert {tuple(piece.schema.items()) for piece in pieces} == {tuple(frame.schema.items())}
    assert pl.concat(pieces).sort("basket").drop("bits", "^bits_.*$").equals(frame.drop("bits", "^bits_.*$"))


def test_the_record_has_the_means_of_the_columns(frame):
    record = results_of(frame).record((1, 10))
    groups = json.loads(json.dumps(record["groups"]))
    assert list(groups) == NAMES
    own = frame["own"].explode().to_numpy()
    there = ~frame["bits"].explode().is_nan().to_numpy()
    assert 0 < record["unavailable"] == (~there).sum()
    sides = groups["own"]["sides"]
    assert [sides[name]["n"] for name in ("own", "new")] == [own.sum(), (~own & there).sum()]
    assert sides["own"]["share"] == pytest.approx(own[there].mean())
    gains = metrics.ndcg(frame["greater_own"].explode().to_numpy(), frame["ties_own"].explode().to_numpy(), 10)
    assert sides["new"]["ndcg@10"] == pytest.approx(gains[~own].mean())
    assert "ndcg@10" not in groups["hot"]["sides"]["hot"]
    for table in groups.values():
        within = sum(side["share"] * side.get("bits_within", 0.0) for side in table["sides"].values())
        assert table["bits_group"] + within == pytest.approx(record["slices"]["all"]["bits"], abs=1e-9)
        assert sum(side["mass"] for side in table["sides"].values()) == pytest.approx(1.0, abs=1e-9)


def test_ranks_of_new_items_are_those_of_the_list_without_own_items(frame, autumn_log, scorer):
    """``hr@10@new`` judges the list that ``recommend exclude_own=true`` gives."""
    seen = 0
    for row in frame.to_dicts():
        requests = Requests.of_baskets(autumn_log, np.array([row["basket"]]))
        (found,) = top_lists(scorer, autumn_log, PROTOCOL, requests, autumn_log.num_items, exclude_own=True)
        listed = found.items[0][np.isfinite(found.scores[0])].tolist()
        columns = (row["items"], row["own"], row["greater_own"], row["ties_own"])
        for item, own, greater, ties in zip(*columns, strict=True):
            assert not (own and item in listed)
            if not own and ties:
                assert greater <= listed.index(item) < greater + ties
                seen += 1
    assert seen


def test_the_mass_of_a_side_is_the_mean_probability_given_to_it(frame, autumn_log, scorer, partitions):
    masses = []
    for row in frame.iter_rows(named=True):
        requests = Requests.of_baskets(autumn_log, np.array([row["basket"]]))
        scores = scorer.score(requests).double()
        late = torch.from_numpy(autumn_log.item_first_seen_s >= row["request_time_s"])
        chances = scores.masked_fill(late, -math.inf).softmax(1)
        masses += [float(chances[partitions(requests)["own"]].sum())] * sum(count > 0 for count in row["ties"])
    assert summarise_groups(frame)["own"]["sides"]["own"]["mass"] == pytest.approx(np.mean(masses), abs=1e-6)


def test_a_side_without_targets_has_no_number_within_it(frame):
    everyone = frame.with_columns(young=frame["own"].list.eval(pl.element().is_null()))
    sides = summarise_groups(everyone)["young"]["sides"]
    assert sides["young"].keys() == {"n", "share", "mass"}
    assert (sides["young"]["n"], sides["young"]["share"]) == (0, 0.0)
    assert sides["older"].keys() == {"n", "share", "mass", "bits_within"}


def test_files_with_and_without_the_columns_are_read(frame, tmp_path):
    write_results(tmp_path / "new.parquet", results_of(frame))
    assert read_results(tmp_path / "new.parquet").frame.equals(frame)
    write_results(tmp_path / "old.parquet", results_of(frame.select(COLUMNS)))
    old = read_results(tmp_path / "old.parquet")
    assert tuple(old.frame.columns) == COLUMNS
    assert not has_groups(old.frame)
    assert "groups" not in old.record((10,))
    assert old.record((10,)) == {
        key: value for key, value in results_of(frame).record((10,)).items() if key != "groups"
    }


def test_a_partition_s_numbers_are_metrics_like_any_other(frame):
    """Checks values, intervals' sums by user and slices of the metrics with a partition or a side in their names."""
    results = results_of(frame)
    groups = results.record((10,))["groups"]
    for partition, sides in SIDES.items():
        everyone = user_sums(results.events, "all", f"bits_group@{partition}")
        mean = everyone.sums.sum() / everyone.counts.sum()
        assert mean == pytest.approx(groups[partition]["bits_group"], abs=1e-12)
        for side in sides:
            values = results.events.slice("all").values(f"bits_within@{side}")
            assert len(values) == groups[partition]["sides"][side]["n"]
            if len(values):
                assert values.mean() == pytest.approx(groups[partition]["sides"][side]["bits_within"], abs=1e-12)
    for side in SIDES["own"]:
        owners, gains = results.events.values("all", f"ndcg@10@{side}")
        assert len(owners) == len(gains)
        assert gains.mean() == pytest.approx(groups["own"]["sides"][side]["ndcg@10"], abs=1e-12)
    slices = [results.events.slice(name) for name in ("novel", "repeat")]
    assert [len(one.values("ndcg@10@own")) for one in slices] == [0, len(slices[1].places)]


def test_results_of_an_older_version_have_no_metrics_of_partitions(frame):
    old = results_of(frame.select(COLUMNS)).events
    with pytest.raises(KeyError, match="no metric bits_within@hot in these results; evaluate the run"):
        old.event_values("bits_within@hot")
