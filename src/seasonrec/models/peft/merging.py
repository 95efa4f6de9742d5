"""A tuned model as a plain one."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

from torch import nn

Model = TypeVar("Model", bound=nn.Module)


def merged(model: Model) -> Model:
    """A copy whose language models are plain ones with equal outputs: what was tuned is in their weights.

    It is a model of ``peft=none``; :func:`~seasonrec.training.checkpointing.weights.save_weights` writes all of it.

    Args:
        model: A recommender, with its way of tuning as ``peft``; it stays as it is.

    Raises:
        ValueError: If the method does not allow it.
    """
    plain = copy.deepcopy(model)
    tuning: Any = plain.peft
    tuning.merge(plain)
    return plain
