"""Training of a recommender: options of the trainer, checkpoints, early stopping, and resume after a kill."""

from __future__ import annotations

import logging
import signal
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.exceptions import SIGTERMException

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.sharding import Shard
from seasonrec.errors import UserError
from seasonrec.memory import Peaks
from seasonrec.models.context_use import check_contexts
from seasonrec.ranges import Count, Processes, Weight, ranged
from seasonrec.training.checkpointing.callbacks import (
    AtomicCheckpointIO,
    CostsSoFar,
    LoaderPosition,
    Patience,
    RandomState,
    StepClock,
    StopAfter,
)
from seasonrec.training.checkpointing.checkpoints import RunCheckpoints, load_best
from seasonrec.training.distributed.processes import RunProcesses
from seasonrec.training.distributed.strategies import strategy_of
from seasonrec.training.module import RecommenderModule
from seasonrec.training.progress import LearningRate, LineProgress, log_every

NOISE = (
    ".*does not have many workers.*",  # batches are built from arrays, without workers
    ".*LeafSpec.*",  # a deprecation between Lightning and torch
    ".*smaller than the logging interval.*",
    ".*but have no `val_dataloader`.*",  # stage=refit trains without validation
    ".*in eval mode at the start of training.*",  # the dropout of a language model stays off on purpose
    ".*GPU available but not used.*",  # the user chose trainer=cpu
    ".*recommended to use `self.log.*sync_dist=True.*",  # logged values are means over all processes already
    ".*ModelParallelStrategy.*experimental.*",
    ".*`broadcast_buffers` is deprecated.*",  # its successor is newer than the oldest supported torch
)
"""Warnings on which a user cannot act."""


@ranged("trainer")
@dataclass(frozen=True)
class TrainerOptions:
    """Length of the training, and its hardware.

    Args:
        max_epochs: Largest number of epochs.
        patience: Epochs without a better ``monitor`` after which training stops.
        monitor: Validation metric that selects the epoch: ``"bits"`` (lower is better) or ``"ndcg@10"``.
        accelerator: ``"cpu"``, ``"gpu"`` or ``"auto"``.
        devices: Devices per machine, with one process each. A step uses ``devices * num_nodes`` batches.
        num_nodes: Machines; above 1, ``torchrun`` or ``srun`` starts the processes.
        strategy: Strategy of several processes: ``"ddp"`` keeps the whole model in each, ``"fsdp"`` a shard of its
            weights and of the optimiser's state; ``"auto"`` is ddp. It has no effect with one process.
        precision: ``"32-true"`` on a CPU, ``"bf16-mixed"`` on a GPU (slower on a CPU without bf16 units).
        gradient_clip_norm: Largest gradient norm of a step; 0 does not clip.
        accumulate_batches: Batches of each process per step; their losses count by targets, as in one large batch.
        compile: Whether to compile the inner network with ``torch.compile``.
        num_threads: CPU threads of torch per process; None keeps torch's choice, or divides it among the processes.
        checkpoint_every_steps: Steps between checkpoints within an epoch.

    Raises:
        ValueError: If a number lies outside its range, or options are incompatible.
    """

    max_epochs: Count = 3
    patience: Count = 2
    monitor: Literal["bits", "ndcg@10"] = "bits"
    accelerator: Literal["cpu", "gpu", "auto"] = "cpu"
    devices: Processes = 1
    num_nodes: Processes = 1
    strategy: Literal["auto", "ddp", "fsdp"] = "auto"
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    gradient_clip_norm: Weight = 1.0
    accumulate_batches: Count = 1
    compile: bool = False
    num_threads: Processes | None = None
    checkpoint_every_steps: Count = 200

    def __post_init__(self) -> None:
        if self.strategy == "fsdp" and self.world_size == 1:
            raise UserError(
                "trainer.strategy=fsdp shards the weights among processes and needs more than one, got "
                "trainer.devices=1; raise trainer.devices, or leave trainer.strategy=auto."
            )

    @property
    def world_size(self) -> int:
        """Processes of the run."""
        return self.devices * self.num_nodes

    @property
    def uses_gpu(self) -> bool:
        """True if the run computes on GPUs of this machine."""
        return self.accelerator == "gpu" or (self.accelerator == "auto" and torch.cuda.is_available())

    def check_machine(self) -> None:
        """Checks that the machine has enough GPUs, before any work is done.

        Raises:
            ValueError: If there are fewer than ``devices``.
        """
        found = torch.cuda.device_count()
        if self.uses_gpu and found < self.devices:
            raise UserError(
                f"trainer.accelerator={self.accelerator} with trainer.devices={self.devices} needs as many GPUs on "
                f"this machine, found {found}; choose trainer=cpu, or trainer=ddp_cpu for several processes."
            )

    def take_threads(self) -> None:
        """Sets the CPU threads of this process."""
        if self.num_threads is not None:
            torch.set_num_threads(self.num_threads)
        elif self.devices > 1 and not self.uses_gpu:
            torch.set_num_threads(max(1, torch.get_num_threads() // self.devices))


@dataclass(frozen=True)
class FitResult:
    """Result of the training.

    Args:
        best_epoch: Epoch (from 0) whose weights the module now holds.
        epochs: Number of epochs.
        best_value: The monitored metric at the best epoch.
        step_ms: Median milliseconds of a training step since the last start of the run; None without a step.
        earlier_s: Seconds of training before the last start, up to the checkpoint of the resume.
        earlier_peaks: Peaks of memory up to that checkpoint, named as in :func:`~seasonrec.memory.peak_memory`.
    """

    best_epoch: int
    epochs: int
    best_value: float
    step_ms: float | None = field(default=None, compare=False)
    earlier_s: float = field(default=0.0, compare=False)
    earlier_peaks: Peaks = field(default_factory=dict, compare=False)


def fit(
    module: RecommenderModule,
    training: Iterable[SequenceBatch],
    validation: Iterable[SequenceBatch] | None,
    options: TrainerOptions,
    run_dir: Path,
    logger: Logger | None = None,
    epochs: int | None = None,
) -> FitResult:
    """Trains a module, from the last checkpoint of ``run_dir`` if there is one.

    Every process calls this with its shard of the batches. A resume needs as many processes as before.

    Args:
        module: Module to train; it holds the best epoch's weights afterwards. With ``strategy=fsdp``, only the file of
            :func:`~seasonrec.training.checkpointing.checkpoints.best_weights` holds them.
        training: Batches; with ``state_dict`` and ``load_state_dict`` for a resume within an epoch.
        validation: Batches of the validation part; the first also checks the components' contexts.
        options: Length, device, precision.
        run_dir: Folder of the run; checkpoints go to ``checkpoints/``.
        logger: Tracker of the curves.
        epochs: Epochs to train without validation, on the schedule of ``max_epochs``; the last one is then the best.
            None lets validation choose the epoch.

    Raises:
        SystemExit: With 143 after SIGTERM, which a cluster sends before a kill; the last checkpoint stays.
    """
    metric = None if validation is None else f"val/{options.monitor}"
    mode: Literal["min", "max"] = "min" if options.monitor == "bits" else "max"
    kept = RunCheckpoints(run_dir / "checkpoints", metric, mode, options.checkpoint_every_steps)
    clock, costs = StepClock(), CostsSoFar()
    stop: L.Callback = StopAfter(epochs or options.max_epochs)
    if metric is not None and validation is not None:
        stop = Patience(metric, mode=mode, patience=options.patience)
        check_contexts(module.model, next(iter(validation)))
    if options.compile:
        module.model.compile()
    with without_noise():
        lines = TQDMProgressBar(refresh_rate=20) if _in_terminal() else LineProgress(epochs or options.max_epochs)
        callbacks = [clock, costs, RandomState(), LoaderPosition(training), stop, kept, LearningRate(), lines]
        every = log_every(training, options.accumulate_batches)
        trainer = _trainer(options, len(module.domains) > 0, callbacks, logger, every)
        begun = kept.resumed()
        resume: Any = None if begun is None else str(begun)
        try:
            trainer.fit(module, training, validation, ckpt_path=resume, weights_only=True)
        except SIGTERMException:  # without this, Lightning ends as if the training were complete
            raise SystemExit(128 + signal.SIGTERM) from None
    epoch, num_epochs = kept.best_epoch, int(trainer.current_epoch)
    if options.strategy != "fsdp":
        load_best(kept.folder, epoch, module.recommenders())
    if validation is not None and epoch + 1 == options.max_epochs > 1:
        print(f"note: the best epoch is the last one ({options.max_epochs}); a larger trainer.max_epochs may do better")
    return FitResult(epoch, num_epochs, kept.best_value, clock.median_ms, costs.earlier_s, costs.earlier_peaks)


def _trainer(
    options: TrainerOptions, some_unused: bool, callbacks: list[L.Callback], logger: Logger | None, log_every: int
) -> L.Trainer:
    processes = [RunProcesses(options.devices)] if RunProcesses.detect() else []
    return L.Trainer(
        max_epochs=options.max_epochs,
        accelerator=options.accelerator,
        devices=options.devices,
        num_nodes=options.num_nodes,
        strategy=strategy_of(options.strategy, options.world_size, some_unused),
        precision=options.precision,
        gradient_clip_val=options.gradient_clip_norm,
        accumulate_grad_batches=options.accumulate_batches,
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO(), *processes],
        logger=logger or False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_model_summary=False,
        enable_progress_bar=_in_terminal(),
        log_every_n_steps=log_every,
    )


def _in_terminal() -> bool:
    return sys.stderr.isatty() and Shard.current().is_first


@contextmanager
def without_noise() -> Iterator[None]:
    """Silences Lightning's notes and known warnings within the block."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.WARNING)
        with warnings.catch_warnings():
            for message in NOISE:
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
