"""Files of a report: tables, comparisons, costs and figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from seasonrec.atomic import write_text
from seasonrec.data.csv_text import without_formulas
from seasonrec.digests import SUFFIXES, seal
from seasonrec.report.appendix import outcome_markdown, outcome_table
from seasonrec.report.comparisons import comparison_table, comparisons_markdown
from seasonrec.report.effects import effect_figure, effect_table
from seasonrec.report.figures import chosen_rows, holiday_windows, week_figure, week_table
from seasonrec.report.groups import group_table, groups_markdown
from seasonrec.report.interference import interference_figure, interference_table
from seasonrec.report.known_truth import distance_table, has_oracle, kind_table, oracle_dates, oracle_markdown
from seasonrec.report.origins import origin_table, origins_markdown
from seasonrec.report.per_user import FILE, write_sums
from seasonrec.report.render import to_latex, to_markdown
from seasonrec.report.robustness import ROBUSTNESS_METRIC, read_trials, robustness_curves, robustness_figure
from seasonrec.report.rows import Row, check_rows
from seasonrec.report.selection import Selection
from seasonrec.report.summary import Report
from seasonrec.report.table_notes import APPENDIX
from seasonrec.report.tables import grid, long_table
from seasonrec.report.tasks import task_table, tasks_markdown
from seasonrec.report.wrong_dates import DateWorth


def write_report(folder: Path, rows: Sequence[Row], selection: Selection, keep_sums: bool = True) -> Report:
    """Writes ``table.{md,tex,csv}``, ``comparisons.{md,csv}``, ``costs.csv``, ``per_user.parquet`` and the two figures.

    ``appendix_outcome_slices.{md,csv}`` has the slices that are chosen by what was bought, with a warning. If rows have
    them, there are also ``groups.{md,csv}`` of the bits by side, ``tasks.{md,csv}`` of further tasks, a
    figure of the cosines of their gradients, a figure of the robustness trials, and ``wrong_dates.{md,csv}`` with a
    figure of what the date is worth. A generated log has ``oracle.{md,csv}`` and ``oracle_kinds.csv``, and a study with
    rolling origins ``origins.{md,csv}``.

    Args:
        folder: Folder of the files.
        rows: Baselines first, then the reference and the ablations.
        selection: Columns, comparisons and texts of the report.
        keep_sums: Whether ``per_user.parquet`` is written, from which others can compare with these rows.

    Raises:
        ReportError: If the rows cannot share a table, or lack a requested slice or metric.
    """
    effect_slices = selection.effect_slices or selection.slices
    check_rows(rows, (*selection.slices, *effect_slices), (*selection.metrics, *selection.first_metrics))
    metric = selection.figure_metric
    extra = [(name, metric) for name in effect_slices if name not in selection.slices]
    long = long_table(rows, selection.columns)
    compared = comparison_table(rows, selection.reference, [*selection.columns, *extra])
    laid = grid(rows, selection, long, compared)
    worth = _worth(rows, selection)
    folder.mkdir(parents=True, exist_ok=True)
    written = [
        _write_text(folder / "table.md", to_markdown(laid)),
        _write_text(folder / "table.tex", to_latex(laid)),
        _write_csv(folder / "table.csv", long),
        _write_text(folder / "comparisons.md", comparisons_markdown(compared)),
        _write_csv(folder / "comparisons.csv", compared),
        *([write_sums(folder / FILE, selection.name, rows, [*selection.columns, *extra])] if keep_sums else []),
        _write_csv(folder / "costs.csv", _costs(rows)),
        *_groups(folder, rows),
        *_outcomes(folder, rows, selection.metrics),
        *_origins(folder, rows, selection),
        *_tasks(folder, rows),
        *(_oracle(folder, rows, selection.slices) if has_oracle(rows) else []),
        *_figures(folder, rows, selection, compared),
        *(_wrong_dates(folder, worth) if worth else []),
    ]
    seal(folder, [path.name for path in written if path.suffix in SUFFIXES])
    return Report(selection, laid, compared, tuple(written), worth)


def _groups(folder: Path, rows: Sequence[Row]) -> list[Path]:
    table = group_table(rows)
    if not table.height:
        return []
    return [_write_text(folder / "groups.md", groups_markdown(table)), _write_csv(folder / "groups.csv", table)]


def _origins(folder: Path, rows: Sequence[Row], selection: Selection) -> list[Path]:
    if not any(row.origins for row in rows):
        return []
    table = origin_table(rows, selection)
    return [
        _write_text(folder / "origins.md", origins_markdown(table)),
        _write_csv(folder / "origins.csv", table),
    ]


def _outcomes(folder: Path, rows: Sequence[Row], metrics: Sequence[str]) -> list[Path]:
    table = outcome_table(rows, metrics)
    written = [_write_text(folder / f"{APPENDIX}.md", outcome_markdown(table))]
    return [*written, _write_csv(folder / f"{APPENDIX}.csv", table)]


def _oracle(folder: Path, rows: Sequence[Row], slices: Sequence[str]) -> list[Path]:
    distance, kinds = distance_table(rows, slices), kind_table(rows)
    return [
        _write_text(folder / "oracle.md", oracle_markdown(distance, kinds, oracle_dates(rows))),
        _write_csv(folder / "oracle.csv", distance),
        _write_csv(folder / "oracle_kinds.csv", kinds),
    ]


def _tasks(folder: Path, rows: Sequence[Row]) -> list[Path]:
    measured = {row.name: row.tasks for row in rows if row.tasks is not None}
    if not measured:
        return []
    table = task_table(measured)
    return [_write_text(folder / "tasks.md", tasks_markdown(table)), _write_csv(folder / "tasks.csv", table)]


def _worth(rows: Sequence[Row], selection: Selection) -> DateWorth | None:
    """Returns what the date is worth to the row that was told wrong ones, if there is one."""
    for row in rows:
        if row.wrong_dates:
            return DateWorth.of(row.wrong_dates, selection.slices, row.gives_probabilities)
    return None


def _wrong_dates(folder: Path, worth: DateWorth) -> list[Path]:
    written = [_write_text(folder / "wrong_dates.md", worth.markdown())]
    written.append(_write_csv(folder / "wrong_dates.csv", worth.table))
    return [*written, *worth.figure(folder / "figure_wrong_dates")]


def write_weeks(folder: Path, rows: Sequence[Row], selection: Selection) -> list[Path]:
    """Writes the figure by week with its numbers, and returns the files."""
    shown, metric = chosen_rows(rows, selection), selection.figure_metric
    base = next((row for row in shown if row.name == selection.baseline_reference), shown[-1])
    weeks = week_table(shown, base, metric)
    figures = week_figure(folder / "figure_weeks", weeks, holiday_windows(base), metric)
    return [_write_csv(folder / "figure_weeks.csv", weeks), *figures]


def _figures(folder: Path, rows: Sequence[Row], selection: Selection, compared: pl.DataFrame) -> list[Path]:
    metric = selection.figure_metric
    written = write_weeks(folder, rows, selection)
    shown = pl.col("slice").is_in(selection.effect_slices or selection.slices)
    effects = effect_table(rows, compared.filter(shown), metric)
    if effects.height:
        written += effect_figure(folder / "figure_effects", effects, metric)
    measured = {row.name: row.interference for row in rows if row.interference is not None}
    if measured:
        cosines = interference_table(measured)
        written.append(_write_csv(folder / "figure_interference.csv", cosines))
        written += interference_figure(folder / "figure_interference", cosines)
    trials = [path for row in rows for path in row.trials]
    if trials:
        curves = {name: robustness_curves(read_trials(trials), name) for name in (ROBUSTNESS_METRIC, "bits")}
        both = pl.concat([curve.select(pl.lit(name).alias("metric"), pl.all()) for name, curve in curves.items()])
        written.append(_write_csv(folder / "figure_robustness.csv", both))
        written += robustness_figure(folder / "figure_robustness", curves[ROBUSTNESS_METRIC], ROBUSTNESS_METRIC)
    return written


def _costs(rows: Sequence[Row]) -> pl.DataFrame:
    lines = []
    for name, cost in ((row.name, row.cost) for row in rows if row.cost):
        sizes = (cost.parameters, cost.all_parameters, cost.checkpoint_bytes)
        spent = (cost.step_ms, cost.peak_mib, cost.peak_gpu_mib)
        lines += [(name, *sizes, *spent, stage, seconds) for stage, seconds in cost.seconds.items()]
    schema = {
        "row": pl.String, "weights": pl.Int64, "all_weights": pl.Int64, "checkpoint_bytes": pl.Float64,
        "step_ms": pl.Float64, "peak_mib": pl.Float64, "peak_gpu_mib": pl.Float64, "stage": pl.String,
        "seconds": pl.Float64,
    }  # fmt: skip
    return pl.DataFrame(lines, schema=schema, orient="row")


def _write_csv(path: Path, table: pl.DataFrame) -> Path:
    """Writes a table with six significant digits, so that small p-values keep theirs."""
    return _write_text(path, without_formulas(table.with_columns(pl.col(pl.Float64).round_sig_figs(6))).write_csv())


def _write_text(path: Path, text: str) -> Path:
    write_text(path, text)
    return path
