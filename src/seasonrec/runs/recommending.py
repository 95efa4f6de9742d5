"""Lists and scores of a finished run for any users, date and items."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from rich.progress import Progress
from torch import Tensor

from seasonrec.batches.horizon import Horizon
from seasonrec.batches.requests import Requests
from seasonrec.config import build
from seasonrec.config.schema import Component
from seasonrec.data.datasets.table import Table
from seasonrec.data.extend import with_events, with_users
from seasonrec.data.files.reading import check_file
from seasonrec.data.log import EventLog
from seasonrec.data.spec import SECONDS_PER_DAY
from seasonrec.data.tables import RuleReport
from seasonrec.errors import UserError
from seasonrec.evaluation.ranking.candidates import CandidateFilter
from seasonrec.evaluation.ranking.evaluator import requests_at_once
from seasonrec.evaluation.ranking.lists import TopLists, top_lists
from seasonrec.evaluation.ranking.ranks import log_partition
from seasonrec.evaluation.ranking.scorers import ModelScorer
from seasonrec.runs.id_form import spelled_as_in
from seasonrec.runs.opening import batch_builder
from seasonrec.runs.run import Run


class RequestError(UserError):
    """Invalid request; the message names a remedy."""


class Scores(NamedTuple):
    """Scores of users for items at one time.

    Args:
        values: ``(N, C)`` float32, natural logarithm of each item's probability among the candidates; ``-inf`` for
            an item that does not exist at the time.
        user_ids: ``N`` ids.
        item_ids: ``C`` ids.
    """

    values: Tensor
    user_ids: list[str]
    item_ids: list[str]


@dataclass(frozen=True)
class Question:
    """Requests of some users at one time.

    Args:
        log: The run's log with added newer events and users.
        users: ``(N,)`` user numbers in ``log``.
        time_s: Second of the request, since 1970-01-01 UTC.
    """

    log: EventLog
    users: NDArray[np.int64]
    time_s: int


def questions(
    run: Run, users: Sequence[str] | None, at: str | date | Sequence[str | date], events: Path | None = None
) -> dict[str, Question]:
    """Returns the checked requests of each date by its text, without reading a model.

    Args:
        run: An opened run.
        users: Ids; None for every user of the log. A user without events gets the list of an empty history.
        at: Day or date-time, also as text in ISO 8601, or several; a day means the local midnight that begins it.
        events: File with newer events in the form of the run's own data.

    Raises:
        RequestError: If the users are no list of ids, or a date is missing, twice there, unreadable, or lies before
            the first events.
    """
    dates = [at] if isinstance(at, str | date) else list(at)
    if not dates or len({str(one) for one in dates}) < len(dates):
        raise RequestError(f"date must be a date or distinct ones, got {[str(one) for one in dates]}.")
    require_ids(users, "users")
    log = run.data.log if events is None else _with_newer(run.data.log, run.config.data, events)
    times_s = {str(one): request_time_s(str(one), run.data.log, run.data.horizon) for one in dates}
    log, numbers = _numbered(log, None if users is None else spelled_as_in(users, run))
    _tell_gap(log, int(run.data.horizon.known_until_s(np.array([max(times_s.values())]))[0]))
    return {text: Question(log, numbers, time_s) for text, time_s in times_s.items()}


def recommended(
    run: Run, asked: Question, top_k: int, progress: bool = True, exclude_own: bool = False
) -> Iterator[pl.DataFrame]:
    """Yields tables ``user_id, rank, item_id, text, score`` of several users each, with a row per listed item.

    Args:
        run: A run with its trained model.
        asked: The requests.
        top_k: Items per list.
        progress: Whether to show a bar.
        exclude_own: Whether to list no item that the user has bought before.
    """
    chunk = int(run.config.loader["evaluation_batch_size"])
    scorer = _scorer(run, asked.log)
    requests = Requests.of_users(asked.users, np.full(len(asked.users), asked.time_s), run.data.horizon)
    lists = top_lists(scorer, asked.log, run.data.protocol, requests, top_k, chunk, exclude_own=exclude_own)
    items = asked.log.items.select("item_id", "text")
    for frame in _frames(lists, len(asked.users), progress):
        named = items[frame["item"]]
        user_id = asked.log.users["user_id"][frame["user"]]
        yield frame.select(user_id.alias("user_id"), "rank", named["item_id"], named["text"], "score")


def scored(run: Run, asked: Question, items: Sequence[str] | None) -> Scores:
    """Returns the scores of requests for some items, or for all.

    Raises:
        RequestError: If the items are no list of ids, or one is not in the catalogue.
    """
    require_ids(items, "items")
    log = asked.log
    requests = Requests.of_users(asked.users, np.full(len(asked.users), asked.time_s), run.data.horizon)
    numbers = None if items is None else _numbers(log.items["item_id"], list(items), "items")
    chosen = slice(None) if numbers is None else torch.from_numpy(numbers)
    rows = [values[:, chosen] for values in _log_probabilities(run, log, requests)]
    ids = log.items["item_id"] if numbers is None else log.items["item_id"][numbers]
    return Scores(torch.cat(rows), log.users["user_id"][asked.users].to_list(), ids.to_list())


def scored_triples(run: Run, triples: pl.DataFrame) -> pl.DataFrame:
    """Returns ``(user_id, item_id, time)`` rows with a column ``score``, in the given order.

    Args:
        run: A run with its trained model.
        triples: ``user_id``, ``item_id`` and ``time``: days or date-times in ISO 8601 as text.

    Raises:
        RequestError: If a column is missing, an item is unknown, or a time cannot be read.
    """
    missing = [name for name in ("user_id", "item_id", "time") if name not in triples.columns]
    if missing:
        raise RequestError(f"triples must have the columns user_id, item_id and time, got {triples.columns}.")
    log, horizon = run.data.log, run.data.horizon
    log, users = _numbered(log, spelled_as_in(triples["user_id"].cast(pl.String), run))
    items = _numbers(log.items["item_id"], triples["item_id"].cast(pl.String).to_list(), "triples")
    texts = triples["time"].cast(pl.String)
    seconds = {text: request_time_s(text, log, horizon) for text in texts.unique().to_list()}
    requests = Requests.of_users(users, np.array([seconds[text] for text in texts.to_list()]), horizon)
    scores, start = [np.empty(0, dtype=np.float32)], 0
    for values in _log_probabilities(run, log, requests):
        rows = np.arange(len(values))
        scores.append(values.numpy()[rows, items[start + rows]])
        start += len(values)
    return triples.with_columns(pl.Series("score", np.concatenate(scores), dtype=pl.Float32))


def _log_probabilities(run: Run, log: EventLog, requests: Requests) -> Iterator[Tensor]:
    """Yields ``(n, V)`` logarithms of probabilities among the candidates for chunks of requests, on the CPU."""
    scorer = _scorer(run, log)
    candidates = CandidateFilter(run.data.protocol.candidates, log)
    chunk = requests_at_once(log.num_items, int(run.config.loader["evaluation_batch_size"]))
    with torch.no_grad(), scorer.during_pass():
        for start in range(0, len(requests), chunk):
            some = requests[slice(start, start + chunk)]
            logits = candidates(scorer.name, scorer.score(some), some)
            yield (logits - log_partition(logits)[:, None]).cpu()


def _scorer(run: Run, log: EventLog) -> ModelScorer:
    builder = batch_builder(run.model, replace(run.data, log=log), run.config.max_seq_len)
    return ModelScorer(run.config.name, run.model, builder)


def _numbers(known: pl.Series, ids: list[str], argument: str) -> NDArray[np.int64]:
    table = pl.DataFrame({"id": known}).with_row_index("number")
    joined = pl.DataFrame({"id": ids}, schema={"id": pl.String}).join(table, "id", "left", maintain_order="left")
    if joined["number"].null_count():
        unknown = joined.filter(pl.col("number").is_null())["id"][0]
        raise RequestError(f"{argument} must be in the catalogue, got {unknown!r}; run.items lists the ids.")
    return joined["number"].to_numpy().astype(np.int64)


def request_time_s(date: str, log: EventLog, horizon: Horizon) -> int:
    """Returns the second of the request: seconds since 1970-01-01 UTC.

    Args:
        date: A day or a date-time in ISO 8601; local to the dataset's time zone if it has no offset.
        log: The prepared log.
        horizon: End of the history of each request.

    Raises:
        RequestError: If the date cannot be read or lies before the first events.
    """
    try:
        moment = datetime.fromisoformat(date)
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(log.timezone))
        time_s = math.floor(zoned.timestamp())
    except (ValueError, OverflowError) as error:
        raise RequestError(f"date must be a day such as 2017-12-20 or an ISO date-time, got {date!r}.") from error
    first_s = int(log.basket_times_s.min())
    known_until_s = int(horizon.known_until_s(np.array([time_s]))[0])
    if known_until_s <= first_s:
        raise RequestError(
            f"date must lie after the first event known by then, at {_local(first_s, log)}, got {_local(time_s, log)} "
            f"with a history until {_local(known_until_s, log)}; choose a later date."
        )
    return time_s


def _local(time_s: int, log: EventLog) -> str:
    return f"{datetime.fromtimestamp(time_s, UTC).astimezone(ZoneInfo(log.timezone)):%Y-%m-%d %H:%M:%S %Z}"


def require_ids(ids: Sequence[str] | None, argument: str) -> None:
    """Checks that an argument is a list of at least one id, or None."""
    if ids is not None and (isinstance(ids, str) or not len(ids) or not all(isinstance(one, str) for one in ids)):
        raise RequestError(f"{argument} must be a list of ids such as ['17', '23'], or None for all, got {ids!r:.60}.")


def require_top_k(top_k: int, log: EventLog) -> None:
    """Checks that a list is not longer than the catalogue."""
    if not 1 <= top_k <= log.num_items:
        raise RequestError(f"top_k must lie in 1..{log.num_items}, the items of the catalogue, got {top_k}.")


def _with_newer(log: EventLog, node: Component, path: Path) -> EventLog:
    """Returns the log with the events of a file in the form of the run's own data."""
    check_file(path, "events")
    source = build(node)
    table = source().of_newer(str(path)) if source.func is Table else Table(str(path), timezone=log.timezone)
    report, notes = RuleReport(), list[str]()
    log, added = with_events(log, table.newer_events(report, notes))
    lines = [f"{rule.rows:>12,} rows: {rule.name}" for rule in report.rules if rule.rows]
    lines += [f"{getattr(added, field.name):>12,} {_WORDS[field.name]}" for field in fields(added)]
    print("\n".join([f"newer events from {path}", *(f"  note: {note}" for note in notes), *lines]), flush=True)
    return log


_WORDS = {
    "new": "events merged into the history",
    "known": "events known already, or given twice: merged",
    "unknown_items": "events of items that the model does not know: left out",
    "new_users": "users new to the log",
}


def _numbered(log: EventLog, asked: list[str] | None) -> tuple[EventLog, NDArray[np.int64]]:
    """Returns the log with unknown users added as users without events, and the numbers of the requested users."""
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
    return longer, _numbers(longer.users["user_id"], asked, "users")


def _tell_gap(log: EventLog, known_until_s: int) -> None:
    days = (known_until_s - int(log.basket_times_s.max())) / SECONDS_PER_DAY
    if days > 1:
        print(f"note: the request is {days:.0f} days after the last event; give newer ones by events=FILE", flush=True)


def _frames(lists: Iterator[TopLists], num_users: int, progress: bool) -> Iterator[pl.DataFrame]:
    """Yields tables ``user, rank, item, score`` with a row per listed item, and shows the progress."""
    with Progress(disable=not progress) as bar:
        task = bar.add_task(f"recommend to {num_users:,} users", total=num_users)
        for stretch in lists:
            top_k = stretch.items.shape[1]
            rows = {
                "user": np.repeat(stretch.users, top_k),
                "rank": np.tile(np.arange(1, top_k + 1), len(stretch.users)),
                "item": stretch.items.ravel(),
                "score": stretch.scores.ravel(),
            }
            yield pl.DataFrame(rows).filter(pl.col("score") > -math.inf)
            bar.advance(task, len(stretch.users))
