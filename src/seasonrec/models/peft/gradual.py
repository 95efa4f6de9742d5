"""Gradual unfreezing: one layer after the other, from the top."""

from __future__ import annotations

from typing import Annotated, Any

from torch import nn

from seasonrec.batches.facts import Facts
from seasonrec.models.peft.base import Target, Tuning
from seasonrec.models.peft.layers import depths, layer_stack
from seasonrec.ranges import Between, Share, ranged


@ranged("peft")
class GradualUnfreezing(Tuning):
    """Unfreezing of a language model layer by layer, the top layer first and the embeddings last.

    With ``n`` layers, group ``k`` of ``0..n`` (0 is the top layer, ``n`` the embeddings) trains from step
    ``(first_share + (last_share - first_share) * k / n) * total_steps`` on. The gradients of frozen groups are removed
    before each step. AdamW skips a weight without a gradient: it is neither moved nor decayed, and its moments begin
    when it is unfrozen. Gradient clipping ignores it, too. All weights keep ``requires_grad``, because the optimiser
    and distributed training register them once. A step therefore costs as much as in full tuning, and the checkpoint
    holds every weight. The schedule depends only on the step, so a resumed run needs no state.

    Args:
        first_share: Share of all steps after which the top layer is trained.
        last_share: Share of all steps after which everything is trained.
        target: Components whose language model is tuned.

    Raises:
        ValueError: If the shares are not ``0 <= first_share <= last_share <= 1``.

    References:
        Howard and Ruder, Universal Language Model Fine-tuning for Text Classification, ACL 2018. They unfreeze one
        layer per epoch.
    """

    option = "gradual"

    def __init__(
        self,
        first_share: Annotated[float, Between(0, "last_share")] = 0.0,
        last_share: Share = 0.5,
        target: Target = "all",
        *,
        facts: Facts,
    ) -> None:
        super().__init__(target, facts=facts)
        self.first_share = first_share
        self.last_share = last_share
        self.total_steps: int | None = None

    def tune(self, language_model: Any) -> nn.Module:
        layer_stack(language_model)
        return language_model

    def before_training(self, total_steps: int) -> None:
        self.total_steps = total_steps

    def before_step(self, step: int) -> None:
        for component in self.components.values():
            lowest = self._lowest_trained_depth(component.language_model, step)
            depth = depths(component.language_model)
            for name, parameter in component.language_model.named_parameters():
                if depth[name] < lowest:
                    parameter.grad = None

    def _lowest_trained_depth(self, language_model: nn.Module, step: int) -> int:
        """Returns the lowest depth that is trained at a step: 0 for everything, ``n + 1`` for nothing."""
        if self.total_steps is None:
            raise RuntimeError("peft=gradual: before_training must be called before the first step.")
        _, count = layer_stack(language_model)
        span = self.last_share - self.first_share
        starts = [round((self.first_share + span * k / count) * self.total_steps) for k in range(count + 1)]
        return count + 1 - sum(step >= start for start in starts)
