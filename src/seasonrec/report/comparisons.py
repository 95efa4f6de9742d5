"""Comparison of the reference with every other row: interval, effect size and Holm's correction over a whole table."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import Any

import polars as pl

from seasonrec.evaluation.results.targets import lower_is_better
from seasonrec.evaluation.statistics.draws import Bootstrap
from seasonrec.evaluation.statistics.measured import FEWEST_SEEDS
from seasonrec.evaluation.statistics.significance import Comparison, compare, holm
from seasonrec.report.errors import ReportError
from seasonrec.report.markdown import pipe_table
from seasonrec.report.rows import Row
from seasonrec.report.seed_notes import SIGNIFICANCE

SMALL_P = 1e-3
"""P-values below it are written as powers of ten."""

REPLICATES_PER_COMPARISON = 600
"""Thirty resamples lie beyond the smallest p-value that Holm marks, 0.05 / comparisons, whatever their number."""

SCHEMA = {
    "row": pl.String, "against": pl.String, "slice": pl.String, "metric": pl.String, "difference": pl.Float64,
    "low": pl.Float64, "high": pl.Float64, "p": pl.Float64, "p_holm": pl.Float64, "effect_size": pl.Float64,
    "n": pl.Int64, "seeds": pl.Int64, "against_seeds": pl.Int64, "seed_sd": pl.Float64, "against_seed_sd": pl.Float64,
    "better": pl.String,
}  # fmt: skip


def comparison_table(rows: Sequence[Row], reference: str, columns: Sequence[tuple[str, str]]) -> pl.DataFrame:
    """Compares the reference with every other row, in every column.

    Args:
        rows: Rows of the table.
        reference: Name of the row that stands first in every pair.
        columns: ``(slice, metric)`` pairs.

    Returns:
        ``row, against, slice, metric, difference`` (row minus against, in the metric's own unit), ``low, high`` (95%),
        ``p, p_holm, effect_size`` (Cohen's d_z over users), ``n`` (targets, or baskets for basket metrics), ``seeds,
        against_seeds`` (number of each), ``seed_sd, against_seed_sd`` (standard deviation of each over its seeds), and
        ``better``: the better row if ``p_holm`` is below 0.05, else null. ``p`` and ``p_holm`` are null where a trained
        row has fewer than three seeds; the interval then covers users only.

    Raises:
        ReportError: If the reference is not among the rows.
    """
    by_name = {row.name: row for row in rows}
    if reference not in by_name:
        raise ReportError(f"the reference {reference!r} has no results; rows with results: {', '.join(by_name)}.")
    first, others = by_name[reference], [row for row in rows if row.name != reference]
    keys = [(column, other) for column in columns for other in others]
    pairs = [(first.measure(*column), other.measure(*column)) for column, other in keys]
    results = zip(keys, compare(pairs, enough_replicates(len(pairs))), strict=True)
    found = [_record(first, other, *column, result) for (column, other), result in results]
    tested = [record for record in found if record["p"] is not None]
    for record, p_holm in zip(tested, holm([record["p"] for record in tested]), strict=True):
        record["p_holm"] = float(p_holm)
        record["better"] = _better(record)
    return pl.DataFrame(found, schema=SCHEMA)


def enough_replicates(comparisons: int) -> Bootstrap:
    """Returns a bootstrap with enough replicates for Holm over that many comparisons."""
    return Bootstrap(replicates=max(Bootstrap.replicates, REPLICATES_PER_COMPARISON * comparisons))


def _record(first: Row, other: Row, slice_name: str, metric: str, result: Comparison) -> dict[str, Any]:
    return {
        "row": first.name,
        "against": other.name,
        "slice": slice_name,
        "metric": metric,
        "difference": result.difference,
        "low": result.low,
        "high": result.high,
        "p": result.p_value,
        "p_holm": None,
        "effect_size": result.effect_size,
        "n": result.entries,
        "seeds": result.seeds[0],
        "against_seeds": result.seeds[1],
        "seed_sd": result.seed_sds[0],
        "against_seed_sd": result.seed_sds[1],
        "better": None,
    }


def _better(record: dict[str, Any]) -> str | None:
    if record["p_holm"] >= SIGNIFICANCE:
        return None
    gain = record["difference"] * (-1 if lower_is_better(record["metric"]) else 1)
    return record["row"] if gain > 0 else record["against"]


def comparisons_markdown(table: pl.DataFrame) -> str:
    """Returns a Markdown table with one comparison per line."""
    numbers = ["difference", "95% interval", "p", "p (Holm)", "effect size", "n", "seeds", "s"]
    head = ["pair", "slice", "metric", *numbers, "better"]
    body = [
        [
            f"{line['row']} - {line['against']}", line["slice"], line["metric"], f"{line['difference']:+.4f}",
            "" if isnan(line["low"]) else f"{line['low']:+.4f} … {line['high']:+.4f}", spell_p(line["p"]),
            spell_p(line["p_holm"]),
            "" if isnan(line["effect_size"]) else f"{line['effect_size']:+.3f}", f"{line['n']:,}",
            f"{line['seeds']}, {line['against_seeds']}", _spell_sds(line["seed_sd"], line["against_seed_sd"]),
            line["better"] or "",
        ]
        for line in table.iter_rows(named=True)
    ]  # fmt: skip
    tested = table.height - table["p"].null_count()
    return (
        f"# Comparisons\n\nDifference of means, first row minus second; for bits a negative difference is a gain. "
        "Intervals and p-values are of a studentised bootstrap over users and seeds together, so they speak of the "
        f"methods and not of these trainings; Holm over the {tested} lines with a p-value. With fewer than "
        f"{FEWEST_SEEDS} seeds of a trained row there is no p-value, and the interval is over users only. s: standard "
        "deviation of each row over its seeds; effect size: Cohen's d_z over users. A row is better if p (Holm) is "
        f"below {SIGNIFICANCE}.\n\n{pipe_table(head, body, words=3)}\n"
    )


def spell_p(p_value: float | None) -> str:
    """Returns a p-value with two significant digits; empty if nothing was tested."""
    if p_value is None:
        return ""
    return f"{p_value:.1e}" if p_value < SMALL_P else f"{p_value:.4f}"


def _spell_sds(first: float | None, second: float | None) -> str:
    return ", ".join("-" if sd is None else f"{sd:.4f}" for sd in (first, second))
