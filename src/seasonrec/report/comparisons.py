"""Comparison of the reference with every other row: interval, effect size and Holm's correction over a whole table."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import Any

import polars as pl

from seasonrec.evaluation.results.targets import LOWER_IS_BETTER
from seasonrec.evaluation.statistics.bootstrap import Bootstrap
from seasonrec.evaluation.statistics.significance import Comparison, compare, holm
from seasonrec.report.errors import ReportError
from seasonrec.report.markdown import pipe_table
from seasonrec.report.rows import Row, same_seeds

SIGNIFICANCE = 0.05
"""Level at which a difference is marked, after Holm."""

REPLICATES_PER_COMPARISON = 60
"""Enough for the smallest possible p-value, 2 / (replicates + 1), to pass Holm with any number of comparisons."""

SCHEMA = {
    "row": pl.String, "against": pl.String, "slice": pl.String, "metric": pl.String, "difference": pl.Float64,
    "low": pl.Float64, "high": pl.Float64, "p": pl.Float64, "p_holm": pl.Float64, "effect_size": pl.Float64,
    "n": pl.Int64, "seeds": pl.Int64, "seed_low": pl.Float64, "seed_high": pl.Float64, "better": pl.String,
}  # fmt: skip


def comparison_table(rows: Sequence[Row], reference: str, columns: Sequence[tuple[str, str]]) -> pl.DataFrame:
    """Compares the reference with every other row, in every column.

    Args:
        rows: Rows of the table.
        reference: Name of the row that stands first in every pair.
        columns: ``(slice, metric)`` pairs.

    Returns:
        ``row, against, slice, metric, difference`` (row minus against, in the metric's own unit), ``low, high`` (95%),
        ``p, p_holm, effect_size`` (Cohen's d_z over users), ``n`` (targets, or baskets for basket metrics), ``seeds``
        (that both have), ``seed_low, seed_high`` (the smallest and the largest difference of one seed), and ``better``:
        the better row if ``p_holm`` is below 0.05 and all seeds have the same sign, else null.

    Raises:
        ReportError: If the reference is not among the rows.
    """
    by_name = {row.name: row for row in rows}
    if reference not in by_name:
        raise ReportError(f"the reference {reference!r} has no results; rows with results: {', '.join(by_name)}.")
    first, others = by_name[reference], [row for row in rows if row.name != reference]
    bootstrap = enough_replicates(len(others) * len(columns))
    found = []
    for slice_name, metric in columns:  # columns outermost: one slice's resamples are drawn once for all rows
        for other in others:
            result = compare(*same_seeds(first, other), slice_name, metric, bootstrap)
            found.append(_record(first, other, slice_name, metric, result))
    for record, p_holm in zip(found, holm([record["p"] for record in found]), strict=True):
        record["p_holm"] = float(p_holm)
        record["better"] = _better(record) if record.pop("seeds_agree") else None
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
        "effect_size": result.effect_size,
        "n": result.entries,
        "seeds": min(result.seeds) if not other.is_baseline else max(result.seeds),
        "seed_low": min(result.seed_differences),
        "seed_high": max(result.seed_differences),
        "seeds_agree": result.seeds_agree,
    }


def _better(record: dict[str, Any]) -> str | None:
    if record["p_holm"] >= SIGNIFICANCE:
        return None
    gain = record["difference"] * (-1 if record["metric"] in LOWER_IS_BETTER else 1)
    return record["row"] if gain > 0 else record["against"]


def comparisons_markdown(table: pl.DataFrame) -> str:
    """Returns a Markdown table with one comparison per line."""
    numbers = ["difference", "95% interval", "p", "p (Holm)", "effect size", "n", "seeds", "by seed"]
    head = ["pair", "slice", "metric", *numbers, "better"]
    body = [
        [
            f"{line['row']} - {line['against']}", line["slice"], line["metric"], f"{line['difference']:+.4f}",
            f"{line['low']:+.4f} … {line['high']:+.4f}", f"{line['p']:.4f}", f"{line['p_holm']:.4f}",
            "" if isnan(line["effect_size"]) else f"{line['effect_size']:+.3f}", f"{line['n']:,}", str(line["seeds"]),
            f"{line['seed_low']:+.4f} … {line['seed_high']:+.4f}", line["better"] or "",
        ]
        for line in table.iter_rows(named=True)
    ]  # fmt: skip
    lower = ", ".join(LOWER_IS_BETTER)
    return (
        f"# Comparisons\n\nDifference of means, first row minus second; for {lower} a negative difference is a gain. "
        f"Paired bootstrap over users, seeds averaged; Holm over all {table.height} lines; effect size is Cohen's d_z "
        "over users; by seed: the smallest and the largest difference of one seed. A row is better if p (Holm) is "
        f"below {SIGNIFICANCE} and all seeds agree on the sign.\n\n{pipe_table(head, body, words=3)}\n"
    )
