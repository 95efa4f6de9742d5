"""Low-rank updates of all matrices of a recommender.

The library peft wraps layers. The components of a recommender also read their matrices directly, for example a table of
item vectors, so that the update is part of the matrix here.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


class LowRank(nn.Module):
    """The matrix ``W + (alpha / r) B A``; ``B`` starts at zero.

    Args:
        weight: ``(O, I)``, ``W``.
        rank: ``r``.
        alpha: Scale of the product.

    References:
        Hu et al., LoRA, ICLR 2022.
    """

    def __init__(self, weight: Tensor, rank: int, alpha: float) -> None:
        super().__init__()
        self.down = nn.Parameter(weight.new_empty(rank, weight.shape[1]))
        nn.init.normal_(self.down, std=weight.shape[1] ** -0.5)
        self.up = nn.Parameter(weight.new_zeros(len(weight), rank))
        self.scale = alpha / rank

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.scale * self.up @ self.down


def add_low_rank(model: nn.Module, rank: int, alpha: float) -> list[nn.Parameter]:
    """Freezes a model, adds a low-rank update to each of its trained matrices, and returns the weights of the updates.

    A matrix whose smaller side is not above the rank stays as it is, because its update would be no smaller.
    """
    matrices = list(_matrices(model, rank))
    model.requires_grad_(False)
    added: list[nn.Parameter] = []
    for owner, name in matrices:
        update = LowRank(getattr(owner, name), rank, alpha)
        parametrize.register_parametrization(owner, name, update)
        added += [update.down, update.up]
    return added


def merge_low_rank(model: nn.Module) -> None:
    """Turns all low-rank updates into plain matrices with the same values; they come last among a layer's weights."""
    for owner in list(model.modules()):
        if parametrize.is_parametrized(owner):
            for name in list(owner.parametrizations):  # type: ignore[arg-type]  # a ModuleDict
                with torch.no_grad():
                    parametrize.remove_parametrizations(owner, name, leave_parametrized=True)


def _matrices(model: nn.Module, rank: int) -> Iterator[tuple[nn.Module, str]]:
    """Yields owner and name of each trained matrix; the entries of a list of weights have no name to be set by."""
    for owner in model.modules():
        if not isinstance(owner, nn.ParameterList | nn.ParameterDict):
            for name, weight in owner.named_parameters(recurse=False):
                if weight.requires_grad and weight.ndim == 2 and min(weight.shape) > rank:
                    yield owner, name
