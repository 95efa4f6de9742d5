"""Merging of a tuned model into a plain one."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

from torch import nn

Model = TypeVar("Model", bound=nn.Module)


def merged(model: Model) -> Model:
    """Returns a copy with equal outputs and plain language models, whose weights include the tuning.

    The copy is a model of ``peft=none``; :func:`~seasonrec.training.checkpointing.weights.save_weights` saves all of
    its weights.

    Args:
        model: Recommender with its tuning method as ``peft``; it is not changed.

    Raises:
        ValueError: If the method does not allow merging.
    """
    plain: Any = copy.deepcopy(model)
    plain.peft.merge(plain)
    return plain
