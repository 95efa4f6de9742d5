import math
from dataclasses import replace

import polars as pl
import pytest
from made_results import hand_run, make_run

from seasonrec.report.comparisons import comparison_table
from seasonrec.report.rows import Row
from seasonrec.report.seed_notes import WARNING
from seasonrec.report.selection import Selection
from seasonrec.report.tables import SPREAD, grid, long_table, notes, spread_words

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
    assert table.columns == ["row", "slice", "metric", "value", "low", "high", "seed_sd", "n", "seeds", "fingerprint"]
    bits = entry(table, row="full", slice="all", metric="bits")
    assert bits["value"] == pytest.approx((3.0 + 4.0) / 2)  # (1 + 3 + 2 + 6) / 4, and one bit more with the other seed
    assert math.isnan(bits["low"])  # two users are too few for an interval
    assert bits["seed_sd"] == pytest.approx(1 / math.sqrt(2))
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
    selection = Selection("small", "Does it?", ("all", "ordinary"), ("ndcg@10", "bits"))
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


def test_a_table_of_too_few_seeds_marks_nothing_and_says_why(rows):
    selection = Selection("small", "?", ("all", "ordinary"), ("bits",))
    few = [replace(row, runs=row.runs[:2]) for row in rows]
    compared = comparison_table(few, "full", selection.columns)
    told = " ".join(notes(few, selection, compared))
    assert "Rows with fewer than 3 seeds carry no mark and no p-value, and their ± is over users only" in told
    assert "Holm" not in told
    laid = grid(few, selection, long_table(few, selection.columns), compared)
    assert {cell.mark for row in laid.rows for cell in row.cells} == {""}
    mixed = [*rows[:-1], few[-1]]
    compared = comparison_table(mixed, "full", selection.columns)
    told = " ".join(notes(mixed, selection, compared))
    assert "Rows with fewer than 3 seeds (no_text) carry no mark" in told
    assert "Holm over the 4 comparisons of this table" in told


def test_the_row_of_other_seeds_must_carry_no_mark(targets, rows):
    selection = Selection("small", "?", ("all", "ordinary"), ("bits",), aa=True)
    for loss, words in (
        (0.0, "aa is full with other seeds (7, 8, 9) and carries no mark, as it must be"),
        (0.6, WARNING),
    ):
        aa = Row("aa", False, tuple(make_run(targets, "aa", seed, loss) for seed in (7, 8, 9)))
        compared = comparison_table([*rows, aa], "full", selection.columns)
        told = notes([*rows, aa], selection, compared)
        assert [note.startswith(words) for note in told].count(True) == 1
        assert "seeds 0, 1, 2." in " ".join(told)
        assert not any(words in note for note in notes([*rows, aa], replace(selection, aa=False), compared))
    assert any("carries a mark in all bits, ordinary bits." in note for note in told)
    few = replace(aa, runs=aa.runs[:1])
    compared = comparison_table([*rows, few], "full", selection.columns)
    assert any("too few seeds for a test" in note for note in notes([*rows, few], selection, compared))


def test_spreads_are_in_units_of_the_last_digit():
    assert spread_words(0.00123, 0.00041, 4) == "±12 s 4"
    assert spread_words(0.00004, 0.0, 4) == "±0.4 s 0"
    assert spread_words(0.021, 0.00096, 3) == "±21 s 1"
    assert spread_words(0.021, None, 3) == "±21"
    assert spread_words(math.nan, 0.019, 3) == "s 19"
    assert spread_words(math.nan, None, 3) == ""


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
        "fingerprint 0123456789abcdef; seeds 0, 1, 2.",
        "p < 0.05 over users and seeds together, after Holm over the 3 comparisons of this table.",
        SPREAD,
        "No results (failed or not yet run): no_habit seed 1.",
        "Made by: seasonrec ablate s.yaml.",
    ):
        assert words in told
