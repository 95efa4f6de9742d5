"""Rows of a study with rolling origins: the targets of all origins in one row, and each origin by itself.

A row has one model for each origin and seed. Its targets at all origins are pooled, so that a user who buys after
several origins is one user of the bootstrap, and a seed is one training of all origins.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from seasonrec.evaluation.results.store import RunResults
from seasonrec.report.costs import read_cost
from seasonrec.report.interference import read_interference
from seasonrec.report.markdown import pipe_table
from seasonrec.report.render import column_title
from seasonrec.report.rows import Row, read_row
from seasonrec.report.selection import Selection
from seasonrec.report.tables import SPREAD, digits, long_table, spread_words


def read_pooled(name: str, is_baseline: bool, folders: Mapping[str, Sequence[Path]]) -> Row | None:
    """Reads a row from its run folders by origin, one per seed; None if no seed has results at every origin.

    A seed counts only if it has results at every origin. Costs are means over all of its trainings, and the metrics of
    further tasks are means over the origins.

    Raises:
        ReportError: If a results file is damaged.
    """
    rows = {origin: read_row(name, is_baseline, own) for origin, own in folders.items() if own}
    if len(rows) < len(folders):
        return None
    seeds = set.intersection(*(set(row.seeds) for row in rows.values()))
    if not seeds:
        return None
    kept = {origin: _of_seeds(row, seeds) for origin, row in rows.items()}
    every = [folder for own in folders.values() for folder in own]
    runs = tuple(_joined(runs) for runs in zip(*(row.runs for row in kept.values()), strict=True))
    tasks = [row.tasks for row in kept.values() if row.tasks is not None]
    return Row(
        name,
        is_baseline,
        runs,
        read_cost(every),
        read_interference(every),
        _mean_tasks(tasks) if tasks else None,
        gives_probabilities=all(row.gives_probabilities for row in kept.values()),
        origins=kept,
    )


def _of_seeds(row: Row, seeds: set[int]) -> Row:
    return replace(row, runs=tuple(run for run in row.runs if run.seed in seeds))


def _joined(runs: Sequence[RunResults]) -> RunResults:
    """Returns the results of one seed at all origins as one; columns that an origin lacks are left out."""
    columns = [name for name in runs[0].frame.columns if all(name in run.frame.columns for run in runs)]
    frame = pl.concat([run.frame.select(columns) for run in runs])
    prints = ",".join(run.fingerprint for run in runs)
    return replace(runs[0], frame=frame, fingerprint=hashlib.sha256(prints.encode()).hexdigest()[:16])


def _mean_tasks(tables: Sequence[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(tables).group_by("seed", "task", "metric", maintain_order=True).agg(pl.col("value").mean())


def origin_table(rows: Sequence[Row], selection: Selection) -> pl.DataFrame:
    """Returns the table of each origin in long form, with its day in the first column ``origin``.

    A slice or metric that an origin lacks, for example Christmas in June, is left out there.

    Args:
        rows: Rows of the report, one of which pools several origins; those of other studies are left out.
        selection: Columns of the report.
    """
    own = [row for row in rows if row.origins]
    tables = []
    for origin in own[0].origins:
        here = [row.origins[origin] for row in own]
        columns = [column for column in selection.columns if all(_has(row, *column) for row in here)]
        tables.append(long_table(here, columns).select(pl.lit(origin).alias("origin"), pl.all()))
    return pl.concat(tables)


def _has(row: Row, slice_name: str, metric: str) -> bool:
    try:
        row.runs[0].events.values(slice_name, metric)
    except KeyError:
        return False
    return True


def origins_markdown(table: pl.DataFrame) -> str:
    """Returns a Markdown table of rows and origins for each column of the report."""
    found = {tuple(line[key] for key in ("origin", "row", "slice", "metric")): line for line in table.to_dicts()}
    origins, rows = (table[name].unique(maintain_order=True).to_list() for name in ("origin", "row"))
    columns = table.select("slice", "metric").unique(maintain_order=True).rows()
    parts = [f"## {column_title(column)}\n\n{_of_column(column, origins, rows, found)}" for column in columns]
    head = (
        "Each row at each origin: trained on what lies before it, and tested until the next. These numbers are not "
        f"compared here; `comparisons.md` compares the targets of all origins together. {SPREAD}"
    )
    return "\n\n".join(["# Rolling origins", head, *parts]) + "\n"


def _of_column(
    column: tuple[str, str], origins: Sequence[str], rows: Sequence[str], found: Mapping[tuple[str, ...], Any]
) -> str:
    counts = (found.get((origin, rows[0], *column)) for origin in origins)
    body = [["*targets*", *("" if line is None else f"*{line['n']:,}*" for line in counts)]]
    body += [[row, *(_shown(found.get((origin, row, *column))) for origin in origins)] for row in rows]
    return pipe_table(["row", *origins], body)


def _shown(line: Mapping[str, Any] | None) -> str:
    if line is None or not line["n"]:
        return ""
    decimals = digits(line["metric"])
    half = (line["high"] - line["low"]) / 2
    return f"{line['value']:.{decimals}f} {spread_words(half, line['seed_sd'], decimals)}".rstrip()
