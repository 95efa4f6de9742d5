"""Cells of a study: a training run for each row and seed, one evaluation of all baselines, and trials of runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Literal

from seasonrec.ablate.study import Study, merged
from seasonrec.config.grammar import quoted
from seasonrec.config.rows import REFERENCE_ROW
from seasonrec.report.selection import AA_ROW

BASELINES = "baselines"
"""Row name of the cell that evaluates every baseline."""

Kind = Literal["train", "baselines", "robustness", "counterfactual"]
"""Subcommand of a cell: a training run, all baselines, or trials of a trained run."""

TRIALS: tuple[Kind, ...] = ("robustness", "counterfactual")
"""Subcommands that try a trained run; each writes a table of its own name into the run's folder."""


@dataclass(frozen=True)
class Cell:
    """One unit of work of a study.

    Args:
        row: Row of the table, or ``baselines``.
        seed: Seed of the run.
        folder: Folder of the cell's log and results.
        run_dir: The command's ``run_dir``; for the baselines, the study's own folder.
        overrides: Hydra overrides that decide the numbers.
        group: Name of the study; trackers group runs by it.
        kind: Subcommand.
        days: Days by which the wrong dates of a ``counterfactual`` are too early.
        origin: Day of the origin; empty in a study with one split.
    """

    row: str
    seed: int
    folder: Path
    run_dir: Path
    overrides: tuple[str, ...]
    group: str
    kind: Kind = "train"
    days: tuple[int, ...] = ()
    origin: str = ""

    @property
    def arguments(self) -> list[str]:
        """Subcommand and overrides, as written after ``seasonrec``."""
        if self.kind in TRIALS:
            days = [f"days=[{','.join(map(str, self.days))}]"] if self.days else []
            return [self.kind, f"checkpoint={quoted(str(self.run_dir))}", *days]
        return [self.kind, *self.overrides, f"group={quoted(self.group)}", f"run_dir={quoted(str(self.run_dir))}"]

    @property
    def label(self) -> str:
        origin = f", origin {self.origin}" if self.origin else ""
        if self.kind == "baselines":
            return f"{BASELINES}{origin}"
        return f"{self.row} seed {self.seed}{origin}" + (f", {self.kind}" if self.kind in TRIALS else "")

    @property
    def log(self) -> Path:
        return self.folder / (f"{self.kind}.txt" if self.kind in TRIALS else "log.txt")

    @property
    def table(self) -> Path:
        """File that a trial writes."""
        return self.folder / f"{self.kind}.csv"


def expand(study: Study, run_dir: Path, overrides: Sequence[str]) -> list[Cell]:
    """Returns the cells of a study: the baselines, then the rows, then the trials of trained runs.

    All rows of a seed come before the next seed, so that an interrupted study compares all rows at its first seeds. The
    row ``aa`` runs the configuration of the reference, with seeds of its own. Of a study with origins, all origins of a
    seed come before the next seed; each has a folder ``origins/DAY`` with the layout of a study of its own.
    """
    shared = merged(study.full, overrides)
    places = {day: run_dir / "origins" / day for day in study.origins} or {"": run_dir}
    cells = []
    for day, place in places.items() if study.baselines else ():
        seed = min(study.seeds)
        own = (*merged(shared, study.cuts.get(day, ())), f"seed={seed}")
        cells.append(Cell(BASELINES, seed, place / BASELINES, place, own, study.name, "baselines", origin=day))
    seeds = study.seeds_of_rows
    for number, (day, place), row in product(range(len(study.seeds)), places.items(), seeds):
        seed = seeds[row][number]
        folder = place / "cells" / row / f"seed_{seed}"
        changed = merged(shared, study.changes.get(study.reference if row == AA_ROW and study.aa else row, ()))
        name = () if row == REFERENCE_ROW else (f"name={quoted(row)}",)
        own = (*merged(changed, study.cuts.get(day, ())), *name, f"seed={seed}", "baselines=false")
        cells.append(Cell(row, seed, folder, folder, own, study.name, origin=day))
    tried = [replace(cell, kind="robustness") for cell in cells if cell.row in study.robustness]
    asked = [cell for cell in cells if cell.row == study.reference and study.wrong_dates]
    dated = [replace(cell, kind="counterfactual", days=study.wrong_dates) for cell in asked]
    return [*cells, *tried, *dated]
