"""Adapters: small bottleneck networks after the blocks of every layer."""

from __future__ import annotations

from typing import Any, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from seasonrec.batches.facts import Facts
from seasonrec.models.kernels.dropout import Dropout
from seasonrec.models.peft.base import Target, Unmergeable
from seasonrec.models.peft.layers import attention_outputs, both_kinds, feedforward_outputs, is_conv1d, resolved
from seasonrec.ranges import BelowOne, Width, ranged


@ranged("peft")
class Adapter(Unmergeable):
    """Trainable bottlenecks ``y + U gelu(D y)`` on the outputs ``y`` of blocks, before the residual is added.

    ``U`` is initialised to zero, so the language model's initial outputs are unchanged. Adapters are nonlinear and
    cannot be merged into its weights. They are implemented here because no library that has them supports the current
    version of transformers.

    Args:
        bottleneck_dim: Rows of ``D``.
        after: ``"both"`` for the attention and the feed-forward block of each layer, as in Houlsby et al.;
            ``"feedforward"`` for the feed-forward block only, as in Pfeiffer et al.
        dropout: Dropout on the bottleneck.
        target_modules: Suffixes of the names of the blocks' last linear layers, for a language model of an unknown
            type; None finds them automatically.
        target: Components whose language model is tuned.

    Raises:
        ValueError: If ``bottleneck_dim`` is below 1; from ``apply``, if a target matches no layer.

    References:
        Houlsby et al., Parameter-Efficient Transfer Learning for NLP, ICML 2019; Pfeiffer et al., AdapterFusion, EACL
        2021.
    """

    option = "adapter"

    def __init__(
        self,
        bottleneck_dim: Width = 32,
        after: Literal["both", "feedforward"] = "both",
        dropout: BelowOne = 0.0,
        target_modules: tuple[str, ...] | None = None,
        target: Target = "all",
        *,
        facts: Facts,
    ) -> None:
        super().__init__(target, facts=facts)
        self.bottleneck_dim = bottleneck_dim
        self.after = after
        self.dropout = dropout
        self.target_modules = target_modules

    def tune(self, language_model: Any) -> nn.Module:
        usual = feedforward_outputs(language_model)
        if self.after == "both" and self.target_modules is None:
            usual = both_kinds(language_model, attention_outputs(language_model), usual, self.option)
        names = resolved(language_model, self.target_modules, usual, self.option)
        language_model.requires_grad_(False)
        for name in names:
            block = language_model.get_submodule(name)
            width = int(block.nf if is_conv1d(language_model, [name]) else block.out_features)
            language_model.set_submodule(name, _AdaptedLayer(block, width, self.bottleneck_dim, self.dropout))
        return language_model


class _AdaptedLayer(nn.Module):
    """Frozen linear layer with a trainable bottleneck on its output ``(..., width)``."""

    def __init__(self, block: nn.Module, width: int, bottleneck_dim: int, dropout: float) -> None:
        super().__init__()
        self.block = block
        self.down = nn.Linear(width, bottleneck_dim)
        self.up = nn.Linear(bottleneck_dim, width)
        self.dropout = Dropout(dropout)
        nn.init.normal_(self.down.weight, std=0.02)
        nn.init.zeros_(self.down.bias)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        output: Tensor = self.block(inputs)
        return output + self.up(self.dropout(F.gelu(self.down(output))))
