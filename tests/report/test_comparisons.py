import numpy as np
import pytest
from made_results import hand_run, make_run, make_targets

from seasonrec.report.comparisons import comparison_table, comparisons_markdown, enough_replicates, spell_p
from seasonrec.report.errors import ReportError
from seasonrec.report.rows import Row, check_rows, read_row


def row_of(name: str, *runs, baseline: bool = False) -> Row:
    return Row(name, baseline, runs)


def test_the_difference_is_the_reference_less_the_row():
    full = row_of("full", hand_run("full", 0, [[1, 3], [2, 6]], [[0, 0], [0, 0]]))
    other = row_of("no_season", hand_run("no_season", 0, [[2, 5], [3, 8]], [[0, 0], [0, 0]]))
    line = comparison_table([full, other], "full", [("all", "bits")]).row(0, named=True)
    assert (line["row"], line["against"]) == ("full", "no_season")
    assert line["difference"] == pytest.approx(-1.5)  # (-1 - 2 - 1 - 2) / 4
    assert (line["n"], line["seeds"]) == (4, 1)


def test_a_difference_that_seeds_dispute_is_not_marked(targets):
    full = row_of("full", *(make_run(targets, "full", seed) for seed in (0, 1, 2)))
    agreed = row_of("agreed", *(make_run(targets, "agreed", seed, loss=0.6) for seed in (0, 1, 2)))
    losses = {0: 1.0, 1: 1.0, 2: -0.2}
    disputed = row_of("disputed", *(make_run(targets, "disputed", seed, loss=loss) for seed, loss in losses.items()))
    table = comparison_table([full, agreed, disputed], "full", [("all", "bits")])
    told = {line["against"]: line for line in table.iter_rows(named=True)}
    assert told["agreed"]["difference"] == pytest.approx(told["disputed"]["difference"], abs=0.02)
    assert told["agreed"]["p_holm"] < 0.05 < told["disputed"]["p_holm"]
    assert (told["agreed"]["better"], told["disputed"]["better"]) == ("full", None)
    assert told["disputed"]["against_seed_sd"] == pytest.approx(np.std([1.0, 1.0, -0.2], ddof=1), abs=0.03)
    assert told["disputed"]["seed_sd"] < 0.03


@pytest.mark.parametrize("seeds", [1, 2])
def test_too_few_seeds_of_either_row_have_no_p_value(targets, seeds):
    full = row_of("full", *(make_run(targets, "full", seed) for seed in (0, 1, 2)))
    few = row_of("few", *(make_run(targets, "few", seed, loss=0.6) for seed in range(seeds)))
    enough = row_of("enough", *(make_run(targets, "enough", seed, loss=0.6) for seed in (0, 1, 2)))
    for reference in ("full", "few"):
        table = comparison_table([full, few, enough], reference, [("all", "bits")])
        told = {line["against"]: line for line in table.iter_rows(named=True)}
        untested = [told["few"]] if reference == "full" else list(told.values())
        assert [(line["p"], line["p_holm"], line["better"]) for line in untested] == [(None, None, None)] * len(
            untested
        )
        assert all(line["low"] < line["difference"] < line["high"] for line in untested)
    tested = comparison_table([full, few, enough], "full", [("all", "bits")]).drop_nulls("p").row(0, named=True)
    assert (tested["against"], tested["p_holm"]) == ("enough", tested["p"])  # Holm counts what is tested


def test_a_few_users_have_no_interval():
    targets = make_targets(4, 40)
    rows = [row_of(name, *(make_run(targets, name, seed) for seed in (0, 1, 2))) for name in ("full", "other")]
    table = comparison_table(rows, "full", [("all", "bits")])
    assert table.select("p", "p_holm", "better").row(0) == (None, None, None)
    assert "nan" not in comparisons_markdown(table)


def test_a_baseline_needs_one_run_only(targets):
    full = row_of("full", *(make_run(targets, "full", seed, loss=0.1 * seed) for seed in (0, 1, 2)))
    baseline = row_of("personal", make_run(targets, "personal", 0, loss=0.1), baseline=True)
    line = comparison_table([full, baseline], "full", [("all", "bits")]).row(0, named=True)
    assert (line["seeds"], line["against_seeds"], line["against_seed_sd"]) == (3, 1, None)
    assert line["seed_sd"] == pytest.approx(0.1, abs=0.03)
    assert line["p"] > 0.05
    assert line["better"] is None


def test_a_clear_difference_survives_holm_and_noise_does_not(rows):
    table = comparison_table(rows, "full", [("all", "bits"), ("in_season", "bits"), ("in_season", "ndcg@10")])
    assert table.height == 9
    told = {(line["against"], line["slice"], line["metric"]): line for line in table.iter_rows(named=True)}
    season = told["no_season", "in_season", "bits"]
    assert season["better"] == "full"
    assert season["low"] < season["difference"] < season["high"] < 0
    assert season["difference"] == pytest.approx(-0.65, abs=0.05)
    assert season["effect_size"] < -1
    assert told["no_season", "in_season", "ndcg@10"]["difference"] > 0
    assert all(told["no_text", *column]["better"] is None for column in [("all", "bits"), ("in_season", "bits")])


def test_holm_is_over_the_whole_table(rows):
    table = comparison_table(rows, "full", [("all", "bits"), ("all", "ndcg@10")])
    smallest = table.sort("p").row(0, named=True)
    assert smallest["p_holm"] == pytest.approx(min(1.0, smallest["p"] * table.height))
    assert (table["p_holm"].to_numpy() >= table["p"].to_numpy()).all()


@pytest.mark.parametrize("comparisons", [1, 40, 300])
def test_many_resamples_lie_beyond_the_smallest_p_value_that_holm_marks(comparisons):
    assert enough_replicates(comparisons).replicates * 0.05 / comparisons >= 30


def test_two_fingerprints_are_refused_and_named():
    ours = row_of("full", hand_run("full", 0, [[1, 3]], [[0, 0]]))
    theirs = row_of(
        "popularity", hand_run("popularity", 0, [[1, 3]], [[0, 0]], print_="fedcba9876543210"), baseline=True
    )
    with pytest.raises(ReportError, match="0123456789abcdef") as caught:
        check_rows([ours, theirs], ["all"], ["bits"])
    assert "fedcba9876543210" in str(caught.value)


def test_unknown_slices_and_metrics_are_told_at_once(rows):
    with pytest.raises(ReportError) as caught:
        check_rows(rows, ["all", "eastern", "halloween"], ["bits", "auc"])
    assert all(name in str(caught.value) for name in ("'eastern'", "'halloween'", "'auc'", "thanksgiving", "mrr"))


def test_other_targets_under_one_fingerprint_are_refused():
    ours = row_of("full", hand_run("full", 0, [[1, 3]], [[0, 0]]))
    theirs = row_of("no_season", hand_run("no_season", 0, [[1, 3], [1, 3]], [[0, 0], [0, 0]]))
    with pytest.raises(ReportError, match=r"no_season \(seed 0\) and full \(seed 0\) hold different targets \(2 and 1"):
        check_rows([ours, theirs], ["all"], ["bits"])


def test_an_absent_reference_is_named(rows):
    with pytest.raises(ReportError, match="reference 'whole' has no results; rows with results: personal_recent, full"):
        comparison_table(rows, "whole", [("all", "bits")])


def test_absent_results_are_named(tmp_path):
    with pytest.raises(ReportError, match=r"results\.parquet; run the cell again"):
        read_row("full", False, [tmp_path])


def test_markdown_has_a_line_a_comparison(rows):
    table = comparison_table(rows, "full", [("all", "bits")])
    lines = [line for line in comparisons_markdown(table).splitlines() if line.startswith("| full - ")]
    assert len(lines) == table.height == 3
    assert np.unique([line.count("|") for line in lines]).size == 1


def test_rows_that_are_equal_have_no_effect_size(targets):
    rows = [row_of(name, *(make_run(targets, "full", seed) for seed in (0, 1, 2))) for name in ("full", "twin")]
    table = comparison_table(rows, "full", [("all", "bits")])
    cells = [cell.strip() for cell in comparisons_markdown(table).splitlines()[-1].split("|")]
    assert (cells[4], *cells[6:9]) == ("+0.0000", "1.0000", "1.0000", "")


def test_small_p_values_are_spelled():
    assert [spell_p(p) for p in (None, 0.04321, 0.001, 0.00012345, 1e-12)] == [
        "",
        "0.0432",
        "0.0010",
        "1.2e-04",
        "1.0e-12",
    ]
