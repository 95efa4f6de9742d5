"""Fits a recommender: the trainer's options, checkpoints, early stopping, and continuing after a kill."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import Logger

from seasonrec.data.batch import SequenceBatch
from seasonrec.training.callbacks import AtomicCheckpointIO, RandomState
from seasonrec.training.module import RecommenderModule


@dataclass(frozen=True)
class TrainerOptions:
    """How long and on what a model is trained.

    Args:
        max_epochs: Epochs at most.
        patience: Epochs without a better ``monitor`` after which training stops.
        monitor: Validation metric that picks the epoch: ``"bits"`` (lower is better) or ``"ndcg@10"``.
        accelerator: ``"cpu"``, ``"gpu"`` or ``"auto"``.
        devices: How many of them.
        precision: ``"32-true"`` on a CPU, ``"bf16-mixed"`` on a GPU (a CPU without bf16 units is slower with it).
        gradient_clip_norm: Largest gradient norm of a step.
        accumulate_batches: Batches a step.
        compile: Whether the inner network goes through ``torch.compile``.
        num_threads: CPU threads of torch; None leaves torch's choice.
        checkpoint_every_steps: Steps between two checkpoints within an epoch.

    Raises:
        ValueError: If a number lies outside its range.
    """

    max_epochs: int = 4
    patience: int = 2
    monitor: Literal["bits", "ndcg@10"] = "bits"
    accelerator: Literal["cpu", "gpu", "auto"] = "cpu"
    devices: int = 1
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    gradient_clip_norm: float = 1.0
    accumulate_batches: int = 1
    compile: bool = False
    num_threads: int | None = None
    checkpoint_every_steps: int = 200

    def __post_init__(self) -> None:
        for name in ("max_epochs", "patience", "devices", "accumulate_batches", "checkpoint_every_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"trainer.{name} must be at least 1, got {getattr(self, name)}.")
        if self.num_threads is not None and self.num_threads < 1:
            raise ValueError(f"trainer.num_threads must be at least 1 or null, got {self.num_threads}.")


@dataclass(frozen=True)
class FitResult:
    """How the training went.

    Args:
        best_epoch: Epoch (from 0) whose weights the module now holds.
        epochs: Epochs that were run.
        best_value: The monitored metric at the best epoch.
    """

    best_epoch: int
    epochs: int
    best_value: float


def fit(
    module: RecommenderModule,
    training: Iterable[SequenceBatch],
    validation: Iterable[SequenceBatch],
    options: TrainerOptions,
    run_dir: Path,
    logger: Logger | None = None,
) -> FitResult:
    """Trains a module, continuing from the last checkpoint of ``run_dir`` where there is one.

    Args:
        module: What to train; holds the best epoch's weights afterwards.
        training: Batches; with ``state_dict`` and ``load_state_dict`` for a resume in mid-epoch.
        validation: Batches of the validation cut.
        options: Length, device, precision.
        run_dir: Checkpoints go under ``checkpoints/``.
        logger: Curves.

    Returns:
        How it went.
    """
    folder = run_dir / "checkpoints"
    metric, mode = f"val/{options.monitor}", "min" if options.monitor == "bits" else "max"
    last = ModelCheckpoint(
        folder, filename="last", every_n_train_steps=options.checkpoint_every_steps, enable_version_counter=False
    )
    best = ModelCheckpoint(folder, filename="best", monitor=metric, mode=mode, enable_version_counter=False)
    stop = EarlyStopping(metric, mode=mode, patience=options.patience)
    if options.compile:
        module.model.compile()
    trainer = L.Trainer(
        max_epochs=options.max_epochs,
        accelerator=options.accelerator,
        devices=options.devices,
        precision=options.precision,
        gradient_clip_val=options.gradient_clip_norm,
        accumulate_grad_batches=options.accumulate_batches,
        callbacks=[RandomState(), stop, last, best, TQDMProgressBar(refresh_rate=20)],
        plugins=[AtomicCheckpointIO()],
        logger=logger or False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_model_summary=False,
        log_every_n_steps=50,
    )
    checkpoint = folder / "last.ckpt"
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*LeafSpec.*")
        warnings.filterwarnings("ignore", message=".*Checkpoint directory.*exists and is not empty.*")
        resume: Any = str(checkpoint) if checkpoint.exists() else None
        trainer.fit(module, training, validation, ckpt_path=resume, weights_only=True)
    return _take_best(module, trainer, best, options)


def _take_best(
    module: RecommenderModule, trainer: L.Trainer, best: ModelCheckpoint, options: TrainerOptions
) -> FitResult:
    kept = torch.load(best.best_model_path, map_location="cpu", weights_only=True)
    module.load_state_dict(kept["state_dict"])
    epoch, epochs = int(kept["epoch"]), int(trainer.current_epoch)
    if epoch + 1 == options.max_epochs and options.max_epochs > 1:
        print(f"note: the best epoch is the last one ({epoch + 1}); a larger trainer.max_epochs may give better results")
    return FitResult(best_epoch=epoch, epochs=epochs, best_value=float(best.best_model_score or float("nan")))
