"""Ranks items for users on a date, from a run's folder alone."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from rich.table import Table as ShownTable

from seasonrec.config import build
from seasonrec.data.datasets.table import Table
from seasonrec.data.extend import with_events, with_users
from seasonrec.data.files.reading import check_file
from seasonrec.data.log import EventLog
from seasonrec.data.spec import SECONDS_PER_DAY
from seasonrec.data.tables import RuleReport
from seasonrec.data.user_ids import read_user_ids
from seasonrec.evaluation.protocol import Protocol
from seasonrec.evaluation.ranking.lists import TopLists, top_lists
from seasonrec.evaluation.ranking.scorers import ModelScorer
from seasonrec.runs.finished import open_history_of, read_config, trained_model
from seasonrec.runs.opening import batch_builder

COLUMNS = ("user_id", "rank", "item_id", "score")
SHOWN_USERS = 3
SHOWN_TEXT = 60
"""Characters of an item's text that are printed."""


class RequestError(ValueError):
    """A request that cannot be answered; the message says what to ask instead."""


def run(options: dict[str, Any]) -> None:
    """Writes the best items of users on a date: ``seasonrec recommend checkpoint=DIR users=all date=2017-12-20 ...``.

    The request is made at the local midnight that begins ``date``, or at the second where it is a date-time; the
    history is everything before it, less the protocol's horizon.

    Args:
        options: The keys of :class:`~seasonrec.config.schema.RecommendConfig`.

    Raises:
        ValueError: If an option, the run's folder or a file cannot be used.
    """
    checkpoint, output = Path(options["checkpoint"]), Path(options["output"])
    config = read_config(checkpoint)
    asked = None if options["users"] == "all" else read_user_ids(Path(options["users"]))
    _require_writable(output)
    data = open_history_of(checkpoint, config)
    _require_top_k(options["top_k"], data.log)
    time_s = request_time_s(options["date"], data.log, data.protocol)
    log = data.log if options["events"] is None else _with_newer(data.log, config["data"], Path(options["events"]))
    log, users = _numbered(log, asked)
    _tell_gap(log, time_s - data.protocol.horizon_s)
    model = trained_model(checkpoint, config, data)
    scorer = ModelScorer(config["name"], model, batch_builder(model, log, data.spec, config["max_seq_len"]))
    chunk = int(config["loader"]["evaluation_batch_size"])
    lists = top_lists(scorer, log, data.protocol, users, time_s, options["top_k"], chunk)
    _write(output, _frames(lists, len(users)), log, options["top_k"])


def request_time_s(date: str, log: EventLog, protocol: Protocol) -> int:
    """The second of the request: seconds since 1970-01-01 UTC.

    Args:
        date: A day or a date-time in ISO 8601; local to the dataset's zone where it carries no offset.
        log: The prepared log.
        protocol: Its horizon is taken off before the log is looked at.

    Raises:
        RequestError: If the date cannot be read, or nothing is known before it.
    """
    try:
        moment = datetime.fromisoformat(date)
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(log.timezone))
        time_s = math.floor(zoned.timestamp())
    except (ValueError, OverflowError) as error:
        raise RequestError(f"date must be a day such as 2017-12-20 or an ISO date-time, got {date!r}.") from error
    first_s = int(log.basket_times_s.min())
    if time_s - protocol.horizon_s <= first_s:
        raise RequestError(
            f"date must lie after the first event known by then, at {_local(first_s, log)}, got {_local(time_s, log)} "
            f"with a horizon of {protocol.horizon_days:g} days; choose a later date."
        )
    return time_s


def _local(time_s: int, log: EventLog) -> str:
    return f"{datetime.fromtimestamp(time_s, UTC).astimezone(ZoneInfo(log.timezone)):%Y-%m-%d %H:%M:%S %Z}"


def _require_writable(output: Path) -> None:
    """Refuses, before the work, an output that could not be written after it."""
    try:
        if output.is_dir():
            raise IsADirectoryError(21, "is a folder")
        with _partial(output).open("w", encoding="utf-8"):
            pass
        _partial(output).unlink()
    except OSError as error:
        raise RequestError(f"output must be a file that can be written, got {output} ({error.strerror}).") from error


def _partial(output: Path) -> Path:
    """The name under which the output is written until it is whole."""
    output.parent.mkdir(parents=True, exist_ok=True)
    return output.with_name(f".{output.name}.{os.getpid()}")


def _require_top_k(top_k: int, log: EventLog) -> None:
    if not 1 <= top_k <= log.num_items:
        raise RequestError(f"top_k must lie in 1..{log.num_items}, the items of the catalogue, got {top_k}.")


def _with_newer(log: EventLog, node: dict[str, Any], path: Path) -> EventLog:
    """The log with the events of a file in the form of the run's own data."""
    check_file(path, "events")
    source = build(node)
    if source.func is Table:
        own = {"events": str(path), "items": None, "users": None, "text_column": None, "category_column": None}
        table = Table(**{**source.keywords, **own})
    else:
        table = Table(str(path), timezone=log.timezone)
    report, notes = RuleReport(), list[str]()
    log, added = with_events(log, table.newer_events(report, notes))
    lines = [f"{rule.rows:>12,} rows: {rule.name}" for rule in report.rules if rule.rows]
    lines += [f"{getattr(added, field.name):>12,} {_WORDS[field.name]}" for field in fields(added)]
    print("\n".join([f"newer events from {path}", *(f"  note: {note}" for note in notes), *lines]), flush=True)
    return log


_WORDS = {
    "new": "events merged into the history",
    "known": "events known already, or given twice: merged",
    "strangers": "events of items that the model does not know: left out",
    "new_users": "users new to the log",
}


def _numbered(log: EventLog, asked: list[str] | None) -> tuple[EventLog, NDArray[np.int64]]:
    """The log, with strangers among those asked for as users without events; and the numbers of the asked."""
    if asked is None:
        return log, np.arange(log.num_users)
    longer = with_users(log, asked)
    strangers = longer.users["user_id"][log.num_users :]
    if len(strangers):
        print(
            f"note: {len(strangers):,} of {len(asked):,} users have no event in the log, such as {strangers[0]!r}; "
            "they get the list of a user without history",
            flush=True,
        )
    table = longer.users.select("user_id").with_row_index("number")
    numbers = pl.DataFrame({"user_id": asked}).join(table, on="user_id", how="left", maintain_order="left")["number"]
    return longer, numbers.to_numpy().astype(np.int64)


def _tell_gap(log: EventLog, known_until_s: int) -> None:
    days = (known_until_s - int(log.basket_times_s.max())) / SECONDS_PER_DAY
    if days > 1:
        print(f"note: the request is {days:.0f} days after the last event; give newer ones by events=FILE", flush=True)


def _frames(lists: Iterator[TopLists], num_users: int) -> Iterator[pl.DataFrame]:
    """``user, rank, item`` and the ``score``, log probability among candidates; a row a candidate. Shows a bar."""
    with Progress() as progress:
        task = progress.add_task(f"recommend to {num_users:,} users", total=num_users)
        for part in lists:
            top_k = part.items.shape[1]
            rows = {
                "user": np.repeat(part.users, top_k),
                "rank": np.tile(np.arange(1, top_k + 1), len(part.users)),
                "item": part.items.ravel(),
                "score": part.scores.ravel(),
            }
            yield pl.DataFrame(rows).filter(pl.col("score") > -math.inf)
            progress.advance(task, len(part.users))


def _write(output: Path, lists: Iterator[pl.DataFrame], log: EventLog, top_k: int) -> None:
    partial = _partial(output)
    written, first = 0, pl.DataFrame()
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            file.write(",".join(COLUMNS) + "\n")
            for frame in lists:
                first = frame if first.is_empty() else first
                written += _write_rows(file, frame, log)
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)
    _show(first, log, top_k)
    print(f"{written:,} rows in {output}", flush=True)


def _write_rows(file: IO[str], frame: pl.DataFrame, log: EventLog) -> int:
    rows = frame.with_columns(user_id=log.users["user_id"][frame["user"]], item_id=log.items["item_id"][frame["item"]])
    file.write(rows.select(COLUMNS).write_csv(include_header=False))
    return len(rows)


def _show(frame: pl.DataFrame, log: EventLog, top_k: int) -> None:
    """Prints the lists of the first users."""
    shown = frame.head(SHOWN_USERS * top_k)
    table = ShownTable(title="the first users; score: natural logarithm of the probability")
    for column in ("user", "rank", "item", "text", "score"):
        table.add_column(column, justify="right" if column in ("rank", "score") else "left")
    for user, rank, item, score in shown.select("user", "rank", "item", "score").iter_rows():
        item_id, text = log.items.row(item, named=False)[:2]
        name = log.users["user_id"][user] if rank == 1 else ""
        table.add_row(name, str(rank), item_id, (text or "")[:SHOWN_TEXT], f"{score:.4f}", end_section=rank == top_k)
    Console().print(table)
