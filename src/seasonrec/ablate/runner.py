"""Runner of the missing cells of a study."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from seasonrec.ablate.cells import Cell, expand
from seasonrec.ablate.launch import COMMAND, Failure, Job, Running, run_jobs
from seasonrec.ablate.launchers import plan, require_installed
from seasonrec.ablate.lock import hold
from seasonrec.ablate.log_checks import check_last_year, check_origins
from seasonrec.ablate.progress import StudyProgress, say
from seasonrec.ablate.shares import gpu_share
from seasonrec.ablate.state import State, changes, read_object, stamp, state
from seasonrec.ablate.study import Study, StudyError, check_table, check_wrong_dates
from seasonrec.config import ConfigError, Mistake, build, compose
from seasonrec.config.annotations import is_component
from seasonrec.config.schema import RunConfig
from seasonrec.runs.record import code_commit

SHOWN_DIFFERENCES = 3

OPTION_SLOTS = ("data", "split", "protocol", "loader", "trainer", "optimizer", "objective", "adversarial")
"""Slots whose classes need only their options, so that wrong values are found before the first cell."""

Compose = Callable[..., RunConfig]
"""Function from overrides, and the user's own folder as ``extra``, to the complete configuration."""


@dataclass(frozen=True)
class Options:
    """Options of running a study; none of them changes a number.

    Args:
        launcher: ``local`` (a command for each cell) or a Hydra launcher: ``joblib``, ``submitit_local``,
            ``submitit_slurm``, ``ray``.
        jobs: Cells at once.
        stale: Treatment of cells that were run with another configuration: ``refuse``, or ``rerun`` (deletes them).
        command: Program for a cell's arguments.
        flags: Further arguments of every cell's command.
        compose: Function from overrides to the configuration of a cell.
        console: Output for the progress.
    """

    launcher: str = "local"
    jobs: int = 1
    stale: str = "refuse"
    command: Sequence[str] = COMMAND
    flags: tuple[str, ...] = ()
    compose: Compose = compose
    console: Console = field(default_factory=Console)


def run_cells(
    study: Study,
    run_dir: Path,
    overrides: Sequence[str],
    options: Options,
    begin: Callable[[], None] = lambda: None,
) -> list[Failure]:
    """Runs the missing cells of a study; all cells are composed and checked before the first one starts.

    Args:
        study: The study.
        run_dir: Its folder; complete cells in it are kept.
        overrides: Overrides for all cells; they win over those of the study.
        options: Options of running.
        begin: Called after the checks, before the first cell.

    Returns:
        The failures; the other cells were run.

    Raises:
        ConfigError: With the mistakes of all cells.
        StudyError: If a slice of the study does not exist, an origin has no events in one of its parts, stale cells are
            refused, or an option is wrong.
    """
    cells = expand(study, run_dir, overrides)
    plan(cells, options.launcher, options.jobs)  # refuses wrong options before anything is touched
    require_installed(options.launcher)
    configs = configurations(cells, options.compose)
    check_table(study, configs[cells[0]])
    reference = next(cell for cell in cells if cell.row == study.reference)
    check_wrong_dates(study, configs[reference])
    if study.origins:
        by_origin = {cell.origin: configs[cell] for cell in cells}
        check_origins(by_origin, partial(say, options.console))
    check_last_year(study, configs[reference], partial(say, options.console))
    with hold(run_dir, partial(say, options.console)) as lock:
        states = {cell: state(cell, config) for cell, config in configs.items()}
        _settle_stale([cell for cell in cells if states[cell] is State.STALE], configs, options.stale)
        missing = [cell for cell in cells if states[cell] is not State.COMPLETE]
        _say_other_code([cell for cell in cells if states[cell] is State.COMPLETE], options.console)
        begin()
        with StudyProgress(len(cells), len(cells) - len(missing), options.console) as progress:
            at_once = options.jobs if options.launcher == "local" else 1  # a multirun has its own parallel cells

            def start(job: Job, slot: int) -> Running:
                for cell in job.cells:
                    stamp(cell, configs[cell])
                if at_once > 1:
                    devices = configs[job.cells[0]].get("trainer", {}).get("devices", 1)
                    job = replace(job, environment={**job.environment, **gpu_share(slot, devices)})
                job = replace(job, arguments=(*job.arguments, *options.flags))
                return Running.start(job, options.command, (lock,))

            return run_jobs(plan(missing, options.launcher, options.jobs), at_once, start, progress)


def configurations(cells: Sequence[Cell], compose: Compose) -> dict[Cell, dict[str, Any]]:
    """Returns the configuration of every cell; a row is composed once per origin: its seeds differ in ``seed`` alone.

    Raises:
        ConfigError: With the mistakes of all rows.
        StudyError: With the values of all rows that the classes of :data:`OPTION_SLOTS` refuse.
    """
    by_row: dict[tuple[str, str], dict[str, Any]] = {}
    mistakes: list[Mistake] = []
    for key, cell in {_row_of(cell): cell for cell in cells}.items():
        try:
            by_row[key] = compose(list(cell.overrides)).as_dict()
        except ConfigError as error:
            mistakes += error.mistakes
            continue
        if cell.kind == "train" and by_row[key].get("name") != cell.row:
            problem = f"a cell of this row would have the name {by_row[key].get('name')!r}"
            mistakes.append(Mistake(f"row {cell.row}", problem, "take name out of its file or its overrides"))
    if mistakes:
        raise ConfigError(list(dict.fromkeys(mistakes)))  # once, not at each origin
    refused = dict.fromkeys(message for config in by_row.values() for message in _refused_values(config))
    if refused:
        raise StudyError("nothing was run:\n" + "\n".join(f"  {message}" for message in refused))
    return {cell: {**by_row[_row_of(cell)], "seed": cell.seed} for cell in cells}


def _row_of(cell: Cell) -> tuple[str, str]:
    return cell.origin, cell.row


def _refused_values(config: dict[str, Any]) -> Iterator[str]:
    """Yields the errors of classes about values that have the right type but are, for example, out of range."""
    for slot in OPTION_SLOTS:
        if slot in config and is_component(config[slot]):
            try:
                build(config[slot])()
            except (ValueError, OSError) as error:
                yield str(error)


def _say_other_code(complete: Sequence[Cell], console: Console) -> None:
    """Prints a note where complete cells were run with other code, which the stamps do not record."""
    records = (read_object(cell.folder / "record.json") for cell in complete if cell.kind == "train")
    ran_by = Counter(record["commit"] for record in records if record and record.get("commit"))
    others = {commit: number for commit, number in ran_by.items() if commit != code_commit()}
    if others and code_commit():
        told = ", ".join(f"{number} by {commit}" for commit, number in others.items())
        note = f"note: complete cells were run by other code than today's {code_commit()} ({told}); they are kept."
        say(console, f"{note} Delete their folders to run them again.")


def _settle_stale(cells: Sequence[Cell], configs: dict[Cell, dict[str, Any]], rule: str) -> None:
    if rule not in ("refuse", "rerun"):
        raise StudyError(f"stale must be refuse or rerun, got {rule!r}.")
    if cells and rule == "refuse":
        found = "\n".join(f"  {cell.folder}: {_few(changes(cell, configs[cell]))}" for cell in cells)
        count = "1 cell was" if len(cells) == 1 else f"{len(cells)} cells were"
        raise StudyError(
            f"{count} run with another configuration than this study asks for now (stored -> wanted):\n{found}\n"
            "Nothing was run. Give another run_dir, or add stale=rerun to delete them and run them again."
        )
    for folder in dict.fromkeys(cell.folder for cell in cells):
        shutil.rmtree(folder)


def _few(found: list[str]) -> str:
    more = f" and {len(found) - SHOWN_DIFFERENCES} more" if len(found) > SHOWN_DIFFERENCES else ""
    return ", ".join(found[:SHOWN_DIFFERENCES]) + more
