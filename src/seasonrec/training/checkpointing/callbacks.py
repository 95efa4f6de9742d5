"""Callbacks and checkpoint writing that let a killed run continue exactly."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from statistics import median
from typing import Any, Protocol, runtime_checkable

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor, distributed

from seasonrec.atomic import writing
from seasonrec.batches.sharding import Shard
from seasonrec.errors import UserError
from seasonrec.memory import Peaks, highest, peak_memory
from seasonrec.training.checkpointing.last import keep_previous


class AtomicCheckpointIO(TorchCheckpointIO):
    """Atomic writing of checkpoints with their digests, so that a kill leaves the previous one.

    Lightning's own writer makes the file in memory first, then a copy in the machine's temporary folder.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        with writing(Path(path)) as temporary:
            torch.save(checkpoint, temporary)
            keep_previous(Path(path), temporary)


class RandomState(L.Callback):
    """Random state of torch in every checkpoint, restored before the first step after a resume.

    Lightning restores weights, optimiser and loop counters, but not the generator of dropout. Every process of a run
    has its own state, so that processes drop different places; one checkpoint holds all states.
    """

    def __init__(self) -> None:
        self._restored: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        cuda = [torch.cuda.get_rng_state()] if torch.cuda.is_available() else []
        return {"ranks": _states_of_all({"cpu": torch.get_rng_state(), "cuda": cuda})}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        shard, states = Shard.current(), state_dict["ranks"]
        if len(states) != shard.world_size:
            raise UserError(
                f"a run that continues needs as many processes as before, {len(states)}, got {shard.world_size}; set "
                "trainer.devices and trainer.num_nodes as they were."
            )
        self._restored = states[shard.rank]

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.global_rank:  # the first process keeps the seed of the run
            seeds = np.random.SeedSequence((torch.initial_seed(), trainer.global_rank))
            torch.manual_seed(int(seeds.generate_state(1)[0]))

    def on_train_batch_start(self, *unused: Any) -> None:
        if self._restored is None:
            return
        torch.set_rng_state(_as_bytes(self._restored["cpu"]))
        if self._restored["cuda"] and torch.cuda.is_available():
            torch.cuda.set_rng_state(_as_bytes(self._restored["cuda"][0]))
        self._restored = None


@runtime_checkable
class ResumableLoader(Protocol):
    """Batches whose position in the epoch can be saved and restored."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class LoaderPosition(L.Callback):
    """Position of the training loader in every checkpoint.

    Lightning 2.6 saves a loader's state but does not restore it if an optimiser reads ``estimated_stepping_batches``
    (the loader is set up before the checkpoint is read) or if an epoch is complete.

    Args:
        loader: Training batches; a loader without a state starts its epoch again after a kill.
    """

    def __init__(self, loader: object) -> None:
        self.loader = loader

    def state_dict(self) -> dict[str, Any]:
        return self.loader.state_dict() if isinstance(self.loader, ResumableLoader) else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if isinstance(self.loader, ResumableLoader):
            self.loader.load_state_dict(state_dict)


class Patience(EarlyStopping):
    """Early stopping that survives a restart: a run that was killed after its last epoch trains no further."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.stopping_reason != EarlyStoppingReason.NOT_STOPPED:
            trainer.should_stop = True


class StopAfter(L.Callback):
    """End of the training after a number of epochs, although the schedule of the learning rate may be longer.

    Args:
        epochs: Number of epochs.
    """

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        trainer.should_stop = trainer.current_epoch + 1 >= self.epochs

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        trainer.should_stop = trainer.current_epoch >= self.epochs  # if a kill came after the last epoch


class CostsSoFar(L.Callback):
    """Costs of the training in every checkpoint, so that a killed run knows its costs before the kill.

    Attributes:
        earlier_s: Seconds of training up to the checkpoint from which the run resumed; 0 without one.
        earlier_peaks: Peaks of memory up to that checkpoint, named as in :func:`~seasonrec.memory.peak_memory`.
    """

    def __init__(self) -> None:
        self.earlier_s = 0.0
        self.earlier_peaks: Peaks = {}
        self._created_s = time.perf_counter()

    def state_dict(self) -> dict[str, Any]:
        seconds = self.earlier_s + time.perf_counter() - self._created_s
        return {"seconds": seconds, "peaks": highest(self.earlier_peaks, peak_memory())}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.earlier_s, self.earlier_peaks = state_dict["seconds"], state_dict["peaks"]


class OwnSigterm(L.Callback):
    """The handler of SIGTERM from before the training, in place of Lightning's, which waits for all processes.

    Without a handler from before, Lightning's stays: it ends the training after the batch.
    """

    def __init__(self) -> None:
        self._before = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self._before not in (None, signal.SIG_DFL) and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._before)


class StepClock(L.Callback):
    """Timer of training steps without loading; a step with accumulated batches takes the sum of their times.

    Args:
        every: Interval of the timed steps. On a GPU, a timed step is synchronised.
    """

    def __init__(self, every: int = 8) -> None:
        self.every = every
        self._step = 0
        self._began_s = self._spent_s = 0.0
        self._seconds: list[float] = []

    @property
    def median_ms(self) -> float | None:
        """Median time of a step since the last start of the run, in milliseconds; None before the first."""
        return 1e3 * median(self._seconds) if self._seconds else None

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, *unused: Any) -> None:
        self._step = trainer.global_step
        if self._step % self.every == 0:
            self._began_s = _now_s(pl_module.device)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *unused: Any) -> None:
        if self._step % self.every == 0:
            self._spent_s += _now_s(pl_module.device) - self._began_s
            if trainer.global_step > self._step:
                self._seconds.append(self._spent_s)
                self._spent_s = 0.0


def _now_s(device: torch.device) -> float:
    """Returns the time at which the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _states_of_all(state: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the states of all processes by rank; every process must call it."""
    states = [state] * Shard.current().world_size
    if len(states) > 1:
        distributed.all_gather_object(states, state)
    return states


def _as_bytes(state: Tensor) -> Tensor:
    return state.to(device="cpu", dtype=torch.uint8)
