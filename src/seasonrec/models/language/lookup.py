"""Lookup of the language models in a recommender, and of their weights.

A component with a language model has three attributes: ``language_model``; ``is_pretrained``, whether its weights can
be loaded again from their source; and ``num_positions_read``, the maximum number of positions that it reads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


def language_models(model: nn.Module) -> dict[str, Any]:
    """Returns the components that have a language model, by name."""
    components: dict[str, Any] = {}
    for name, module in model.named_modules():
        is_nested = any(name.startswith(f"{component}.language_model") for component in components)
        if not is_nested and isinstance(getattr(module, "language_model", None), nn.Module):
            components[name] = module
    return components


def frozen_names(model: nn.Module) -> set[str]:
    """Returns the names in ``state_dict`` of language model weights that are not trained and can be loaded again."""
    held = tuple(f"{name}.language_model." for name, found in language_models(model).items() if found.is_pretrained)
    return {
        name
        for name, value in model.state_dict(keep_vars=True).items()
        if isinstance(value, nn.Parameter) and not value.requires_grad and name.startswith(held)
    }


def loaded_names(model: nn.Module) -> set[str]:
    """Returns the names of the weights of pretrained language models to which no tuning method adds weights."""
    held = tuple(
        f"{name}.language_model."
        for name, component in language_models(model).items()
        if component.is_pretrained and not getattr(component, "has_added_weights", False)
    )
    return {name for name, _ in model.named_parameters() if name.startswith(held)}


def digest_of(state: Mapping[str, Tensor]) -> str:
    """Returns a digest of the names and bytes of weights; it is the same on every device."""
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(state):
        value = state[name].detach().cpu().contiguous()
        digest.update(f"{name}\0{tuple(value.shape)}\0".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
