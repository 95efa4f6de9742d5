"""The language models inside a recommender: where they are, what their layers are called, which weights stay as loaded.

A part that holds one has it as ``language_model``, says by ``is_pretrained`` whether its weights can be loaded again
from where they came from, and by ``num_positions_read`` how many positions it reads at most.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


def language_models(model: nn.Module) -> dict[str, Any]:
    """The parts that hold a language model, by name; what stands inside a language model is not looked at."""
    parts: dict[str, Any] = {}
    for name, module in model.named_modules():
        inside = any(name.startswith(f"{part}.language_model") for part in parts)
        if not inside and isinstance(getattr(module, "language_model", None), nn.Module):
            parts[name] = module
    return parts


def frozen_names(model: nn.Module) -> set[str]:
    """Names in ``state_dict`` of the language models' weights that are not trained and can be loaded again."""
    held = [f"{name}.language_model." for name, part in language_models(model).items() if part.is_pretrained]
    return {
        name
        for name, value in model.state_dict(keep_vars=True).items()
        if isinstance(value, nn.Parameter) and not value.requires_grad and name.startswith(tuple(held))
    }


def loaded_names(model: nn.Module) -> set[str]:
    """Names of the weights that language models came with and that may be trained; not those that a method adds."""
    held = [
        f"{name}.language_model."
        for name, part in language_models(model).items()
        if part.is_pretrained and not getattr(part, "has_added_weights", False)
    ]
    return {name for name, _ in model.named_parameters() if name.startswith(tuple(held))}


def digest_of(state: Mapping[str, Tensor]) -> str:
    """Of the names and the bytes of weights: equal for equal weights, wherever they lie."""
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(state):
        value = state[name].detach().cpu().contiguous()
        digest.update(f"{name}\0{tuple(value.shape)}\0".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
