"""Rows of a report: the results of one model or baseline, over its seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from seasonrec.evaluation.results.store import RunResults, read_results
from seasonrec.evaluation.statistics.significance import require_one_fingerprint
from seasonrec.report.costs import Cost, read_cost, read_records
from seasonrec.report.errors import ReportError
from seasonrec.report.interference import read_interference
from seasonrec.report.tasks import read_tasks


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Args:
        name: Row name, for example ``no_season``.
        is_baseline: Whether it is a baseline, in the first block of a table.
        runs: Results, one per seed, ascending by seed.
        cost: Costs of its runs; None if not recorded.
        interference: Cosines of its tasks' gradients; None if not measured.
        tasks: Metrics of its further tasks; None if it has none.
        trials: Files of its robustness trials, one per run that has them.
        wrong_dates: Files of its wrong dates, one per run that has them.
        gives_probabilities: Whether its loss gives probabilities; if False, its bits have no meaning.
    """

    name: str
    is_baseline: bool
    runs: tuple[RunResults, ...]
    cost: Cost | None = None
    interference: pl.DataFrame | None = None
    tasks: pl.DataFrame | None = None
    trials: tuple[Path, ...] = ()
    wrong_dates: tuple[Path, ...] = ()
    gives_probabilities: bool = True

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(run.seed for run in self.runs)


def read_row(name: str, is_baseline: bool, folders: Sequence[Path]) -> Row:
    """Reads a row from its run folders, one per seed.

    Raises:
        ReportError: If a folder holds no results, or a results file is damaged.
    """
    try:
        found = [read_results(folder / "results.parquet") for folder in folders]
    except (FileNotFoundError, ValueError) as error:
        raise ReportError(str(error)) from error
    light = [replace(run, frame=run.frame.drop("top_items")) for run in found]  # the widest column, and not needed here
    return Row(
        name,
        is_baseline,
        tuple(sorted(light, key=lambda run: run.seed)),
        read_cost(folders),
        read_interference(folders),
        read_tasks(folders),
        gives_probabilities=all(record.get("gives_probabilities", True) for record in read_records(folders)),
    )


def check_rows(rows: Sequence[Row], slices: Iterable[str], metrics: Iterable[str]) -> None:
    """Checks that rows are comparable and have the given slices and metrics.

    Raises:
        ReportError: If there is no row, if fingerprints differ, if targets differ under one fingerprint, or if slices
            or metrics are unknown. The message names all fingerprints, slices and metrics at fault.
    """
    if not rows:
        raise ReportError("there are no results to report; run the study first.")
    try:
        require_one_fingerprint([run for row in rows for run in row.runs])
    except ValueError as error:
        raise ReportError(str(error)) from error
    _require_same_targets(rows)
    mistakes = []
    for kind, names in (("slices", slices), ("metrics", metrics)):
        for name in names:
            try:
                rows[0].runs[0].events.values(*(("all", name) if kind == "metrics" else (name, "bits")))
            except KeyError as error:
                mistakes.append(f"  {kind}: {error.args[0]}")
    if mistakes:
        raise ReportError("the report asks for what the results do not have:\n" + "\n".join(dict.fromkeys(mistakes)))


def same_seeds(first: Row, second: Row) -> tuple[tuple[RunResults, ...], tuple[RunResults, ...]]:
    """Returns the runs of two rows on their common seeds, or all runs if one row is a baseline.

    Raises:
        ReportError: If two models share no seed.
    """
    if first.is_baseline or second.is_baseline:
        return first.runs, second.runs
    shared = set(first.seeds) & set(second.seeds)
    if not shared:
        raise ReportError(
            f"{first.name} (seeds {list(first.seeds)}) and {second.name} (seeds {list(second.seeds)}) share no seed; "
            "run one of them again."
        )
    ours, theirs = (tuple(run for run in row.runs if run.seed in shared) for row in (first, second))
    return ours, theirs


def _require_same_targets(rows: Sequence[Row]) -> None:
    first = rows[0].runs[0]
    wanted = first.frame.select("user", "basket", "items")
    for run in (run for row in rows for run in row.runs):
        if not run.frame.select(wanted.columns).equals(wanted):
            raise ReportError(
                f"{run.name} (seed {run.seed}) and {first.name} (seed {first.seed}) hold different targets "
                f"({run.frame.height} and {wanted.height} baskets) under one fingerprint {run.fingerprint}; one of the "
                "files is damaged, run its cell again."
            )
