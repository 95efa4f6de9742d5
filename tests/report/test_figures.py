from dataclasses import replace
from datetime import date

import matplotlib.image
import polars as pl
import pytest

from seasonrec.report.comparisons import comparison_table
from seasonrec.report.effects import chosen_ticks, effect_figure, effect_table, farthest, signed
from seasonrec.report.figures import chosen_rows, holiday_windows, week_figure, week_table
from seasonrec.report.selection import Selection


@pytest.fixture(scope="module")
def weeks(rows) -> pl.DataFrame:
    return week_table(rows[:3], rows[0], "bits")


@pytest.fixture(scope="module")
def effects(rows) -> pl.DataFrame:
    return effect_table(rows, comparison_table(rows, "full", [("all", "bits"), ("in_season", "bits")]), "bits")


def test_weeks_hold_levels_and_gains(weeks, targets):
    levels, gains = weeks.filter(pl.col("against").is_null()), weeks.filter(against="personal_recent")
    assert (levels.height, gains.height) == (3 * 8, 2 * 8)
    assert levels.filter(row="full")["n"].sum() == targets["items"].list.len().sum()
    assert (gains.filter(row="full")["value"] > 0).all()  # fewer bits are a gain
    assert ((gains["low"] <= gains["value"]) & (gains["value"] <= gains["high"])).all()
    level = {(line["row"], line["week"]): line["value"] for line in levels.iter_rows(named=True)}
    first = gains.filter(row="full").row(0, named=True)
    assert first["value"] == pytest.approx(level["personal_recent", first["week"]] - level["full", first["week"]])


def test_holiday_windows_span_their_days(rows):
    spans = holiday_windows(rows[0])
    assert [name for name, _, _ in spans] == ["thanksgiving", "christmas", "after_christmas"]
    assert date(2017, 11, 13) <= spans[0][1] <= spans[0][2] <= date(2017, 11, 26)


def test_a_holiday_of_two_years_is_two_windows(rows):
    frame = rows[0].runs[0].frame
    later = frame.with_columns(pl.col("day").dt.offset_by("1y"))
    both = replace(rows[0], runs=(replace(rows[0].runs[0], frame=pl.concat([frame, later])),))
    assert [name for name, _, _ in holiday_windows(both)] == ["thanksgiving", "christmas", "after_christmas"] * 2
    assert all((last - first).days < 31 for _, first, last in holiday_windows(both))


def test_rows_of_the_figure_by_week(rows):
    names = [row.name for row in chosen_rows(rows, Selection("s", "?", ("all",), ("bits",)))]
    assert names == ["full", "no_season", "personal_recent"]
    asked = Selection("s", "?", ("all",), ("bits",), figure_rows=("no_text", "full", "gone"))
    assert [row.name for row in chosen_rows(rows, asked)] == ["no_text", "full"]


def test_effects_are_positive_where_the_section_helps(effects):
    assert effects["against"].unique(maintain_order=True).to_list() == ["no_season", "no_text"]  # no baselines
    season = effects.filter(against="no_season", slice="in_season").row(0, named=True)
    assert 0 < season["low"] < season["effect"] < season["high"]
    assert season["effect"] == pytest.approx(0.65, abs=0.05)


def test_one_huge_effect_does_not_hide_the_others():
    reach = {"no_habit": 0.9, "no_season": 0.1, "no_text": 0.02}
    table = pl.DataFrame({"against": list(reach), "low": [0.0] * 3, "high": list(reach.values())})
    assert farthest(table) == 0.1
    assert farthest(table.filter(pl.col("against") != "no_habit").with_columns(low=-0.15)) == 0.15


@pytest.mark.parametrize("which", ["weeks", "effects"])
def test_figures_are_drawn_and_come_out_the_same_twice(which, weeks, effects, rows, tmp_path):
    def draw(stem):
        if which == "weeks":
            return week_figure(tmp_path / stem, weeks, holiday_windows(rows[0]), "bits")
        return effect_figure(tmp_path / stem, effects, "bits")

    png, pdf = draw("one")
    image = matplotlib.image.imread(png)
    assert min(image.shape[:2]) > 300
    assert (image[..., :3].min(axis=2) < 0.9).mean() > 0.01  # more than an empty frame
    assert pdf.read_bytes().startswith(b"%PDF")
    again, _ = draw("two")
    assert again.read_bytes() == png.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.pdf", "one.png", "two.pdf", "two.png"]


def test_ticks_of_the_figure_of_effects_leave_room_for_their_labels():
    assert list(chosen_ticks(-0.078, 0.01, inches=100).values()) == ["\N{MINUS SIGN}0.06", "\N{MINUS SIGN}0.03", "0"]
    assert list(chosen_ticks(-0.078, 0.01, inches=8).values()) == ["\N{MINUS SIGN}0.05", "0"]
    assert chosen_ticks(-0.078, 0.01, inches=1) == {0.0: "0"}
    assert list(chosen_ticks(0.0, 1.2, inches=1)) == pytest.approx([0.0, 0.4, 0.8])


def test_equal_rows_have_no_sign():
    assert [signed(effect) for effect in (0.0, -0.0, 0.0501, -0.0002)] == ["0", "0", "+0.050", "\N{MINUS SIGN}0.000"]
