"""Training and evaluation mode of the modules of a model, which a training keeps as it finds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import nn


def modes_of(model: nn.Module) -> dict[str, bool]:
    """Returns whether each module is in training mode, by name; the modules of a language model may not be."""
    return {name: module.training for name, module in model.named_modules()}


def set_modes(model: nn.Module, modes: Mapping[str, bool]) -> None:
    """Sets the modes of :func:`modes_of`."""
    for name, module in model.named_modules():
        module.training = modes[name]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Sets a model to evaluation mode within the context, and every module back to its mode after it."""
    modes = modes_of(model)
    model.eval()
    try:
        yield
    finally:
        set_modes(model, modes)
