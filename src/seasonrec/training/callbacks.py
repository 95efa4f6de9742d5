"""Callbacks and checkpoint writing that make a killed run continue as if nothing had happened."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint under another name and renames it, so that a kill leaves the one before."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=target.parent, suffix=".tmp")
        os.close(handle)
        super().save_checkpoint(checkpoint, temporary, storage_options)
        Path(temporary).replace(target)


class RandomState(L.Callback):
    """Keeps the random state of torch in every checkpoint and restores it before the first step after a resume.

    Lightning restores weights, optimiser and loop counters, but not the generator that dropout draws from.
    """

    def __init__(self) -> None:
        self._restored: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        return {"cpu": torch.get_rng_state(), "cuda": cuda}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._restored = state_dict

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int) -> None:
        if self._restored is None:
            return
        torch.set_rng_state(_as_bytes(self._restored["cpu"]))
        if self._restored["cuda"] and torch.cuda.is_available():
            torch.cuda.set_rng_state_all([_as_bytes(state) for state in self._restored["cuda"]])
        self._restored = None


def _as_bytes(state: Tensor) -> Tensor:
    return state.to(device="cpu", dtype=torch.uint8)
