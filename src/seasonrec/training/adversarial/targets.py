"""Targets of perturbations in a model, and the hooks that change them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

import torch
from torch import Tensor

from seasonrec.errors import UserError
from seasonrec.models.backbone.none import NoBackbone
from seasonrec.models.item_encoder.text import TextItems
from seasonrec.models.item_encoder.tuned_text import TunedTextItems
from seasonrec.models.recommender import SeasonalRecommender

Target = Literal["items", "inputs", "text"]
"""Vectors that are perturbed.

- ``items``: item vectors ``(V, D)`` or those of a batch's sample, both as inputs and as scored items.
- ``inputs``: inputs of the backbone, ``(B, T + 1, D)``; the scored items stay unchanged.
- ``text``: text vectors ``(V, H)``, before their projection to ``D``.
"""

Change = Callable[[Tensor, Tensor | None], Tensor]
"""Function of vectors and their padding mask, ``(B, T + 1)`` or None, that returns the replaced vectors."""


def check_target(model: SeasonalRecommender, target: Target, option: str = "adversarial.target") -> None:
    """Checks that a model has a target.

    Args:
        model: The recommender.
        target: Target of the perturbation.
        option: Name of the option that sets it, for the message.

    Raises:
        ValueError: If it does not; the message names the targets that it has.
    """
    reads_events = not isinstance(model.backbone, NoBackbone)
    has = {"items": True, "inputs": reads_events, "text": _text_component(model) is not None}
    if not has.get(target, False):
        needs = {"inputs": "a backbone that reads events", "text": "an item encoder with texts"}
        components = {"inputs": model.backbone, "text": model.item_encoder}
        needed = f"; {target} needs {needs[target]}, got {type(components[target]).__name__}" if target in needs else ""
        raise UserError(
            f"{option} must be one that the model has, {', '.join(name for name in has if has[name])}, got "
            f"{target!r}{needed}."
        )


@contextmanager
def changed(model: SeasonalRecommender, target: Target, change: Change) -> Iterator[None]:
    """Applies ``change`` to a target's vectors before others read them, within the context.

    Args:
        model: The recommender; it has the target, see :func:`check_target`.
        target: Target.
        change: Called at every call of the target.
    """
    with ExitStack() as hooks:
        if target == "items":
            handle = model.item_encoder.register_forward_hook(lambda component, given, vectors: change(vectors, None))
        elif target == "text":
            texts = _text_component(model)
            assert texts is not None  # check_target refused other models
            handle = texts.project.register_forward_pre_hook(lambda component, given: (change(given[0], None),))
        else:
            handle = model.backbone.register_forward_pre_hook(lambda component, given: (change(*given), given[1]))
            hooks.enter_context(_changed_at(model.backbone, change))
        hooks.callback(handle.remove)
        yield


@contextmanager
def _changed_at(backbone: Any, change: Change) -> Iterator[None]:
    """Changes the inputs of ``ReadsAtPosition.at``, which calls no hooks."""
    if not hasattr(backbone, "at"):
        yield
        return
    plain = backbone.at

    def at(inputs: Tensor, position: Tensor) -> Tensor:
        unread = torch.arange(inputs.shape[1], device=inputs.device) > position[:, None]
        return plain(change(inputs, unread), position)

    backbone.at = at  # hides the method of its class on this object only
    try:
        yield
    finally:
        del backbone.at


def _text_component(model: SeasonalRecommender) -> TextItems | TunedTextItems | None:
    return next((one for one in model.item_encoder.modules() if isinstance(one, TextItems | TunedTextItems)), None)
