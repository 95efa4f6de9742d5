"""Rows of a report: the results of one model or baseline, over its seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import polars as pl

from seasonrec.digests import is_expected
from seasonrec.evaluation.known_truth.kinds import TRUTH_FILE
from seasonrec.evaluation.results.store import RunResults, read_results
from seasonrec.evaluation.statistics.measured import Measured, measure, require_one_fingerprint
from seasonrec.report.costs import Cost, read_cost, read_records
from seasonrec.report.errors import ReportError
from seasonrec.report.interference import read_interference
from seasonrec.report.tasks import read_tasks

Column = tuple[str, str]
"""Slice and metric."""


@dataclass(frozen=True)
class KeptRow:
    """Numbers of a trained row of another study, from the study's file of sums by user.

    Args:
        seeds: Its seeds.
        fingerprint: Fingerprint of its protocol.
        columns: Its numbers.
    """

    seeds: tuple[int, ...]
    fingerprint: str
    columns: Mapping[Column, Measured]


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Args:
        name: Row name, for example ``no_season``.
        is_baseline: Whether it is a baseline, in the first block of a table.
        runs: Results, one per seed, ascending by seed; none for a row of another study.
        cost: Costs of its runs; None if not recorded.
        interference: Cosines of its tasks' gradients; None if not measured.
        tasks: Metrics of its further tasks; None if it has none.
        trials: Files of its robustness trials, one per run that has them.
        wrong_dates: Files of its wrong dates, one per run that has them.
        gives_probabilities: Whether its loss gives probabilities; if False, its bits have no meaning.
        known_truth: Files of its probabilities by kind of item, one per run, if the log was generated.
        kept: Sums by user of a row of another study; None for a row of this one.
        origins: The same row at each rolling origin, by its day; empty in a study with one split.
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
    known_truth: tuple[Path, ...] = ()
    kept: KeptRow | None = None
    origins: Mapping[str, Row] = field(default_factory=dict)

    @property
    def seeds(self) -> tuple[int, ...]:
        return self.kept.seeds if self.kept else tuple(run.seed for run in self.runs)

    @property
    def fingerprint(self) -> str:
        """Fingerprint of its protocol."""
        return self.kept.fingerprint if self.kept else self.runs[0].fingerprint

    def measure(self, slice_name: str, metric: str) -> Measured:
        """Returns a metric of this row in a slice, over its seeds; computed once.

        Raises:
            KeyError: If there is no such slice or metric.
        """
        if self.kept:
            return self.kept.columns[slice_name, metric]
        if (slice_name, metric) not in self._measured:
            self._measured[slice_name, metric] = measure(self.runs, slice_name, metric, trained=not self.is_baseline)
        return self._measured[slice_name, metric]

    @cached_property
    def _measured(self) -> dict[Column, Measured]:
        """Numbers computed so far, because table and comparisons need the same ones."""
        return {}


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
        known_truth=tuple(path for path in (folder / TRUTH_FILE for folder in folders) if is_expected(path)),
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
