"""``seasonrec ablate`` and ``seasonrec report``."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from itertools import product
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from seasonrec.ablate.cells import TRIALS, Cell, expand
from seasonrec.ablate.origins import with_cuts
from seasonrec.ablate.progress import say, spell
from seasonrec.ablate.runner import Options, run_cells
from seasonrec.ablate.state import is_complete
from seasonrec.ablate.study import Study, StudyError, read_study, study_of, with_changes
from seasonrec.config import ConfTree
from seasonrec.digests import read_json, seal
from seasonrec.disk import check_folder
from seasonrec.evaluation.baselines.fitting import UNTRAINED_ROWS
from seasonrec.report.adaptation import write_adaptations
from seasonrec.report.costs import read_cost
from seasonrec.report.errors import ReportError
from seasonrec.report.origins import read_pooled
from seasonrec.report.per_user import with_kept_rows
from seasonrec.report.rows import Row, read_row
from seasonrec.report.selection import Selection
from seasonrec.report.summary import Report, show
from seasonrec.report.walks import walk_folders
from seasonrec.report.write import write_report
from seasonrec.runs.record import write_json

RECORD = "study.json"
"""File that keeps a study for its report."""


def run(study: Path, settings: Mapping[str, Any], options: Options | None = None) -> None:
    """Runs the missing cells of a study, then writes and prints its report.

    Args:
        study: The study file.
        settings: ``run_dir``, ``launcher``, ``jobs`` and ``stale`` as in
            :class:`~seasonrec.config.schema.AblateConfig`; ``overrides``, the Hydra overrides of all cells; and
            optionally ``config_dir``, the user's own folder of yaml files.
        options: Options of running; the settings win over them.

    Raises:
        StudyError: If the study file is wrong, or its folder holds cells of another configuration.
        ConfigError: If a cell's configuration is wrong.
        SystemExit: With code 1 if a cell failed; the report then shows the rows that have results. With 130 after
            Ctrl-C and 143 after SIGTERM; the started processes are stopped first.
    """
    own_conf = Path(settings["config_dir"]) if "config_dir" in settings else None
    tree = ConfTree.of(own_conf)
    run_dir, overrides = Path(settings["run_dir"]), [str(override) for override in settings.get("overrides", ())]
    chosen = {key: settings[key] for key in ("launcher", "jobs", "stale") if key in settings}
    options = replace(options or Options(), **chosen)
    if own_conf is not None:
        flags = ("--config-dir", str(own_conf))
        options = replace(options, compose=partial(options.compose, extra=own_conf), flags=flags)
    content = with_changes(read_study(study, tree), overrides, options.compose)
    content = with_cuts(content, overrides, options.compose)
    _refuse_another(run_dir, content)
    check_folder(run_dir, "run_dir", (RECORD, "table.md", "table.csv", "per_user.parquet"))
    command = shlex.join(["seasonrec", "ablate", str(study), f"run_dir={run_dir}", *overrides, *options.flags])
    record = {"command": command, "overrides": overrides, "study": asdict(content)}
    begin = partial(_keep, run_dir, record)
    say(options.console, _opening(content, run_dir, overrides, options.jobs))
    try:
        with _terminable():
            failures = run_cells(content, run_dir, overrides, options, begin)
    except KeyboardInterrupt as stopped:
        options.console.print("\nStopped. Run the same command again to go on.")
        number = signal.SIGTERM if isinstance(stopped, _Terminated) else signal.SIGINT
        raise SystemExit(128 + number) from None  # the code of a shell
    if failures:
        count = "1 cell failed" if len(failures) == 1 else f"{len(failures)} cells failed"
        text = f"{count}; the others were run. Run the same command again to try the failed ones again."
        say(options.console, "\n".join([text, *map(str, failures)]), style="red")
    try:
        show(make_report(run_dir), options.console)
    except (StudyError, ReportError) as error:
        if not failures:
            raise
        say(options.console, f"No report: {error}")
    if failures:
        raise SystemExit(1)


def _opening(study: Study, run_dir: Path, overrides: Sequence[str], jobs: int) -> str:
    """Returns the question, rows, runs, predicted time and logs of a study.

    The prediction is the recorded time of the complete runs.
    """
    cells = [cell for cell in expand(study, run_dir, overrides) if cell.kind == "train"]
    complete = [cell.folder for cell in cells if is_complete(cell)]
    expected, cost = "the time left is told after the first run", read_cost(complete)
    if cost is not None:
        left_s = (len(cells) - len(complete)) * sum(cost.seconds.values()) / jobs
        expected = f"{len(complete)} are complete, about {spell(left_s)} left"
    baselines = ", and the baselines" if study.baselines else ""
    rows = study.seeds_of_rows
    origins = f" x {len(study.origins)} origins" if study.origins else ""
    logs = run_dir / "origins" / "DAY" / "cells" if study.origins else run_dir / "cells"
    return (
        f"{study.name}: {study.question}\n"
        f"  {len(rows)} rows x {len(study.seeds)} seeds{origins} = {len(cells)} runs{baselines}: {', '.join(rows)}\n"
        f"  {expected}\n  logs: {logs}/ROW/seed_N/log.txt"
    )


class _Terminated(KeyboardInterrupt):
    """SIGTERM, which ``kill`` or a cluster sends."""


@contextmanager
def _terminable() -> Iterator[None]:
    """Raises on SIGTERM as on Ctrl-C, so that the started processes are stopped too."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise _Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _keep(run_dir: Path, record: dict[str, Any]) -> None:
    write_json(run_dir / RECORD, record)
    seal(run_dir, [RECORD])


def _kept(run_dir: Path) -> dict[str, Any] | None:
    """Returns the record of the study in a folder, or None."""
    path = run_dir / RECORD
    again = "delete it and run seasonrec ablate with the same study file, which writes it again and keeps the cells"
    return read_json(path, again) if path.exists() else None


def _refuse_another(run_dir: Path, study: Study) -> None:
    kept = _kept(run_dir)
    if kept is not None and kept["study"]["name"] != study.name:
        raise StudyError(
            f"run_dir={run_dir} holds the study {kept['study']['name']!r}, and this is {study.name!r}; give another "
            "run_dir."
        )


def report(run_dir: Path, reference: str | None = None, against: Path | None = None) -> None:
    """Writes the report of a study, or of the walks of adaptations in a folder, and prints its summary."""
    if not (run_dir / RECORD).is_file() and against is None and walk_folders(run_dir):
        written = write_adaptations(run_dir, reference)
        print(written[0].read_text(encoding="utf-8"), *written, sep="\n", flush=True)
        return
    show(make_report(run_dir, reference, against), Console())


def make_report(run_dir: Path, reference: str | None = None, against: Path | None = None) -> Report:
    """Writes the tables and figures of a study from its results files; trains nothing.

    Args:
        run_dir: Folder of the study.
        reference: Row that all others are compared with; its report goes to ``run_dir/beside_REFERENCE``. None for the
            study's own reference, whose report goes to ``run_dir``.
        against: File ``per_user.parquet`` of another study, whose trained rows are shown too; the report then goes to
            ``run_dir/against_STUDY``.

    Returns:
        The table, the comparisons and the files.

    Raises:
        StudyError: If the folder is not that of a study, none of its cells is complete, or it has no such row.
        ReportError: If protocols differ, a file is damaged, or the results lack a metric or slice of the study.
    """
    check_folder(run_dir, "the folder of the study", ("table.md", "table.csv"))
    record = _kept(run_dir)
    if record is None:
        raise StudyError(f"{run_dir} holds no {RECORD}: it is not the folder of a study; run seasonrec ablate first.")
    study = study_of(record["study"])
    rows, missing, partial = _read_rows(study, run_dir, record["overrides"])
    if not rows:
        complete = "no row of the study is complete at every origin" if partial else "no cell of the study is complete"
        raise StudyError(f"{complete} in {run_dir}; run seasonrec ablate again.")
    shared = {key: value for key, value in asdict(study).items() if key in Selection.__dataclass_fields__}
    selection = Selection(**shared, command=record["command"], missing=tuple(missing), partial=tuple(partial))
    if reference is None and against is None:
        return write_report(run_dir, rows, selection)
    folder, own_words = run_dir, ["seasonrec", "report", str(run_dir)]
    if against is not None:
        rows, selection = with_kept_rows(rows, selection, against)
        folder /= f"against_{rows[-1].name.rpartition('/')[0].replace('/', '_')}"
        own_words.append(f"against={against}")
    if reference is not None:
        trained = [row.name for row in rows if not row.is_baseline]
        if reference not in trained:
            raise StudyError(f"reference must be a row with results, one of {', '.join(trained)}, got {reference!r}.")
        folder /= f"beside_{reference.replace('/', '_')}"
        own_words.append(f"reference={reference}")
        selection = replace(selection, reference=reference, aa=selection.aa and reference == study.reference)
    command = f"{selection.command}; {shlex.join(own_words)}"
    return write_report(folder, rows, replace(selection, command=command), keep_sums=False)


def _read_rows(study: Study, run_dir: Path, overrides: Sequence[str]) -> tuple[list[Row], list[str], list[str]]:
    """Returns the rows with results, the labels of the missing cells, and the rows that lack results at some origin."""
    cells = expand(study, run_dir, overrides)
    complete = [cell for cell in cells if is_complete(cell)]
    folders = _folders(study, complete)
    if study.origins:
        pooled = {name: read_pooled(name, name in UNTRAINED_ROWS, own) for name, own in folders.items()}
        rows = [row for row in pooled.values() if row is not None]
        partial = [name for name, row in pooled.items() if row is None]
    else:
        rows, partial = [read_row(name, name in UNTRAINED_ROWS, own[""]) for name, own in folders.items()], []
    tables = {
        (name, kind): tuple(cell.table for cell in complete if (cell.row, cell.kind) == (name, kind))
        for name, kind in product(study.seeds_of_rows, TRIALS)
    }
    tried, dated = TRIALS
    rows = [
        row if row.is_baseline else replace(row, trials=tables[row.name, tried], wrong_dates=tables[row.name, dated])
        for row in rows
    ]
    return rows, [cell.label for cell in cells if cell not in complete], partial


def _folders(study: Study, complete: Sequence[Cell]) -> dict[str, dict[str, list[Path]]]:
    """Returns the folders of every row that has results, by origin: baselines first, one folder for each seed."""
    evaluated = [cell for cell in complete if cell.kind == "baselines"]
    placed = [(name, cell.origin, cell.folder / name) for name in UNTRAINED_ROWS for cell in evaluated]
    placed = [one for one in placed if (one[2] / "metrics.json").is_file()]
    trained = [cell for cell in complete if cell.kind == "train"]
    placed += [(row, cell.origin, cell.folder) for row in study.seeds_of_rows for cell in trained if cell.row == row]
    found = {name: {day: list[Path]() for day in study.origins or ("",)} for name, _, _ in placed}
    for name, day, folder in placed:
        found[name][day].append(folder)
    return found
