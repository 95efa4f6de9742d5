"""Sums by user of every row of a study, in one small file: ``per_user.parquet``.

With it others test a row of their own against these rows, on the same users and targets, without training them. The
file has one line per user:

- ``user`` (int32): number of the user in the prepared log, the same for every log of one protocol fingerprint;
- ``SLICE/entries_1``, ``SLICE/entries_2``, ... (int32): targets or baskets of the user, null where there is none;
- ``ROW/SLICE/METRIC`` (float32): sum of the metric over these entries, averaged over seeds.

The key ``seasonrec_per_user`` of the file's metadata is JSON: ``version``, ``study``, ``fingerprint``, ``part``, and
for every row its ``seeds``, whether it is ``trained`` and ``gives_probabilities``, and for every column its
``entries``, the ``seed_values`` (mean of each seed) and ``by_user`` (see
:class:`~seasonrec.evaluation.statistics.measured.Measured`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from seasonrec.atomic import writing
from seasonrec.digests import check
from seasonrec.evaluation.statistics.measured import Measured
from seasonrec.report.errors import ReportError
from seasonrec.report.rows import Column, KeptRow, Row
from seasonrec.report.selection import AA_ROW, Selection

FILE = "per_user.parquet"
KEY = "seasonrec_per_user"
VERSION = 1


class KeptStudy(NamedTuple):
    """Rows of another study.

    Args:
        name: Name of the study.
        fingerprint: Fingerprint of its protocol.
        part: Evaluated part of the log.
        rows: Its trained rows.
    """

    name: str
    fingerprint: str
    part: str
    rows: tuple[Row, ...]


def write_sums(path: Path, study: str, rows: Sequence[Row], columns: Sequence[Column]) -> Path:
    """Writes the sums by user of every row that has results.

    Args:
        path: The file.
        study: Name of the study.
        rows: Rows of the report.
        columns: ``(slice, metric)`` pairs.
    """
    with_results = [row for row in rows if row.runs]
    measured = {(row.name, column): row.measure(*column) for row in with_results for column in columns}
    table, numbers = _table(measured)
    kept = {
        row.name: {
            "seeds": row.seeds,
            "trained": not row.is_baseline,
            "gives_probabilities": row.gives_probabilities,
            "columns": numbers[row.name],
        }
        for row in with_results
    }
    first = with_results[0].runs[0]
    head = {"version": VERSION, "study": study, "fingerprint": first.fingerprint, "part": first.part, "rows": kept}
    with writing(path) as temporary:
        table.write_parquet(temporary, compression="zstd", compression_level=19, metadata={KEY: json.dumps(head)})
    return path


def _table(measured: Mapping[tuple[str, Column], Measured]) -> tuple[pl.DataFrame, dict[str, dict[str, object]]]:
    """Returns the table of the file, and the numbers of every row and column that go to its metadata."""
    users = np.unique(np.concatenate([one.users for one in measured.values()]))
    table = {"user": pl.Series(users, dtype=pl.Int32)}
    numbers: dict[str, dict[str, object]] = {name: {} for name, _ in measured}
    entries: dict[tuple[str, bytes], str] = {}
    for (name, column), one in measured.items():
        kind = (column[0], one.users.tobytes() + one.counts.tobytes())
        if kind not in entries:
            entries[kind] = f"{column[0]}/entries_{1 + sum(known == column[0] for known, _ in entries)}"
            table[entries[kind]] = _placed(users, one, one.counts, pl.Int32())
        table[f"{name}/{_key(column)}"] = _placed(users, one, one.sums, pl.Float32())
        numbers[name][_key(column)] = {"entries": entries[kind], "seed_values": one.seed_values, "by_user": one.by_user}
    return pl.DataFrame(table), numbers


def read_sums(path: Path) -> KeptStudy:
    """Reads the trained rows of a file that :func:`write_sums` wrote.

    Raises:
        ReportError: If the file is absent, damaged, or something else.
    """
    if not path.is_file():
        raise ReportError(f"{path}: no such file; give the {FILE} of a study's report.")
    check(path, "write it again with seasonrec report")
    try:
        head = json.loads(pl.read_parquet_metadata(path)[KEY])
        if head["version"] != VERSION:
            raise ReportError(f"{path} has version {head['version']} and this code reads {VERSION}; write it again.")
        frame = pl.read_parquet(path)
        rows = [_row(frame, name, one, head) for name, one in head["rows"].items() if one["trained"]]
        return KeptStudy(str(head["study"]), str(head["fingerprint"]), str(head["part"]), tuple(rows))
    except (pl.exceptions.PolarsError, OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, ReportError):
            raise
        told = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        raise ReportError(
            f"{path} is damaged or no {FILE} of a study ({told}); write it again with seasonrec report."
        ) from error


def with_kept_rows(rows: Sequence[Row], selection: Selection, path: Path) -> tuple[list[Row], Selection]:
    """Returns the rows of a report with those of another study's file behind them, and a selection that both can show.

    The further rows are named ``STUDY/ROW``. The A/A row of the other study, and columns that it lacks, are left out.

    Args:
        rows: Rows of the report, at least one.
        selection: Its selection.
        path: The other study's file.

    Raises:
        ReportError: If the file cannot be read, has another protocol, or shares no column with the report.
    """
    study, own = read_sums(path), rows[0].runs[0]
    if (study.fingerprint, study.part) != (own.fingerprint, own.part):
        raise ReportError(
            f"{path} has fingerprint {study.fingerprint} and part {study.part}, and this study has {own.fingerprint} "
            f"and {own.part}; run one of them again on the same data, split and protocol."
        )
    kept = [row for row in study.rows if row.name.rpartition("/")[2] != AA_ROW]
    if not kept:
        raise ReportError(
            f"{path} has no trained row, so that there is nothing to compare with; give the file of a study with one."
        )
    known = {column for row in kept if row.kept for column in row.kept.columns}

    def shared(slices: Sequence[str], metrics: Sequence[str]) -> tuple[str, ...]:
        return tuple(name for name in slices if all((name, metric) in known for metric in metrics))

    chosen = shared(selection.slices, selection.metrics)
    if not chosen:
        told = ", ".join(sorted({name for name, _ in known}))
        raise ReportError(
            f"{path} has no slice of this report with all of its metrics {', '.join(selection.metrics)}; its slices: "
            f"{told}. Give both studies a common slice and the same metrics."
        )
    effects = shared(selection.effect_slices, [selection.figure_metric])
    further = tuple(metric for metric in selection.first_metrics if (chosen[0], metric) in known)
    return [*rows, *kept], replace(selection, slices=chosen, effect_slices=effects, first_metrics=further)


def _row(frame: pl.DataFrame, name: str, entry: Mapping[str, Any], head: Mapping[str, Any]) -> Row:
    shown, columns = f"{head['study']}/{name}", {}
    for key, numbers in entry["columns"].items():
        slice_name, metric = key.split("/")
        columns[slice_name, metric] = replace(_measured(frame, f"{name}/{key}", numbers), name=shown)
    kept = KeptRow(tuple(int(seed) for seed in entry["seeds"]), str(head["fingerprint"]), columns)
    return Row(shown, False, (), gives_probabilities=bool(entry["gives_probabilities"]), kept=kept)


def _measured(frame: pl.DataFrame, column: str, numbers: Mapping[str, Any]) -> Measured:
    own = frame.select("user", count=str(numbers["entries"]), sums=column).drop_nulls("count")
    if own["sums"].null_count():
        raise ValueError(f"sums are missing in {column}")
    one = Measured(
        own["user"].to_numpy().astype(np.int64),
        own["sums"].to_numpy().astype(np.float64),
        own["count"].to_numpy().astype(np.int64),
        tuple(float(value) for value in numbers["seed_values"]),
        float(numbers["by_user"]),
    )
    if len(one.users) and not np.isclose(one.value, np.mean(one.seed_values), rtol=1e-4):
        raise ValueError(f"the sums in {column} do not have the mean of the seeds")
    return one


def _placed(users: np.ndarray[Any, Any], one: Measured, values: np.ndarray[Any, Any], dtype: pl.DataType) -> pl.Series:
    """Returns values at the places of their users, and null elsewhere."""
    found = np.full(len(users), np.nan)
    found[np.searchsorted(users, one.users)] = values
    return pl.Series(found, nan_to_null=True).cast(dtype)


def _key(column: Column) -> str:
    return "/".join(column)
