"""The trained weights of a model, without optimiser or pickles."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from safetensors.torch import load_model, save_file, save_model
from torch import Tensor, nn


def save_weights(path: Path, model: nn.Module) -> None:
    """Writes a model's weights as safetensors, at once or not at all."""
    _replace(path, lambda temporary: save_model(model, temporary))


def save_state(path: Path, state: dict[str, Tensor]) -> None:
    """Writes weights by name, as :func:`save_weights` does with those of a model."""
    _replace(path, lambda temporary: save_file(state, temporary))


def load_weights(path: Path, model: nn.Module) -> None:
    """Reads weights into a model of the same configuration.

    Raises:
        RuntimeError: If names or shapes differ.
    """
    load_model(model, str(path))


def _replace(path: Path, write: Callable[[str], None]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    write(str(temporary))
    temporary.replace(path)
