"""Where a model is perturbed, and the hooks that do it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from seasonrec.errors import UserError
from seasonrec.models.backbone.none import NoBackbone
from seasonrec.models.item_encoder.text import TextItems
from seasonrec.models.item_encoder.tuned_text import TunedTextItems
from seasonrec.models.recommender import SeasonalRecommender

Target = Literal["items", "inputs", "text"]
"""What is perturbed.

- ``items``: item vectors ``(V, D)`` (or those of a batch's sample), which are both read and scored.
- ``inputs``: what the backbone reads, ``(B, T + 1, D)``; the scored items stay as they are.
- ``text``: text vectors ``(V, H)``, before their projection to ``D``.
"""

Change = Callable[[Tensor, Tensor | None], Tensor]
"""Vectors and where they are padding, ``(B, T + 1)`` or None, to what stands in their place."""


def check_target(model: SeasonalRecommender, target: Target, option: str = "adversarial.target") -> None:
    """Refuses a target that a model has not.

    Args:
        model: The recommender.
        target: Where it is to be perturbed.
        option: Name of the option that asks for it.

    Raises:
        ValueError: Names what the model has.
    """
    reads_events = not isinstance(model.backbone, NoBackbone)
    has = {"items": True, "inputs": reads_events, "text": _text_part(model) is not None}
    if not has.get(target, False):
        needs = {"inputs": "a backbone that reads events", "text": "an item encoder with texts"}
        parts = {"inputs": model.backbone, "text": model.item_encoder}
        met = f"; {target} needs {needs[target]}, got {type(parts[target]).__name__}" if target in needs else ""
        raise UserError(
            f"{option} must be one that the model has, {', '.join(name for name in has if has[name])}, got "
            f"{target!r}{met}."
        )


@contextmanager
def changed(model: SeasonalRecommender, target: Target, change: Change) -> Iterator[None]:
    """Puts ``change`` between a target and what reads it, for as long as it is open.

    Args:
        model: The recommender; one that :func:`check_target` lets pass.
        target: Where.
        change: Called whenever the model comes by.
    """
    with ExitStack() as hooks:
        if target == "items":
            handle = model.item_encoder.register_forward_hook(lambda part, given, vectors: change(vectors, None))
            hooks.callback(handle.remove)
        elif target == "text":
            handle = _projection(model).register_forward_pre_hook(lambda part, given: (change(given[0], None),))
            hooks.callback(handle.remove)
        else:
            handle = model.backbone.register_forward_pre_hook(lambda part, given: (change(*given), given[1]))
            hooks.callback(handle.remove)
            hooks.enter_context(_changed_at(model.backbone, change))
        yield


@contextmanager
def _changed_at(backbone: Any, change: Change) -> Iterator[None]:
    """The same for ``ReadsAtPosition.at``, which calls no hooks."""
    if not hasattr(backbone, "at"):
        yield
        return
    plain = backbone.at

    def at(inputs: Tensor, position: Tensor) -> Tensor:
        unread = torch.arange(inputs.shape[1], device=inputs.device) > position[:, None]
        return plain(change(inputs, unread), position)

    backbone.at = at  # of this object alone, in front of its class's method
    try:
        yield
    finally:
        del backbone.at


def _projection(model: SeasonalRecommender) -> nn.Module:
    """What the texts' vectors go through.

    Raises:
        ValueError: If the model reads no texts.
    """
    part = _text_part(model)
    if part is None:
        raise UserError(f"target=text needs an item encoder with texts, got {type(model.item_encoder).__name__}.")
    return part.project


def _text_part(model: SeasonalRecommender) -> TextItems | TunedTextItems | None:
    return next((one for one in model.item_encoder.modules() if isinstance(one, TextItems | TunedTextItems)), None)
