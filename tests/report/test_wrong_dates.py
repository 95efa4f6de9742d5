"""The worth of the date: means over seeds, the table, the sentence, the figure, and files that do not compare."""

from __future__ import annotations

from pathlib import Path

import matplotlib.image
import pytest
from made_wrong_dates import COSTS, write_wrong_dates

from seasonrec.report.errors import ReportError
from seasonrec.report.wrong_dates import DateWorth


@pytest.fixture
def worth(tmp_path: Path) -> DateWorth:
    paths = [write_wrong_dates(tmp_path / str(seed), seed) for seed in (0, 1)]
    return DateWorth.of(paths, ("all", "in_season", "halloween"))


def test_two_seeds_are_averaged_with_the_interval_over_users(worth: DateWorth) -> None:
    line = worth.table.filter(kind="trend", days=182, slice="all", metric="bits").row(0, named=True)
    assert line["seeds"] == 2
    assert [line[key] for key in ("difference", "low", "high", "seed_sd")] == pytest.approx(
        [0.11, 0.106, 0.114, 0.02 / 2**0.5]
    )
    assert "interval over users." in worth.markdown()


def test_three_seeds_widen_the_interval(tmp_path: Path) -> None:
    worth = DateWorth.of([write_wrong_dates(tmp_path / str(seed), seed) for seed in (0, 1, 2)], ("all",))
    line = worth.table.filter(kind="trend", days=182, slice="all", metric="bits").row(0, named=True)
    half = (0.004**2 + (4.302653 * 0.02) ** 2 / 3) ** 0.5  # Student's t of two degrees of freedom
    assert [line[key] for key in ("difference", "low", "high", "seed_sd")] == pytest.approx(
        [0.12, 0.12 - half, 0.12 + half, 0.02]
    )
    assert "interval over users and seeds." in worth.markdown()


def test_the_sentence_is_about_half_a_year_and_counts_losses_as_positive(worth: DateWorth) -> None:
    assert worth.sentence() == (
        "What the date is worth, in bits on all (2 seeds): told a date 182 days too early, full loses "
        "0.020 [0.016, 0.024] by the season (calendar, words), 0.110 [0.106, 0.114] by the trend (momentum), and "
        "0.130 [0.126, 0.134] by both."
    )


def test_a_loss_without_probabilities_is_told_in_ndcg(tmp_path: Path) -> None:
    worth = DateWorth.of([write_wrong_dates(tmp_path, 0, (28, 91))], ("in_season",), gives_probabilities=False)
    sentence = worth.sentence()
    assert "in ndcg@10 on in season (one seed): told a date 91 days too early" in sentence
    assert "0.0250 [0.0210, 0.0290] by the season" in sentence
    assert worth.head() == ["wrong date of", "days off", "in season NDCG@10 ↑"]


def test_the_table_begins_with_the_values_of_the_right_date(worth: DateWorth) -> None:
    text = worth.markdown()
    assert "| wrong date of | days off | all NDCG@10 ↑ | all bits ↓ | in season bits ↓ |" in text
    assert "| none |  | 0.0900 | 8.010 | 8.050 |" in text
    assert "| trend | 182 | -0.1100 ±0.0040 | +0.110 ±0.004 | +0.550 ±0.004 |" in text
    assert [line[:2] for line in worth.body()] == [
        ["none", ""], *([kind, days] for kind in COSTS for days in ("28", "182")),
    ]  # fmt: skip
    assert "3 of 40 requests lie before the log's first day when moved by 182 days; their trend is 0" in text


def test_the_figure_is_drawn_and_comes_out_the_same_twice(worth: DateWorth, tmp_path: Path) -> None:
    png, pdf = worth.figure(tmp_path / "one")
    image = matplotlib.image.imread(png)
    assert min(image.shape[:2]) > 300
    assert (image[..., :3].min(axis=2) < 0.9).mean() > 0.01
    assert pdf.read_bytes().startswith(b"%PDF")
    assert worth.figure(tmp_path / "two")[0].read_bytes() == png.read_bytes()


def test_slices_without_targets_are_left_out_and_all_stays(tmp_path: Path) -> None:
    path = write_wrong_dates(tmp_path, 0)
    assert DateWorth.of([path], ("halloween", "in_season")).slices == ("in_season",)
    assert DateWorth.of([path], ("halloween",)).slices == ("all",)


def test_files_that_do_not_compare_are_refused(tmp_path: Path) -> None:
    good = write_wrong_dates(tmp_path / "good", 0)
    for number, (days, changed, told) in enumerate(
        [
            ((28, 182), {"fingerprint": "another"}, "must share fingerprint, and"),
            ((28, 91), {}, "must share kind and days, and"),
            ((28, 182), {"n": 7}, "must share slice and metric and n, and"),
        ]
    ):
        odd = write_wrong_dates(tmp_path / str(number), 1, days, **changed)
        with pytest.raises(ReportError, match=rf"{told} {odd} differs from {good}; run seasonrec counterfactual again"):
            DateWorth.of([good, odd], ("all",))
    with pytest.raises(ReportError, match=r"no table of wrong dates at .*gone\.csv; run seasonrec counterfactual"):
        DateWorth.of([tmp_path / "gone.csv"], ("all",))
    (tmp_path / "half.csv").write_text("name,seed\nfull,0\n")
    with pytest.raises(ReportError, match=r"half\.csv lacks fingerprint, kind, days, .* again\."):
        DateWorth.of([tmp_path / "half.csv"], ("all",))
