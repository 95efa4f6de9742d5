"""The trained weights of a model, without optimiser or pickles."""

from __future__ import annotations

import os
from pathlib import Path

from safetensors.torch import load_model, save_model
from torch import nn


def save_weights(path: Path, model: nn.Module) -> None:
    """Writes a model's weights as safetensors, at once or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    save_model(model, str(temporary))
    temporary.replace(path)


def load_weights(path: Path, model: nn.Module) -> None:
    """Reads weights into a model of the same configuration.

    Raises:
        RuntimeError: If names or shapes differ.
    """
    load_model(model, str(path))
