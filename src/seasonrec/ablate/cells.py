"""The cells of a study: one training run a row and seed, and one evaluation of all baselines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seasonrec.ablate.study import REFERENCE_ROW, Study, override_key

BASELINES = "baselines"
"""Row name of the cell that evaluates every baseline."""


@dataclass(frozen=True)
class Cell:
    """One unit of work of a study.

    Args:
        row: Row of the table, or ``baselines``.
        seed: Seed of the run.
        folder: Run folder of the cell, where its log and its results lie.
        run_dir: The run folder that the command is given; for the baselines, the study's own folder.
        overrides: Hydra overrides that decide the numbers.
        group: Name of the study, by which a tracker groups its runs.
    """

    row: str
    seed: int
    folder: Path
    run_dir: Path
    overrides: tuple[str, ...]
    group: str

    @property
    def trains(self) -> bool:
        """Whether a model is trained; the baselines are evaluated only."""
        return self.row != BASELINES

    @property
    def arguments(self) -> list[str]:
        """Subcommand and overrides, as written after ``seasonrec``."""
        subcommand = "train" if self.trains else BASELINES
        return [subcommand, *self.overrides, f"group={quote(self.group)}", f"run_dir={quote(str(self.run_dir))}"]

    @property
    def label(self) -> str:
        return f"{self.row} seed {self.seed}" if self.trains else BASELINES

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"


def expand(study: Study, run_dir: Path, overrides: Sequence[str]) -> list[Cell]:
    """Experiment x rows x seeds, with the baselines first.

    Seeds turn slowest, so that a study that is cut short has every row at its first seed.
    """
    shared = (f"experiment={study.experiment}", *merged(study.overrides, overrides))
    cells = []
    if study.baselines:
        seed = min(study.seeds)
        cells.append(Cell(BASELINES, seed, run_dir / BASELINES, run_dir, (*shared, f"seed={seed}"), study.name))
    for seed in study.seeds:
        for row in study.rows:
            ablation = () if row == REFERENCE_ROW else (f"ablation={row}",)
            folder = run_dir / "cells" / row / f"seed_{seed}"
            own = (*shared, *ablation, f"seed={seed}", "baselines=false")
            cells.append(Cell(row, seed, folder, folder, own, study.name))
    return cells


def merged(first: Sequence[str], second: Sequence[str]) -> list[str]:
    """Two lists of overrides as one; where both set a key, the second says it."""
    by_key = {override_key(override): override for override in first}
    return list((by_key | {override_key(override): override for override in second}).values())


def quote(value: str) -> str:
    """A value as Hydra's override grammar takes it, spaces and equal signs included."""
    return "'" + value.replace("'", "\\'") + "'"
