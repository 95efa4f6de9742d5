from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from seasonrec.evaluation.protocol import Protocol
from seasonrec.evaluation.results.store import (
    COLUMNS,
    RunResults,
    coverage,
    read_results,
    summarise,
    user_sums,
    write_results,
)
from seasonrec.evaluation.results.targets import BASKET_AT_K, RankedEvents, is_metric
from seasonrec.evaluation.slices.basket_tags import BasketTags


def results_by_hand(log, split) -> RunResults:
    """Returns tags of the autumn log, with ranks that need no scorer."""
    tags = BasketTags.of(log, split, Protocol())
    generator = np.random.default_rng(1)
    height = tags.events.height
    lists = (
        tags.events.with_columns(
            greater=pl.Series(generator.integers(0, 30, height), dtype=pl.Int32),
            ties=pl.Series(generator.integers(1, 4, height), dtype=pl.Int32),
            bits=pl.Series(generator.random(height) * 8, dtype=pl.Float32),
        )
        .group_by("request", maintain_order=True)
        .all()
        .drop("request")
    )
    top = pl.Series("top_items", [[1, 2], [1, 3]] * tags.requests.height, dtype=pl.List(pl.Int32))
    frame = pl.concat([tags.requests, lists, top.head(tags.requests.height).to_frame()], how="horizontal").select(
        COLUMNS
    )
    return RunResults("full", 7, "0123456789abcdef", log.num_items, frame)


@pytest.fixture(scope="module")
def results(autumn_log, autumn_split) -> RunResults:
    return results_by_hand(autumn_log, autumn_split)


def test_what_is_written_is_read(results, tmp_path):
    path = tmp_path / "deep" / "results.parquet"
    write_results(path, results)
    read = read_results(path)
    assert (read.name, read.seed, read.fingerprint, read.num_items) == ("full", 7, "0123456789abcdef", 40)
    assert read.part == "test"
    write_results(path, replace(results, part="validation"))
    assert read_results(path).part == "validation"
    assert read.frame.equals(results.frame)
    assert dict(read.frame.schema) == {
        **{"user": pl.Int32, "user_id": pl.String, "basket": pl.Int64, "request_time_s": pl.Int64, "day": pl.Date},
        **{"week": pl.Date, "month": pl.Int8, "window": pl.String, "cold_user": pl.Boolean},
        **{name: pl.List(pl.Int32) for name in ("items", "greater", "ties", "top_items")},
        **{name: pl.List(pl.Boolean) for name in ("repeat", "in_season", "cold_item", "head")},
        "bits": pl.List(pl.Float32),
    }
    assert [file.name for file in path.parent.iterdir()] == ["results.parquet"]


def test_a_failed_write_leaves_the_old_file(results, tmp_path):
    path = tmp_path / "results.parquet"
    write_results(path, results)
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        write_results(path, replace(results, frame=results.frame.drop("bits")))
    assert read_results(path).frame.equals(results.frame)


def test_files_that_are_no_results_are_refused(results, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no results at .*absent\.parquet; run the cell again"):
        read_results(tmp_path / "absent.parquet")
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"half a file")
    with pytest.raises(ValueError, match=r"broken\.parquet cannot be read as Parquet"):
        read_results(broken)
    foreign = tmp_path / "foreign.parquet"
    results.frame.drop("bits").write_parquet(foreign)
    with pytest.raises(ValueError, match="lacks name, seed, fingerprint, num_items, bits; it is no results file"):
        read_results(foreign)


def test_summary_counts_and_means_are_those_of_the_rows(results):
    table = summarise(results.events, (1, 10))
    rows = results.frame.filter(pl.col("window") == "christmas")
    greater, ties = rows["greater"].explode().to_numpy(), rows["ties"].explode().to_numpy()
    assert table["christmas"]["n"] == len(greater)
    assert table["christmas"]["baskets"] == rows.height
    assert table["christmas"]["users"] == rows["user"].n_unique()
    assert table["christmas"]["hr@1"] == pytest.approx(np.where(greater == 0, 1 / ties, 0).mean())
    assert table["christmas"]["bits"] == pytest.approx(rows["bits"].explode().mean())
    assert table["novel"]["n"] + table["repeat"]["n"] == table["all"]["n"]
    assert table["head"]["n"] + table["tail"]["n"] == table["all"]["n"]


def test_a_slice_of_targets_restricts_the_basket_to_them(results):
    table = summarise(results.events, (10,))
    novel = results.frame.with_columns(keep=pl.col("repeat").list.eval(~pl.element()))
    novel = novel.filter(pl.col("keep").list.any())
    recalls = []
    for row in novel.iter_rows(named=True):
        pairs = [(g, t) for g, t, keep in zip(row["greater"], row["ties"], row["keep"], strict=True) if keep]
        recalls.append(np.mean([np.clip(10 - g, 0, t) / t for g, t in pairs]))
    assert table["novel"]["baskets"] == len(recalls)
    assert table["novel"]["basket_recall@10"] == pytest.approx(np.mean(recalls))


def test_an_empty_slice_has_counts_alone(results):
    none = RankedEvents.of(results.frame.with_columns(cold_user=pl.lit(False)))
    assert summarise(none, (10,))["cold_users"] == {"n": 0, "baskets": 0, "users": 0}
    assert len(user_sums(none, "cold_users", "bits").users) == 0


@pytest.mark.parametrize("metric", ["ndcg@10", "bits", "basket_ndcg@10"])
def test_user_sums_add_up_to_the_summary(results, metric):
    sums = user_sums(results.events, "thanksgiving", metric)
    assert (sums.counts > 0).all()
    assert (np.diff(sums.users) > 0).all()
    assert sums.sums.sum() / sums.counts.sum() == pytest.approx(
        summarise(results.events, (10,))["thanksgiving"][metric]
    )


def test_unknown_names_are_refused_with_what_there_is(results):
    with pytest.raises(KeyError, match="no slice 'easter' in these results; there are all, ordinary"):
        user_sums(results.events, "easter", "bits")
    with pytest.raises(KeyError, match=r"no metric 'auc@10'; there are hr@k, ndcg@k"):
        user_sums(results.events, "all", "auc@10")


@pytest.mark.parametrize(
    "name", ["hr@1", "ndcg@50@new", "basket_hit@3", "mrr", "bits", "bits_group@own", "bits_within@hot"]
)
def test_a_metric_has_any_length_of_a_list(name):
    assert is_metric(name)


@pytest.mark.parametrize(
    "name", ["hr", "hr@", "hr@0", "hr@ten", "hr@10@hot", "mrr@10", "bits@own", "bits_within@10", "@10"]
)
def test_other_names_are_no_metrics(name):
    assert not is_metric(name)


def test_coverage_counts_what_any_list_shows(results):
    assert coverage(results.frame, (1, 2, 50), 40) == {
        "coverage@1": 1 / 40,
        "coverage@2": 3 / 40,
        "coverage@50": 3 / 40,
    }


def test_the_record_is_what_metrics_json_holds(results):
    record = results.record((1, 10))
    assert record["name"] == "full"
    assert record["fingerprint"] == "0123456789abcdef"
    assert record["seed"] == 7
    assert record["slices"]["all"]["n"] == results.frame["items"].list.len().sum()
    assert set(record["coverage"]) == {"coverage@1", "coverage@10"}


@pytest.mark.parametrize("slice_name", ["all", "thanksgiving", "novel", "head"])
@pytest.mark.parametrize("kind", BASKET_AT_K)
def test_values_of_baskets_are_those_of_the_metric_alone(results, slice_name, kind):
    events = results.events
    mask = events.masks[slice_name]
    baskets, number = np.unique(events.basket[mask], return_inverse=True)
    expected = BASKET_AT_K[kind](events.greater[mask], events.ties[mask], number, len(baskets), 5)
    users, values = events.values(slice_name, f"{kind}@5")
    assert values.tolist() == expected.tolist()
    assert users.tolist() == events.users[baskets].tolist()
    target_users, _ = events.values(slice_name, "ndcg@5")
    assert target_users.tolist() == events.users[events.basket[mask]].tolist()
