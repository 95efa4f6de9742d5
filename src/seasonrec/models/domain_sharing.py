"""Sharing of modules between the models of several domains."""

from __future__ import annotations

from torch import nn

from seasonrec.models.language.lookup import language_models
from seasonrec.models.recommender import SeasonalRecommender

TEXT_MODULES = ("language_model", "project")
"""Names of the modules of an item encoder that fit any catalogue, because they read only texts."""


def share(main: SeasonalRecommender, other: SeasonalRecommender) -> tuple[str, ...]:
    """Puts modules of one recommender into another, so that batches of either domain train both.

    Shared are the backbone, the temporal module, the start vector, and the modules of the item encoder that read texts
    (a trained language model and the projection of its vectors). The other recommender keeps what depends on its data:
    item id vectors, texts, season, habit, head, and modules without weights, such as the time zone of
    ``temporal=transformer_time``. An item encoder without texts (``item_encoder=id``) has nothing to share.

    A tuning method must be applied to ``main`` first; its wrappers of a language model are then shared as well.

    Args:
        main: Recommender whose modules are kept.
        other: Recommender of the same options for other data; changed in place.

    Returns:
        Names of the shared modules and weights, as in ``named_modules`` and ``named_parameters``.
    """
    other.start = main.start
    other.backbone = main.backbone
    other.temporal, shared = _common(main.temporal, other.temporal, "temporal")
    return ("start", "backbone", *shared, *_share_text(main.item_encoder, other.item_encoder))


def own_parameters(main: SeasonalRecommender, other: SeasonalRecommender) -> dict[str, nn.Parameter]:
    """Returns the weights of ``other`` that are not shared after :func:`share`, by name."""
    of_main = {id(parameter) for parameter in main.parameters()}
    return {name: parameter for name, parameter in other.named_parameters() if id(parameter) not in of_main}


def _common(main: nn.Module, other: nn.Module, name: str) -> tuple[nn.Module, list[str]]:
    """Returns the module that replaces ``other``, and the names of its modules and weights shared with ``main``."""
    if not any(True for _ in main.parameters()):
        return other, []
    if not any(True for _ in main.buffers()):
        return main, [name]
    shared = [key for key, parameter in main.named_parameters(recurse=False)]
    for key in shared:
        setattr(other, key, getattr(main, key))
    names = [f"{name}.{key}" for key in shared]
    for key, child in main.named_children():
        kept, found = _common(child, getattr(other, key), f"{name}.{key}")
        setattr(other, key, kept)
        names += found
    return other, names


def _share_text(main: nn.Module, other: nn.Module) -> list[str]:
    inside = tuple(f"{part}.language_model." if part else "language_model." for part in language_models(main))
    shared = []
    for name, module in list(main.named_modules()):
        parent, _, key = name.rpartition(".")
        if key in TEXT_MODULES and not name.startswith(inside):
            setattr(other.get_submodule(parent), key, module)
            shared.append(f"item_encoder.{name}")
    return shared
