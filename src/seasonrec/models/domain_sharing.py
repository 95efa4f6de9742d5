"""What the models of several domains have in common."""

from __future__ import annotations

from torch import nn

from seasonrec.models.language.inside import language_models
from seasonrec.models.recommender import SeasonalRecommender

TEXT_PARTS = ("language_model", "project")
"""Names, in every item encoder, of the parts that know words and no item: they fit any catalogue with texts."""


def share(main: SeasonalRecommender, other: SeasonalRecommender) -> tuple[str, ...]:
    """Puts modules of one recommender into another, so that both are trained by the batches of either.

    These become the very same objects: the backbone, the temporal module, the start vector, and of the item encoder
    what reads texts (a trained language model, and the projection of its vectors). The other keeps what belongs to its
    own data: vectors of item ids, the texts themselves, season, habit, head. What a module without weights was told of
    its data, such as the clock of its time zone in ``temporal=transformer_time``, also stays. Items without text
    (``item_encoder=id``) have nothing to share.

    A way of tuning must have been applied to ``main`` before: what it has put around a language model is shared too.

    Args:
        main: The recommender whose modules are kept.
        other: One that was built from the same options for other data; changed in place.

    Returns:
        Names of the modules and weights that are shared, as in ``named_modules`` and ``named_parameters``.
    """
    other.start = main.start
    other.backbone = main.backbone
    other.temporal, shared = _common(main.temporal, other.temporal, "temporal")
    return ("start", "backbone", *shared, *_share_text(main.item_encoder, other.item_encoder))


def own_parameters(main: SeasonalRecommender, other: SeasonalRecommender) -> dict[str, nn.Parameter]:
    """The weights of ``other`` that :func:`share` has left to it, by name."""
    of_main = {id(parameter) for parameter in main.parameters()}
    return {name: parameter for name, parameter in other.named_parameters() if id(parameter) not in of_main}


def _common(main: nn.Module, other: nn.Module, name: str) -> tuple[nn.Module, list[str]]:
    """What stands in the place of ``other`` from now on, and the names of what it has in common with ``main``."""
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
        if key in TEXT_PARTS and not name.startswith(inside):
            setattr(other.get_submodule(parent), key, module)
            shared.append(f"item_encoder.{name}")
    return shared
