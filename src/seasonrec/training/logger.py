"""Trackers of a run's curves and tables: none, csv, TensorBoard, or Weights & Biases."""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger

from seasonrec.atomic import write_text
from seasonrec.errors import UserError

SUMMARY = ("bits", "ndcg@10", "hr@10", "mrr", "basket_recall@10")
"""Test metrics over all targets that the summary of a Weights & Biases run holds; its tables hold the others."""

CURVES = {"val/bits": "min", "val/ndcg@10": "max"}
"""Validation metrics whose best value the summary holds, and which value is best."""


STEPS_APART = 10_000_000
"""Steps between the starts of an offline run of Weights & Biases; a start has fewer."""

HEADER_BYTES = 7
"""Size of the file of an offline run without a record."""

SYNC = "WANDB_RESUME=allow wandb sync {}/wandb/offline-run-*"
"""Command that sends all starts of an offline run as one run."""


@dataclass(frozen=True)
class RunIdentity:
    """The facts of a run that a tracker keeps.

    Args:
        name: Row name, for example ``"no_season"``.
        group: Study name, or None.
        run_dir: The run's folder.
        config: The complete resolved config.
        fingerprint: The protocol's fingerprint.
        cut_dates: Local dates of the split by name.
    """

    name: str
    group: str | None
    run_dir: Path
    config: dict[str, Any]
    fingerprint: str
    cut_dates: Mapping[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Name and seed, and the folder's name if it says more, as in a sweep."""
        folder = self.run_dir.name
        is_known = folder == self.name or re.fullmatch(r"seed_\d+", folder) is not None
        return "-".join([self.name, f"seed{self.config['seed']}", *([] if is_known else [folder])])


@dataclass(frozen=True)
class NoLogger:
    """No tracker."""

    def open(self, run: RunIdentity) -> Logger | None:
        return None


@dataclass(frozen=True)
class CsvLogger:
    """Curves in ``curves/metrics.csv`` of the run's folder; a run that continues after a kill adds ``curves_2``, ..."""

    def open(self, run: RunIdentity) -> Logger | None:
        starts = 1 + len(list(run.run_dir.glob("curves*")))
        return CSVLogger(run.run_dir, name="", version="curves" if starts == 1 else f"curves_{starts}")


@dataclass(frozen=True)
class TensorBoardLog:
    """Curves for TensorBoard under ``tensorboard/`` in the run's folder."""

    def open(self, run: RunIdentity) -> Logger | None:
        logger = TensorBoardLogger(run.run_dir, name="", version="tensorboard")
        logger.log_hyperparams({"fingerprint": run.fingerprint, "row": run.name, **run.cut_dates})
        return logger


@dataclass(frozen=True)
class WandbLog:
    """One Weights & Biases run per cell, grouped by study, with config, curves, a short summary, and tables.

    Offline, each start of a run has a folder of its own with the id of the run. ``WANDB_RESUME=allow wandb sync`` with
    all of them joins them into one run in the order of their starts. The steps of a start lie above those of earlier
    ones; curves are drawn over ``trainer/global_step``.

    Args:
        project: Project name.
        entity: Team or user; None for the default of the account.
        mode: ``"offline"`` needs no key and keeps the run under ``wandb/`` in the run's folder for ``wandb sync``;
            ``"online"`` sends it at once.

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
        import wandb  # slow to import, and only needed here

        earlier = _earlier_starts(run.run_dir)
        facts = {"fingerprint": run.fingerprint, "study": run.group, "cut_dates": dict(run.cut_dates)}
        opened = wandb.init(  # not left to Lightning, which passes a deprecated argument
            project=self.project,
            entity=self.entity,
            name=run.label,
            group=run.group,
            dir=run.run_dir,
            id=_run_id(run.run_dir),
            resume="allow",
            reinit="finish_previous",
            mode=self.mode,
            config={**run.config, **facts},
            settings=wandb.Settings(quiet=True, console="off"),
        )
        if earlier and self.mode == "offline":
            opened.log({}, step=earlier * STEPS_APART)
            print(f"note: {SYNC.format(run.run_dir)} joins the {earlier + 1} starts of this run", flush=True)
        opened.define_metric("*", step_metric="trainer/global_step", summary="none")
        for name, best in CURVES.items():
            opened.define_metric(name, step_metric="trainer/global_step", summary=best)
        return WandbLogger(experiment=opened)


def _earlier_starts(run_dir: Path) -> int:
    """Returns the number of earlier offline starts; one that was killed before its first record is removed.

    ``wandb sync`` would refuse all because of it.
    """
    files = list(run_dir.glob("wandb/offline-run-*/*.wandb"))
    empty = [path for path in files if path.stat().st_size <= HEADER_BYTES]
    for path in empty:
        shutil.rmtree(path.parent, ignore_errors=True)
    return len(files) - len(empty)


def _run_id(run_dir: Path) -> str:
    """Returns the tracker's id of the run in a folder; it stays the same after a kill."""
    path = run_dir / "wandb_id"
    if not path.is_file():
        write_text(path, uuid.uuid4().hex[:12])
    return path.read_text(encoding="utf-8")


def _has_key() -> bool:
    netrc = Path.home() / ".netrc"
    return bool(os.environ.get("WANDB_API_KEY")) or (netrc.exists() and "wandb" in netrc.read_text())


def log_results(
    logger: Logger | None,
    slices: Mapping[str, Mapping[str, float]],
    baselines: Mapping[str, Mapping[str, float]] | None = None,
    figures: Sequence[Path] = (),
) -> None:
    """Sends the final metrics to a tracker.

    TensorBoard gets every metric of every slice. Weights & Biases gets them in one table, the baselines in another, the
    figures, and a short summary. The CSV file gets nothing, because ``metrics.json`` holds these numbers.

    Args:
        logger: The tracker, from ``open``.
        slices: Metrics by slice.
        baselines: Metrics over all targets by baseline.
        figures: Image files.
    """
    if logger is None or isinstance(logger, CSVLogger):
        return
    if isinstance(logger, WandbLogger):
        every = slices.get("all", {})
        _log_table(logger, "slices", "slice", slices)
        if baselines:
            _log_table(logger, "baselines", "row", {**baselines, "this run": every})
        for path in figures:
            logger.log_image(path.stem, [str(path)])
        logger.experiment.summary.update({f"test/{metric}": every[metric] for metric in SUMMARY if metric in every})
        logger.experiment.finish()
    else:
        flat = {f"test/{name}/{metric}": value for name, values in slices.items() for metric, value in values.items()}
        logger.log_metrics(flat)
    logger.finalize("success")


def _log_table(logger: WandbLogger, key: str, first: str, rows: Mapping[str, Mapping[str, float]]) -> None:
    columns = sorted({metric for values in rows.values() for metric in values})
    data = [[name, *(values.get(column) for column in columns)] for name, values in rows.items()]
    logger.log_table(key, columns=[first, *columns], data=data)
