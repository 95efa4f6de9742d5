from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from seasonrec.evaluation.groups.columns import RANKED, SIDES
from seasonrec.evaluation.groups.summary import summarise_groups
from seasonrec.evaluation.results.store import RunResults
from seasonrec.evaluation.statistics.measured import measure
from seasonrec.evaluation.statistics.significance import mean_intervals
from seasonrec.report.groups import group_table, groups_markdown
from seasonrec.report.rows import Row
from seasonrec.report.selection import Selection
from seasonrec.report.write import write_report


def with_groups(run: RunResults) -> RunResults:
    """Returns the run with sides of its targets (nothing is young) and bits of the sides below its bits."""
    frame, draw = run.frame, np.random.default_rng(run.seed)
    bits = frame["bits"].explode().to_numpy()
    shared = np.random.default_rng(9)
    flat = {name: shared.random(len(bits)) < (0.0 if name == "young" else 0.6) for name in SIDES}
    flat |= {f"bits_{name}": (bits * draw.random(len(bits)) * 0.3).astype(np.float32) for name in SIDES}
    flat |= {f"{kind}_{RANKED}": frame[kind].explode().to_numpy() for kind in ("greater", "ties")}
    split = np.cumsum(frame["items"].list.len().to_numpy())[:-1]
    lists = (pl.Series(name, [part.tolist() for part in np.split(values, split)]) for name, values in flat.items())
    return replace(run, frame=frame.with_columns(lists))


@pytest.fixture(scope="module")
def grouped(rows) -> list[Row]:
    return [replace(row, runs=tuple(map(with_groups, row.runs))) for row in rows]


@pytest.fixture(scope="module")
def table(grouped) -> pl.DataFrame:
    return group_table(grouped)


def test_values_are_the_means_of_the_seeds(grouped, table):
    full = next(row for row in grouped if row.name == "full")
    records = [summarise_groups(run.frame) for run in full.runs]
    for line in table.filter(row="full").to_dicts():
        parts = [record[line["partition"]] for record in records]
        if line["side"]:
            parts = [part["sides"][line["side"]] for part in parts]
        assert line["value"] == pytest.approx(np.mean([part[line["metric"]] for part in parts]))
        assert line["low"] is None or line["low"] <= line["value"] <= line["high"]
        assert line["seeds"] == 3
    assert table.filter(partition="young", side="young", metric="bits_within").is_empty()


def test_an_interval_is_that_of_a_metric_over_the_same_targets(grouped, table):
    row = grouped[1]
    bits = [run.frame.with_columns(bits=pl.col("bits_hot").cast(pl.List(pl.Float32))) for run in row.runs]
    runs = [replace(run, frame=frame) for run, frame in zip(row.runs, bits, strict=True)]
    (known,) = mean_intervals([measure(runs, "all", "bits", trained=not row.is_baseline)])
    line = table.filter(row=row.name, partition="hot", metric="bits_group").to_dicts()[0]
    assert (line["value"], line["low"], line["high"]) == pytest.approx((known.value, known.low, known.high))
    assert (line["users"], line["n"], line["seed_sd"]) == (known.users, known.entries, known.seed_sd)


def test_rows_keep_their_order_and_older_results_are_left_out(rows, grouped, table):
    names = [row.name for row in grouped]
    assert table["row"].unique(maintain_order=True).to_list() == names
    mixed = group_table([rows[0], *grouped[1:]])
    assert mixed["row"].unique(maintain_order=True).to_list() == names[1:]
    assert_frame_equal(mixed, table.filter(pl.col("row") != names[0]), rel_tol=1e-5)
    assert group_table(rows).is_empty()


def test_a_row_without_probabilities_has_ranks_alone(grouped):
    table = group_table([grouped[0], replace(grouped[1], gives_probabilities=False)])
    assert set(table.filter(row=grouped[1].name)["metric"]) == {"share", "ndcg@10"}
    line = next(line for line in groups_markdown(table).splitlines() if line.startswith(f"| {grouped[1].name} |"))
    assert [entry.strip() for entry in line.split("|")[2:6]] == ["", "", "", ""]


def test_the_markdown_has_a_table_per_partition_with_the_true_share(table):
    text = groups_markdown(table)
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == list(SIDES)
    share = table.filter(row="full", partition="own", side="own", metric="share")["value"][0]
    assert f"| *true share* |  | {share:.4f} ±" in text
    assert "NDCG@10 within new ↑" in text
    assert "bits within never sold ↓" in text


def test_the_report_gains_two_files_and_its_table_stays(rows, grouped, tmp_path):
    selection = Selection("small", "What is it worth?", ("all",), ("ndcg@10", "bits"))
    old = write_report(tmp_path / "old", rows, selection)
    new = write_report(tmp_path / "new", grouped, selection)
    more = {path.name for path in new.files} - {path.name for path in old.files}
    assert more == {"groups.md", "groups.csv"}
    assert (tmp_path / "new" / "table.csv").read_bytes() == (tmp_path / "old" / "table.csv").read_bytes()
