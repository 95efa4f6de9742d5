"""A study from its file to its tables and figures, with a stand-in for training."""

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import polars as pl
import pytest
from made_results import make_run, write_run, write_study
from made_wrong_dates import write_wrong_dates
from rich.console import Console

from seasonrec.ablate import report, run
from seasonrec.ablate.runner import Options
from seasonrec.ablate.study import StudyError
from seasonrec.cli.main import main
from seasonrec.report.errors import ReportError

STUDY = """
name: small
experiment: first_season
question: Does it know the season?
rows: [full, no_season, no_habit]
seeds: [0, 1, 2]
slices: [all, christmas]
note: a stand-in, not trained
"""
FILES = {
    "table.md", "table.tex", "table.csv", "comparisons.md", "comparisons.csv", "costs.csv", "per_user.parquet",
    "figure_weeks.csv", "figure_weeks.png", "figure_weeks.pdf", "figure_effects.png", "figure_effects.pdf",
}  # fmt: skip


def compose(overrides: list[str]) -> Mock:
    name = dict(override.split("=", 1) for override in overrides).get("name", "full").strip("'")
    config = {"data": {}, "protocol": {"holidays": ["Thanksgiving", "Christmas"]}, "season": {"momentum": {}}}
    return Mock(as_dict=lambda: config | {"name": name})


def run_study(folder: Path, text: str = STUDY, fail: str = "none") -> None:
    (folder / "study.yaml").write_text(text)
    console = Console(file=io.StringIO(), width=80)
    stub = (sys.executable, str(Path(__file__).with_name("stub_results.py")), "--fail", fail)
    settings = {"run_dir": str(folder / "runs"), "launcher": "local", "jobs": 1, "stale": "refuse", "overrides": []}
    try:
        run(folder / "study.yaml", settings, Options(command=stub, compose=compose, console=console))
    finally:
        (folder / "shown.txt").write_text(console.file.getvalue())


@pytest.fixture(scope="module", autouse=True)
def made(tmp_path_factory) -> Iterator[None]:
    """Makes the results that the stand-in hands out."""
    folder = tmp_path_factory.mktemp("made")
    write_study(folder, ("full", "no_season", "no_habit", "aa"), range(6))
    for seed in range(3):
        write_wrong_dates(folder / "counterfactual" / f"seed_{seed}", seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MADE_RESULTS", str(folder))
        yield


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    run_study(folder)
    return folder


def test_a_study_ends_in_tables_and_figures(done):
    assert {path.name for path in (done / "runs").iterdir()} >= FILES
    assert all((done / "runs" / name).stat().st_size > 100 for name in FILES)
    shown = (done / "shown.txt").read_text()
    assert f"{done / 'runs' / 'cells'}/ROW/seed_N/log.txt" in shown
    assert "the time left is told after the first run" in shown
    assert (
        f"Open first: {done / 'runs' / 'figure_effects.png'}; the whole table: {done / 'runs' / 'table.md'} (" in shown
    )


def test_the_table_has_baselines_first_then_full_then_ablations(done):
    table = pl.read_csv(done / "runs" / "table.csv")
    order = table["row"].unique(maintain_order=True).to_list()
    assert order == ["popularity", "recent_7d", "personal_recent", "full", "no_season", "no_habit"]
    assert table.columns == ["row", "slice", "metric", "value", "low", "high", "seed_sd", "n", "seeds", "fingerprint"]
    seeds = dict(table.select("row", "seeds").unique().iter_rows())
    assert (seeds["full"], seeds["popularity"]) == (3, 1)
    text = (done / "runs" / "table.md").read_text()
    assert "Budget: a stand-in, not trained." in text
    assert f"Made by: `seasonrec ablate {done / 'study.yaml'} run_dir={done / 'runs'}`" in text


def test_table_values_are_those_of_metrics_json(done):
    table = pl.read_csv(done / "runs" / "table.csv").filter(
        pl.col("row") == "no_season", pl.col("slice") == "christmas"
    )
    told = {line["metric"]: line["value"] for line in table.iter_rows(named=True)}
    folders = [done / "runs" / "cells" / "no_season" / f"seed_{seed}" for seed in (0, 1, 2)]
    slices = [json.loads((folder / "metrics.json").read_text())["slices"]["christmas"] for folder in folders]
    for metric in ("bits", "ndcg@10"):
        assert told[metric] == pytest.approx(sum(one[metric] for one in slices) / 3, abs=1e-5)


def test_the_report_can_be_made_again_from_the_folder_alone(done, capsys):
    before = (done / "runs" / "table.csv").read_bytes()
    (done / "runs" / "table.csv").unlink()
    report(done / "runs")
    assert (done / "runs" / "table.csv").read_bytes() == before
    assert "│ no_season " in capsys.readouterr().out


def test_any_row_can_be_what_the_others_are_compared_with(done, capsys):
    before = {path.name: path.read_bytes() for path in (done / "runs").glob("*.md")}
    assert main(["report", str(done / "runs"), "reference=no_season"]) == 0
    folder = done / "runs" / "beside_no_season"
    own, other = (pl.read_csv(place / "comparisons.csv") for place in (done / "runs", folder))
    assert set(other["row"]) == {"no_season"}
    of_full = own.filter(pl.col("against") == "no_season").sort("slice", "metric")
    of_row = other.filter(pl.col("against") == "full").sort("slice", "metric")
    assert of_row["difference"].to_list() == pytest.approx((-of_full["difference"]).to_list())
    command = f"run_dir={done / 'runs'}; seasonrec report {done / 'runs'} reference=no_season`"
    assert command in (folder / "table.md").read_text()
    assert f"{folder / 'table.md'}" in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in (done / "runs").glob("*.md")} == before
    with pytest.raises(StudyError, match="must be a row with results, one of full, no_season, no_habit, got 'popul"):
        report(done / "runs", "popularity")


def test_a_study_with_other_seeds_says_what_they_tell_and_others_compare_with_it(done, tmp_path, capsys):
    run_study(tmp_path, STUDY.replace("small", "other").replace("no_season, no_habit]", "no_season]") + "aa: true\n")
    text, shown = (tmp_path / "runs" / "table.md").read_text(), (tmp_path / "shown.txt").read_text()
    order = pl.read_csv(tmp_path / "runs" / "table.csv")["row"].unique(maintain_order=True).to_list()
    assert order[-3:] == ["full", "no_season", "aa"]
    note = "aa is full with other seeds (3, 4, 5) and carries no mark, as it must be"
    assert text.count(note) == shown.count(note) == 1
    assert "aa" not in pl.read_csv(tmp_path / "runs" / "figure_weeks.csv")["row"].to_list()
    before = {path.name: path.read_bytes() for path in (done / "runs").glob("*.*")}
    file = tmp_path / "runs" / "per_user.parquet"
    assert main(["report", str(done / "runs"), f"against={file}", "reference=other/no_season"]) == 0
    folder = done / "runs" / "against_other" / "beside_other_no_season"
    lines = pl.read_csv(folder / "comparisons.csv").filter(slice="all", metric="bits")
    told = dict(lines.select("against", "better").iter_rows())
    assert (told["full"], told["other/full"], told["no_season"]) == ("full", "other/full", None)
    assert "other/aa" not in told
    command = f"seasonrec report {done / 'runs'} against={file} reference=other/no_season`"
    assert command in (folder / "table.md").read_text()
    assert {path.name: path.read_bytes() for path in (done / "runs").glob("*.*")} == before
    assert not (folder / "per_user.parquet").exists()


def test_a_report_is_made_without_torch():
    """Checks the imports, because reports are often made on machines without training."""
    script = (
        "import sys, seasonrec.report.write; print([name for name in ('torch', 'lightning') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_study_that_goes_on_begins_with_the_time_that_it_will_take(done, tmp_path):
    shutil.copytree(done, tmp_path, dirs_exist_ok=True)
    for row, seed in (("full", 1), ("no_season", 0)):
        shutil.rmtree(tmp_path / "runs" / "cells" / row / f"seed_{seed}")
    run_study(tmp_path)
    assert "7 are complete, about 4m 12s left" in (tmp_path / "shown.txt").read_text()  # two runs of 126 s


def test_named_rows_have_their_robustness_drawn_and_a_failed_trial_costs_nothing_else(tmp_path):
    text = STUDY.replace("rows: [full, no_season, no_habit]", "rows: [full, no_season]").replace("[0, 1, 2]", "[0]")
    with pytest.raises(SystemExit):
        run_study(tmp_path, f"{text}robustness: [full, no_season]\n", fail="no_season:robustness")
    told = (tmp_path / "runs" / "table.md").read_text()
    assert "No results (failed or not yet run): no_season seed 0, robustness." in told
    assert (tmp_path / "runs" / "figure_robustness.png").is_file()
    curves = pl.read_csv(tmp_path / "runs" / "figure_robustness.csv")
    assert curves["name"].unique().to_list() == ["full"]
    stray = tmp_path / "runs" / "cells" / "no_season" / "seed_0" / "robustness.csv"
    stray.write_text("tried by hand, otherwise")
    run_study(tmp_path, f"{text}robustness: [full]\n")  # a file of another origin is in no figure
    stray.unlink()
    run_study(tmp_path, f"{text}robustness: [full, no_season]\n")
    curves = pl.read_csv(tmp_path / "runs" / "figure_robustness.csv")
    assert set(curves["name"]) == {"full", "no_season"}
    assert set(curves["kind"]) == {"adversarial", "random", "drop"}


def test_wrong_dates_of_the_reference_are_a_table_a_figure_and_a_sentence(done, tmp_path):
    before = {name: (done / "runs" / name).read_bytes() for name in ("table.csv", "comparisons.csv", "table.md")}
    assert not list((done / "runs").glob("*wrong_dates*"))
    shutil.copytree(done, tmp_path, dirs_exist_ok=True)
    text = f"{STUDY}wrong_dates: [28, 182]\n"
    with pytest.raises(SystemExit):
        run_study(tmp_path, text, fail="full:counterfactual")
    told = (tmp_path / "runs" / "table.md").read_text()
    assert (
        "not yet run): full seed 0, counterfactual, full seed 1, counterfactual, full seed 2, counterfactual." in told
    )
    assert not list((tmp_path / "runs").glob("*wrong_dates*"))
    run_study(tmp_path, text)
    made = {path.name for path in (tmp_path / "runs").glob("*wrong_dates*")}
    assert made == {"wrong_dates.md", "wrong_dates.csv", "figure_wrong_dates.png", "figure_wrong_dates.pdf"}
    table = pl.read_csv(tmp_path / "runs" / "wrong_dates.csv")
    assert table["seeds"].unique().to_list() == [3]
    shown = (tmp_path / "shown.txt").read_text()
    sentence = "What the date is worth, in bits on all (3 seeds): told a date 182 days too early, full loses 0.030"
    assert shown.count(sentence) == (tmp_path / "runs" / "wrong_dates.md").read_text().count(sentence) == 1
    for name in ("table.csv", "comparisons.csv"):
        assert (tmp_path / "runs" / name).read_bytes() == before[name]


def test_a_failed_row_ends_in_code_1_and_a_table_of_the_others(tmp_path):
    with pytest.raises(SystemExit) as caught:
        run_study(tmp_path, STUDY.replace("[0, 1, 2]", "[0]"), fail="no_habit")
    assert caught.value.code == 1
    shown = (tmp_path / "shown.txt").read_text()
    assert "1 cell failed" in shown
    assert "out of memory" in shown
    assert "No results (failed or not yet run): no_habit seed 0." in shown
    rows = pl.read_csv(tmp_path / "runs" / "table.csv")["row"].unique().to_list()
    assert "no_season" in rows
    assert "no_habit" not in rows


def test_another_fingerprint_is_refused_with_both_named(done, tmp_path, targets):
    shutil.copytree(done / "runs", tmp_path / "runs")
    changed = make_run(targets, "no_habit", 1)
    write_run(
        tmp_path / "runs" / "cells" / "no_habit" / "seed_1", type(changed)("no_habit", 1, "f" * 16, 500, changed.frame)
    )
    with pytest.raises(ReportError, match=f"0123456789abcdef .* and {'f' * 16} "):
        report(tmp_path / "runs")


def test_a_folder_without_a_study_is_refused(tmp_path):
    with pytest.raises(StudyError, match=r"holds no study\.json"):
        report(tmp_path)
