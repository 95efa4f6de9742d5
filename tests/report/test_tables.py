import math
from dataclasses import replace

import polars as pl
import pytest
from made_results import hand_run

from seasonrec.report.comparisons import comparison_table
from seasonrec.report.rows import Row
from seasonrec.report.selection import Selection
from seasonrec.report.tables import grid, long_table, notes

FULL = Row(
    "full",
    False,
    (
        hand_run("full", 0, bits=[[1, 3], [2, 6]], greater=[[0, 1], [0, 99]]),
        hand_run("full", 1, bits=[[2, 4], [3, 7]], greater=[[0, 1], [0, 99]]),
    ),
)
POPULARITY = Row("popularity", True, (hand_run("popularity", 0, bits=[[5, 5], [5, 5]], greater=[[1, 1], [1, 1]]),))


def entry(table: pl.DataFrame, **keys: str) -> dict[str, object]:
    return table.filter(**keys).row(0, named=True)


def test_long_table_holds_the_values_worked_by_hand():
    table = long_table([POPULARITY, FULL], [("all", "bits"), ("in_season", "bits"), ("all", "ndcg@10")])
    assert table.columns == ["row", "slice", "metric", "value", "low", "high", "n", "seeds", "fingerprint"]
    bits = entry(table, row="full", slice="all", metric="bits")
    assert bits["value"] == pytest.approx((3.0 + 4.0) / 2)  # (1 + 3 + 2 + 6) / 4, and one bit more with the other seed
    assert (bits["low"], bits["high"]) == pytest.approx((2.5, 4.5))  # one user only, or the other
    assert (bits["n"], bits["seeds"]) == (4, 2)
    assert entry(table, row="full", slice="in_season", metric="bits")["value"] == pytest.approx(
        2.0
    )  # (1 + 2 + 2 + 3) / 4
    ndcg = entry(table, row="full", slice="all", metric="ndcg@10")["value"]
    assert ndcg == pytest.approx((1 + 1 / math.log2(3) + 1 + 0) / 4)
    assert entry(table, row="popularity", slice="all", metric="bits")["seeds"] == 1


def test_every_interval_contains_its_value(rows):
    table = long_table(rows, [("all", "bits"), ("in_season", "ndcg@10"), ("christmas", "basket_recall@10")])
    assert table.height == 12
    assert table.filter((pl.col("low") < pl.col("value")) & (pl.col("value") < pl.col("high"))).height == 12


def test_a_basket_metric_counts_baskets(rows, targets):
    table = long_table(rows[:1], [("all", "basket_hit@10"), ("all", "bits")])
    assert table["n"].to_list() == [targets.height, targets["items"].list.len().sum()]


def test_the_grid_marks_the_best_and_what_differs(rows):
    selection = Selection("small", "Does it?", ("all", "in_season"), ("ndcg@10", "bits"))
    long, compared = long_table(rows, selection.columns), comparison_table(rows, "full", selection.columns)
    laid = grid(rows, selection, long, compared)
    by_name = {row.name: row for row in laid.rows}
    assert [row.is_baseline for row in laid.rows] == [True, False, False, False]
    assert [cell.mark for cell in by_name["personal_recent"].cells] == ["†"] * 4
    assert {cell.mark for cell in by_name["full"].cells} == {""}
    assert by_name["no_season"].cells[3].mark == "†"
    assert {cell.mark for cell in by_name["no_text"].cells} == {""}
    for place in range(4):
        assert sum(row.cells[place].is_best for row in laid.rows) == 1
    bits = [row.cells[1].value for row in laid.rows]
    assert laid.rows[bits.index(min(bits))].cells[1].is_best  # fewer bits are better
    ndcg = [row.cells[0].value for row in laid.rows]
    assert laid.rows[ndcg.index(max(ndcg))].cells[0].is_best


def test_bits_of_a_loss_without_probabilities_are_not_to_be_compared():
    selection = Selection("small", "?", ("all",), ("ndcg@10", "bits"))
    rows = [replace(FULL, gives_probabilities=False)]
    compared = comparison_table(rows, "full", selection.columns)
    told = "The losses of full give no probabilities: compare only their ranking."
    assert told in notes(rows, selection, compared)
    assert told not in notes([FULL], selection, compared)
    assert told not in notes(rows, replace(selection, metrics=("ndcg@10",)), compared)


def test_a_table_of_the_validation_part_says_so_first():
    validated = Row("full", False, tuple(replace(run, part="validation") for run in FULL.runs))
    selection = Selection("small", "?", ("all",), ("bits",), note="60 households")
    compared = comparison_table([validated], "full", selection.columns)
    first, second, *_ = notes([validated], selection, compared)
    assert "validation part" in first
    assert "no test result" in first
    assert second == notes([FULL], selection, compared)[0] == "Budget: 60 households."


def test_a_table_of_one_seed_says_what_it_cannot_tell(rows):
    one = [replace(row, runs=row.runs[:1]) for row in rows]
    selection = Selection("small", "?", ("all",), ("bits",))
    told = " ".join(notes(one, selection, comparison_table(one, "full", selection.columns)))
    assert "of this table, with one seed only; another may differ." in told


def test_notes_say_what_a_reader_must_know(rows):
    selection = Selection(
        "small",
        "?",
        ("all",),
        ("bits",),
        note="60 households",
        command="seasonrec ablate s.yaml",
        missing=("no_habit seed 1",),
    )
    told = " ".join(notes(rows, selection, comparison_table(rows, "full", selection.columns)))
    for words in (
        "Budget: 60 households.",
        "fingerprint 0123456789abcdef; seeds 0, 1.",
        "Holm over the 3 comparisons of this table, with the same sign in every seed.",
        "No results (failed or not yet run): no_habit seed 1.",
        "Made by: seasonrec ablate s.yaml.",
    ):
        assert words in told
