"""The table of the further tasks, with the metrics of each row's heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from seasonrec.digests import is_expected, read_json
from seasonrec.evaluation.results.store import START
from seasonrec.report.markdown import pipe_table

SHOWN = {
    "auc": "AUC ↑",
    "average_precision": "AP ↑",
    "wape": "WAPE ↓",
    "rmsle": "RMSLE ↓",
    "pinball": "pinball ↓",
    "concordance": "concordance ↑",
    "recall@10": "recall@10 ↑",
    "ndcg@10": "NDCG@10 ↑",
}
"""Metrics of the Markdown table with their titles; the CSV file has all metrics."""

SCHEMA = {"seed": pl.Int64, "task": pl.String, "metric": pl.String, "value": pl.Float64}


def read_tasks(folders: Sequence[Path]) -> pl.DataFrame | None:
    """Returns the metrics of a row's further tasks, or None: ``seed, task, metric, value``, one number per line."""
    lines = []
    for folder in folders:
        path = folder / "metrics.json"
        if not is_expected(path):
            continue
        record = read_json(path, f"write it again with seasonrec evaluate checkpoint={folder}, or run the cell again")
        for task, metrics in record.get("tasks", {}).items():
            lines += [(record["seed"], task, metric, value) for metric, value in metrics.items()]
    return pl.DataFrame(lines, schema=SCHEMA, orient="row") if lines else None


def task_table(by_row: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Returns every metric of every task over the seeds of each row.

    Args:
        by_row: From :func:`read_tasks`, by row.

    Returns:
        ``row, task, metric, value`` (mean)``, low, high`` (smallest and largest of one seed)``, seeds``.
    """
    lines = pl.concat([table.select(pl.lit(name).alias("row"), pl.all()) for name, table in by_row.items()])
    return lines.group_by("row", "task", "metric", maintain_order=True).agg(
        value=pl.col("value").mean(), low=pl.col("value").min(), high=pl.col("value").max(), seeds=pl.len()
    )


def tasks_markdown(table: pl.DataFrame) -> str:
    """Returns a Markdown table of the metrics of :data:`SHOWN`, with those of the heads' baselines in brackets."""
    found = {(line["row"], line["task"], line["metric"]): line for line in table.iter_rows(named=True)}
    tasks = table["task"].unique(maintain_order=True).to_list()
    rows = table["row"].unique(maintain_order=True).to_list()
    has = {(task, metric) for _, task, metric in found}
    columns = [(task, metric) for task in tasks for metric in SHOWN if (task, metric) in has]
    head = ["row", *(f"{task.replace('_', ' ')} {SHOWN[metric]}" for task, metric in columns)]
    body = [
        [row, *(_shown(found.get((row, task, name)), found.get((row, task, START + name))) for task, name in columns)]
        for row in rows
    ]
    return (
        "# Further tasks\n\nMeans over the seeds on the requests of the table (time series once per day, matches of "
        "users once per user). ± is half of the range over the seeds, no interval over users; there are no tests. In "
        "brackets: the same metric for the head's baseline, its prediction with its own weights at zero (from counts, "
        "or from the next item's scores). `tasks.csv` has every metric.\n\n"
        f"{pipe_table(head, body)}\n"
    )


def _shown(line: Mapping[str, float] | None, start: Mapping[str, float] | None) -> str:
    if line is None:
        return ""
    half = f" ±{(line['high'] - line['low']) / 2:.4f}" if line["seeds"] > 1 else ""
    return f"{line['value']:.4f}{half}" + (f" ({start['value']:.4f})" if start else "")
