"""``seasonrec recommend``: ranks items for users on a date, from a run's folder alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
from rich.table import Table as ShownTable

from seasonrec.atomic import check_writable, writing
from seasonrec.config.schema import RecommendConfig
from seasonrec.data.csv_text import with_formulas, without_formulas
from seasonrec.data.user_ids import check_user_file, read_user_ids
from seasonrec.disk import check_folder
from seasonrec.report.dates import write_dates
from seasonrec.runs.finished import load_models, open_finished
from seasonrec.runs.id_form import form_of_ids
from seasonrec.runs.recommending import RequestError, questions, recommended, require_top_k
from seasonrec.runs.run import Run
from seasonrec.terminal import PlainConsole

COLUMNS = ("user_id", "rank", "item_id", "score")
SHOWN_USERS = 3
SHOWN_TEXT = 60
"""Characters of an item's text that are printed."""


def run(options: RecommendConfig) -> None:
    """Writes the best items of users on a date: ``seasonrec recommend checkpoint=DIR users=all date=2017-12-20 ...``.

    The request is made at the local midnight that begins ``date``, or at the second of a date-time. The history ends
    before the request by the protocol's horizon. The lists of several dates are compared: how much they overlap, their
    categories, and the items that rise.

    Raises:
        UserError: If an option, the run's folder or a file cannot be used.
    """
    output = Path(options.output)
    if isinstance(options.users, str) and options.users != "all":
        check_user_file(Path(options.users))
    _check_writable_output(output)
    run = open_finished(Path(options.checkpoint), options.allow, from_cache=True)
    users = _users(options.users, run)
    require_top_k(options.top_k, run.data.log)
    asked = questions(run, users, options.date, None if options.events is None else Path(options.events))
    load_models(run)
    lists = {text: recommended(run, one, options.top_k, exclude_own=options.exclude_own) for text, one in asked.items()}
    if isinstance(options.date, str):
        _write(output, lists, options.top_k, COLUMNS)
        return
    _write(output, lists, options.top_k, ("date", *COLUMNS))
    _compare(output, run)


def _compare(output: Path, run: Run) -> None:
    """Writes and prints the comparison of the dates of a written file of lists."""
    texts = dict.fromkeys(("date", "user_id", "item_id"), pl.String)
    written = with_formulas(pl.read_csv(output, columns=list(texts), schema_overrides=texts))
    paths = write_dates(output.with_suffix(""), written, run.data.log.items)
    table = ShownTable(title="items that more users have on a date than on an average one")
    for column in ("date", "item", "text", "share of users", "rise"):
        table.add_column(column, justify="right" if column in ("share of users", "rise") else "left")
    rising = pl.read_csv(paths[2], schema_overrides={"date": pl.String, "item_id": pl.String, "text": pl.String})
    for text, of_date in rising.group_by("date", maintain_order=True):
        for place, line in enumerate(of_date.head(SHOWN_USERS).iter_rows(named=True)):
            shown = (line["text"] or "")[:SHOWN_TEXT]
            date = text[0] if place == 0 else ""
            table.add_row(str(date), line["item_id"], shown, f"{line['share']:.0%}", f"{line['rise']:+.0%}")
    PlainConsole().print(table)
    print(f"compared in {', '.join(path.name for path in paths)}", flush=True)


def _users(users: str | int | Sequence[str | int], run: Run) -> list[str] | None:
    """Returns the ids of the users; None for all."""
    if users == "all":
        return None
    if isinstance(users, str):
        return read_user_ids(Path(users), *form_of_ids(run.config.data))
    return [str(one) for one in ([users] if isinstance(users, int) else users)]


def _check_writable_output(output: Path) -> None:
    """Checks before the work that the output can be written."""
    target = check_writable(output)
    if output.suffix.lower() != ".csv":
        raise RequestError(f"output must end in .csv, as the lists are written as CSV, got {output}; rename it.")
    check_folder(target.parent, "output")


def _write(output: Path, lists: dict[str, Iterator[pl.DataFrame]], top_k: int, columns: Sequence[str]) -> None:
    written, first = 0, pl.DataFrame()
    with writing(output) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(columns) + "\n")
        for date, frames in lists.items():
            for frame in frames:
                first = frame if first.is_empty() else first
                dated = frame.with_columns(date=pl.lit(date))
                file.write(without_formulas(dated.select(columns)).write_csv(include_header=False))
                written += len(frame)
    _show(first, top_k)
    print(f"{written:,} rows in {output}", flush=True)


def _show(frame: pl.DataFrame, top_k: int) -> None:
    """Prints the lists of the first users."""
    table = ShownTable(title="the first users; score: natural logarithm of the probability")
    for column in ("user", "rank", "item", "text", "score"):
        table.add_column(column, justify="right" if column in ("rank", "score") else "left")
    for user_id, rank, item_id, text, score in frame.head(SHOWN_USERS * top_k).iter_rows():
        name = user_id if rank == 1 else ""
        table.add_row(name, str(rank), item_id, (text or "")[:SHOWN_TEXT], f"{score:.4f}", end_section=rank == top_k)
    PlainConsole().print(table)
