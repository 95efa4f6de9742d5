"""Where a run's curves and tables go: nowhere, csv, TensorBoard, or Weights & Biases."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger

from seasonrec.errors import UserError


@dataclass(frozen=True)
class RunIdentity:
    """What a tracker is told of a run.

    Args:
        name: Row name, for example ``"no_season"``.
        group: Study name, or None.
        run_dir: The run's folder.
        config: The complete resolved config.
        fingerprint: The protocol's fingerprint.
    """

    name: str
    group: str | None
    run_dir: Path
    config: dict[str, Any]
    fingerprint: str


@dataclass(frozen=True)
class NoLogger:
    """Keeps no curves."""

    def open(self, run: RunIdentity) -> Logger | None:
        return None


@dataclass(frozen=True)
class CsvLogger:
    """Curves as ``curves/metrics.csv`` in the run's folder; a run that goes on after a kill adds ``curves_2``, ..."""

    def open(self, run: RunIdentity) -> Logger | None:
        starts = 1 + len(list(run.run_dir.glob("curves*")))
        return CSVLogger(run.run_dir, name="", version="curves" if starts == 1 else f"curves_{starts}")


@dataclass(frozen=True)
class TensorBoardLog:
    """Curves for TensorBoard under ``tensorboard/`` in the run's folder."""

    def open(self, run: RunIdentity) -> Logger | None:
        logger = TensorBoardLogger(run.run_dir, name="", version="tensorboard")
        logger.log_hyperparams({"fingerprint": run.fingerprint, "row": run.name})
        return logger


@dataclass(frozen=True)
class WandbLog:
    """One Weights & Biases run a cell, grouped by study, with config, fingerprint, metrics by slice and tables.

    Args:
        project: Project name.
        entity: Team or user; None for the default of the account.
        mode: ``"offline"`` needs no key and keeps the run under ``wandb/`` in the run's folder, to be sent with
            ``wandb sync``; ``"online"`` sends it at once.

    Raises:
        ValueError: If ``mode`` is online and there is no key.
    """

    project: str = "seasonrec"
    entity: str | None = None
    mode: Literal["offline", "online"] = "offline"

    def open(self, run: RunIdentity) -> Logger | None:
        if self.mode == "online" and not _has_key():
            raise UserError(
                "logger.mode=online needs a Weights & Biases key, found none; run `wandb login`, set WANDB_API_KEY, "
                "or choose logger.mode=offline."
            )
        import wandb  # slow to import, and needed here alone

        config = {**run.config, "fingerprint": run.fingerprint, "study": run.group}
        return WandbLogger(
            project=self.project,
            entity=self.entity,
            name=f"{run.name}-seed{run.config['seed']}",
            group=run.group,
            save_dir=run.run_dir,
            id=_run_id(run.run_dir),
            offline=self.mode == "offline",
            config=config,
            settings=wandb.Settings(quiet=True, console="off"),
        )


def _run_id(run_dir: Path) -> str:
    """The tracker's id of the run in a folder: the same after a kill, so that a cell stays one run."""
    path = run_dir / "wandb_id"
    if not path.is_file():
        run_dir.mkdir(parents=True, exist_ok=True)
        path.write_text(uuid.uuid4().hex[:12], encoding="utf-8")
    return path.read_text(encoding="utf-8")


def _has_key() -> bool:
    netrc = Path.home() / ".netrc"
    return bool(os.environ.get("WANDB_API_KEY")) or (netrc.exists() and "wandb" in netrc.read_text())


def log_results(logger: Logger | None, slices: dict[str, dict[str, float]]) -> None:
    """Sends the final metrics to a tracker, by slice, and as one table where the tracker knows tables.

    The CSV file keeps the curves alone: the run's own ``metrics.json`` holds these numbers already.

    Args:
        logger: What ``open`` gave.
        slices: Slice to metric to value.
    """
    if logger is None or isinstance(logger, CSVLogger):
        return
    flat = {f"test/{name}/{metric}": value for name, values in slices.items() for metric, value in values.items()}
    logger.log_metrics(flat)
    if isinstance(logger, WandbLogger):
        columns = sorted({metric for values in slices.values() for metric in values})
        rows = [[name, *(values.get(column) for column in columns)] for name, values in slices.items()]
        logger.log_table("slices", columns=["slice", *columns], data=rows)
        logger.experiment.finish()
    logger.finalize("success")
