"""Merging of a tuned model into a plain one."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

from torch import nn

Model = TypeVar("Model", bound=nn.Module)


def merged(model: Model) -> Model:
    """Returns a copy with plain language models that have the tuning merged into their weights and equal outputs.

    The copy is a model of ``peft=none``; :func:`~seasonrec.training.checkpointing.weights.save_weights` saves all of
    its weights.

    Args:
        model: Recommender with its tuning method as ``peft``; it is not changed.

    Raises:
        ValueError: If the method does not allow merging.
    """
    plain = copy.deepcopy(model)
    tuning: Any = plain.peft
    tuning.merge(plain)
    return plain
