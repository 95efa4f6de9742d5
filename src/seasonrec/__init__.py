"""Large-model sequential recommendation that adapts to seasonal trends.

The functions here do what the console commands do, by the same code::

    run = seasonrec.train("data=table", "data.events=E.csv", run_dir="runs/mine")
    run.metrics
    run.recommend(users=["u1", "u2"], at="2017-12-20", top_k=10)

Importing the package imports no torch; the first call does.
"""

from __future__ import annotations

import sys

if sys.argv[:1] == ["-m"] and "-m seasonrec" in " ".join(sys.orig_argv) and not sys.flags.safe_path:
    del sys.path[0]  # python -m seasonrec... puts the working folder first, where csv.py beside the data would be found

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

    from seasonrec.config.schema import RunConfig
    from seasonrec.runs.trained import TrainedRun

__all__ = ["__version__", "compose", "load", "study", "train"]
__version__ = version("seasonrec")


def train(*overrides: str, run_dir: str | Path | None = None, allow: Sequence[str] = ()) -> TrainedRun:
    """Trains and evaluates one model, as ``seasonrec train`` does.

    Args:
        overrides: Hydra overrides, for example ``"data=table"`` and ``"season=[momentum]"``.
        run_dir: Folder of the results; None for ``runs/NAME``. The same folder again continues a killed run.
        allow: Modules outside seasonrec whose components the overrides name; see :func:`load`.

    Returns:
        The finished run.

    Raises:
        ConfigError: With every mistake of the configuration at once.
    """
    from seasonrec.commands.train import run

    config = compose(*overrides, run_dir=run_dir)
    run(config)
    return load(config.run_dir, allow=allow)


def load(run_dir: str | Path, *, allow: Sequence[str] = ()) -> TrainedRun:
    """Opens a finished run.

    Args:
        run_dir: The run's folder.
        allow: Modules outside seasonrec whose components the stored configuration may name.

    Raises:
        RunFolderError: If the folder holds no finished run.
        ConfigError: If the stored configuration names a component that is not allowed.
    """
    from seasonrec.runs.trained import TrainedRun

    return TrainedRun(Path(run_dir), tuple(allow))


def study(path: str | Path, *overrides: str, run_dir: str | Path, jobs: int = 1) -> pl.DataFrame:
    """Runs the missing cells of an ablation study and its report, as ``seasonrec ablate`` does.

    Args:
        path: The study file.
        overrides: Hydra overrides for all cells.
        run_dir: Folder of the study; the same folder again continues it.
        jobs: Cells at once.

    Returns:
        The table in long form, as in ``table.csv``.

    Raises:
        StudyError: If the study file is wrong.
        SystemExit: If a cell failed.
    """
    import polars as pl

    from seasonrec.ablate.entry import run
    from seasonrec.data.csv_text import with_formulas

    settings: dict[str, Any] = {"run_dir": str(run_dir), "jobs": jobs, "overrides": list(overrides)}
    run(Path(path), settings)
    return with_formulas(pl.read_csv(Path(run_dir) / "table.csv"))


def compose(*overrides: str, run_dir: str | Path | None = None) -> RunConfig:
    """Returns the complete, checked configuration of one run.

    Args:
        overrides: Hydra overrides.
        run_dir: Folder of the results; None for ``runs/NAME``.

    Raises:
        ConfigError: With every mistake at once.
        UserError: If an override is no text.
    """
    from seasonrec.config import compose as composed
    from seasonrec.config.grammar import quoted
    from seasonrec.errors import UserError

    if wrong := [override for override in overrides if not isinstance(override, str)]:
        raise UserError(f"overrides are texts such as 'data=table', each an argument of its own, got {wrong[0]!r:.60}.")
    return composed([*overrides, *([] if run_dir is None else [f"run_dir={quoted(str(run_dir))}"])])
