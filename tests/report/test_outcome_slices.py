"""Slices by outcome, which no headline shows, and the sentences on what a test allows."""

import io
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from made_results import make_run
from rich.console import Console

from seasonrec.evaluation.groups.columns import SIDES, column_types
from seasonrec.evaluation.slices.masks import OUTCOME_SLICES
from seasonrec.report.appendix import MEANING, WARNING
from seasonrec.report.effects import effect_table
from seasonrec.report.render import column_title
from seasonrec.report.rows import Row
from seasonrec.report.selection import Selection
from seasonrec.report.summary import show
from seasonrec.report.table_notes import ceiling_note, moved_note, unavailable_note
from seasonrec.report.write import write_report

METRICS = ("ndcg@10", "bits")
SIDED = ("bits_group@own", "bits_within@hot", "bits_within@not_hot", "ndcg@10@new")


def with_sides(row: Row) -> Row:
    """Returns a row whose results have partitions: a random half of the targets on each first side, one bit for it."""
    runs = []
    for run in row.runs:
        lists = {}
        sizes = run.frame["bits"].list.len().to_numpy()
        first = np.split(np.random.default_rng(5).random(sizes.sum()) < 0.5, np.cumsum(sizes)[:-1])
        for name in column_types(SIDES):
            if name.startswith("bits_"):
                lists[name] = pl.Series([np.ones(size, np.float32) for size in sizes])
            elif name in ("greater_own", "ties_own"):
                lists[name] = run.frame[name.removesuffix("_own")]
            else:
                lists[name] = pl.Series(first)
        runs.append(replace(run, frame=run.frame.with_columns(**lists)))
    return replace(row, runs=tuple(runs))


@pytest.fixture(scope="module")
def report(rows, tmp_path_factory):
    selection = Selection(
        "s", "Why?", ("all", "in_season", "christmas"), METRICS, effect_slices=("all", "novel"), first_metrics=SIDED
    )
    return write_report(tmp_path_factory.mktemp("report"), [with_sides(row) for row in rows], selection)


def shown(report) -> str:
    stream = io.StringIO()
    show(report, Console(file=stream, width=100))
    return stream.getvalue()


def test_every_slice_by_outcome_has_its_meaning():
    assert tuple(MEANING) == OUTCOME_SLICES


def test_a_headline_has_no_slice_by_outcome_and_says_where_it_is(report):
    folder = report.files[0].parent
    slices = set(pl.read_csv(folder / "table.csv")["slice"]) | set(pl.read_csv(folder / "comparisons.csv")["slice"])
    assert slices == {"all", "christmas"}
    note = (
        "Not shown here: in_season, novel; chosen by what was bought, so that exaggeration would win. See "
        "appendix_outcome_slices.md, and take bits_within@hot or bits_within@new in their place."
    )
    assert note in report.grid.notes
    assert note in shown(report)
    assert "in season" not in shown(report).replace(note, "")


def test_the_appendix_has_their_numbers_the_reason_and_no_mark(report, rows):
    folder = report.files[0].parent
    text = (folder / "appendix_outcome_slices.md").read_text()
    assert WARNING in text
    assert "Statistical Science 32(1), 2017" in text
    assert "†" not in text
    assert "‡" not in text
    table = pl.read_csv(folder / "appendix_outcome_slices.csv")
    assert set(table["slice"]) == set(OUTCOME_SLICES) - {"gap_births"}  # these histories end at their requests
    full = next(row for row in rows if row.name == "full")
    line = table.row(
        by_predicate=(pl.col("row") == "full") & (pl.col("slice") == "novel") & (pl.col("metric") == "bits"), named=True
    )
    values = [run.events.slice("novel").values("bits").mean() for run in full.runs]
    assert line["value"] == pytest.approx(np.mean(values), abs=1e-5)
    assert f"{line['value']:.3f}" in text


def test_numbers_of_a_side_are_columns_with_intervals_and_comparisons(report, rows):
    folder = report.files[0].parent
    table = pl.read_csv(folder / "table.csv").filter(slice="all")
    assert table["metric"].unique(maintain_order=True).to_list() == [*METRICS, *SIDED]
    numbers = {(line["row"], line["metric"]): line for line in table.iter_rows(named=True)}
    counts = {metric: numbers["full", metric]["n"] for metric in SIDED}
    assert counts["bits_within@hot"] + counts["bits_within@not_hot"] == counts["bits_group@own"]
    assert numbers["full", "bits_group@own"]["value"] == 1.0
    for row in rows:
        within = sum(numbers[row.name, name]["value"] * counts[name] for name in SIDED[1:3])
        total = 1.0 + within / counts["bits_group@own"]
        assert total == pytest.approx(numbers[row.name, "bits"]["value"], abs=1e-4)
    assert numbers["full", "bits_within@hot"]["low"] < numbers["full", "bits_within@hot"]["value"]
    compared = pl.read_csv(folder / "comparisons.csv").filter(metric="bits_within@hot", against="no_season")
    assert compared["difference"].item() < 0
    assert compared["better"].item() == "full"
    assert "| all bits within hot ↓ |" in (folder / "table.md").read_text()


def test_bits_within_a_side_have_a_panel_in_the_figure_of_effects(report, rows):
    effects = effect_table(rows, report.compared, "bits")
    assert effects["slice"].unique(maintain_order=True).to_list() == [
        "all",
        "within_hot",
        "within_not_hot",
        "christmas",
    ]
    line = effects.row(by_predicate=(pl.col("against") == "no_season") & (pl.col("slice") == "within_hot"), named=True)
    lost = report.compared.filter(metric="bits_within@hot", against="no_season")["difference"].item()
    assert line["effect"] == -lost > 0


@pytest.mark.parametrize(
    ("metric", "title"),
    [
        ("bits_group@own", "all bits of own/new ↓"),
        ("bits_within@not_hot", "all bits within not hot ↓"),
        ("ndcg@10@new", "all NDCG@10 within new ↑"),
        ("basket_ndcg@10", "all basket ndcg@10 ↑"),
    ],
)
def test_titles_of_columns_read_like_the_table_of_sides(metric, title):
    assert column_title(("all", metric)) == title


def test_the_ceiling_is_that_of_baskets_whose_items_compete(targets):
    run = make_run(targets, "full", 0)
    sizes = targets["items"].list.len().to_numpy()
    best = sum((1 / np.log2(np.arange(2, min(size, 10) + 2))).sum() for size in sizes) / sizes.sum()
    told = ceiling_note(run, ["ndcg@10", "bits", "hr@10", "ndcg@10@new"])
    assert told.endswith(
        f"the best possible NDCG@10 is {best:.3f} and HR@10 is {np.minimum(sizes, 10).sum() / sizes.sum():.3f}"
    )
    assert ceiling_note(run, ["bits", "basket_ndcg@10"]) == moved_note(()) == ""


def test_targets_that_are_no_candidates_are_told(targets):
    run = make_run(targets, "full", 0)
    assert unavailable_note(run) == ""
    ties = run.frame["ties"].to_list()
    ties[0][0] = ties[3][0] = 0
    few = replace(run, frame=run.frame.with_columns(ties=pl.Series(ties, dtype=pl.List(pl.Int32))))
    assert unavailable_note(few).startswith(f"2 of {targets['items'].list.len().sum():,} targets are no candidates")
    born = [[False] * len(row) for row in ties]
    born[5][0] = True
    some = replace(few, frame=few.frame.with_columns(gap_birth=pl.Series(born, dtype=pl.List(pl.Boolean))))
    within = "1 targets were first sold between the end of the history and the request"
    assert unavailable_note(some) == f"{unavailable_note(few)}. {within}"
    assert unavailable_note(replace(some, frame=some.frame.with_columns(ties=run.frame["ties"]))) == within
