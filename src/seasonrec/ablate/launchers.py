"""Commands for the missing cells: one per cell, or one multirun of Hydra per row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec

from seasonrec.ablate.cells import TRIALS, Cell
from seasonrec.ablate.launch import Job
from seasonrec.ablate.shares import thread_share
from seasonrec.ablate.study import StudyError
from seasonrec.config.grammar import quoted
from seasonrec.config.overrides import override_key

HYDRA_LAUNCHERS = ("joblib", "submitit_local", "submitit_slurm", "ray")
LAUNCHERS = ("local", *HYDRA_LAUNCHERS)
JOBS_AT_ONCE = {
    "joblib": "hydra.launcher.n_jobs",
    "submitit_slurm": "hydra.launcher.array_parallelism",
    "ray": "+hydra.launcher.ray.init.num_cpus",  # a job takes one of them
}
"""Option of each launcher for the number of parallel cells; submitit_local starts all cells at once."""

PLUGINS = {
    "submitit_local": ("hydra_submitit_launcher", 'pip install -c constraints.txt ".[slurm]"'),
    "submitit_slurm": ("hydra_submitit_launcher", 'pip install -c constraints.txt ".[slurm]"'),
    "ray": ("hydra_ray_launcher", 'pip install ".[ray]", without the constraints'),
}
"""Packages of the launchers that do not come with seasonrec, and the commands that install them."""


def plan(cells: Sequence[Cell], launcher: str, jobs: int) -> list[Job]:
    """Returns the jobs that run the missing cells, in order.

    With ``local`` each cell is a job. With a Hydra launcher each row (at each origin) is one multirun over its missing
    seeds, between the baselines and the trials of trained runs.

    Args:
        cells: Missing cells.
        launcher: One of ``LAUNCHERS``.
        jobs: Cells at once.

    Raises:
        StudyError: If the launcher is unknown, or ``jobs`` is not above 0.
    """
    if launcher not in LAUNCHERS:
        raise StudyError(f"launcher must be one of {', '.join(LAUNCHERS)}, got {launcher!r}.")
    if jobs < 1:
        raise StudyError(f"jobs, the number of cells at once, must be above 0, got {jobs}.")
    if launcher == "local":
        at_once = min(jobs, len(cells))
        return [_single(cell, thread_share(at_once) if at_once > 1 else {}) for cell in cells]
    baselines = [_single(cell) for cell in cells if cell.kind == "baselines"]
    tried = [_single(cell) for cell in cells if cell.kind in TRIALS]
    multiruns = [_multirun(row, launcher, jobs, number) for number, row in enumerate(_by_row(cells), 1)]
    return [*baselines, *multiruns, *tried]


def require_installed(launcher: str) -> None:
    """Raises a ``StudyError`` where the package of a launcher is not installed."""
    if launcher in PLUGINS and find_spec(f"hydra_plugins.{PLUGINS[launcher][0]}") is None:
        raise StudyError(f"launcher={launcher} is not installed; run {PLUGINS[launcher][1]}.")


def _single(cell: Cell, environment: Mapping[str, str] | None = None) -> Job:
    return Job((cell,), tuple(cell.arguments), cell.log, environment or {})


def _by_row(cells: Sequence[Cell]) -> list[list[Cell]]:
    trained = [cell for cell in cells if cell.kind == "train"]
    rows = dict.fromkeys((cell.origin, cell.row) for cell in trained)
    return [[cell for cell in trained if (cell.origin, cell.row) == row] for row in rows]


def _multirun(cells: Sequence[Cell], launcher: str, jobs: int, number: int) -> Job:
    study_dir = cells[0].folder.parents[2]
    swept = {"seed": [str(seed) for seed in dict.fromkeys(cell.seed for cell in cells)]}
    shared = [override for override in cells[0].overrides if override_key(override) not in swept]
    log_dir = study_dir / "multirun"
    parallel = JOBS_AT_ONCE.get(launcher)
    arguments = [
        "train",
        "--multirun",
        f"hydra/launcher={launcher}",
        *([f"{parallel}={jobs}"] if parallel else []),
        f"hydra.sweep.dir={quoted(str(study_dir / 'cells'))}",
        "hydra.sweep.subdir='${name}/seed_${seed}'",  # in a multirun this becomes the job's run_dir
        *shared,
        f"group={quoted(cells[0].group)}",
        *(f"{key}={','.join(values)}" for key, values in swept.items()),
    ]
    number += len(list(log_dir.glob("*.txt")))
    environment = thread_share(jobs if launcher == "joblib" else None)
    return Job(tuple(cells), tuple(arguments), log_dir / f"{launcher}_{number}.txt", environment)
