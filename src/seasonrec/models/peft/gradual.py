"""One layer after the other, from the top."""

from __future__ import annotations

from typing import Any

from torch import nn

from seasonrec.batches.facts import Facts
from seasonrec.errors import UserError
from seasonrec.models.peft.base import Target, Tuning
from seasonrec.models.peft.layers import depths, layer_stack


class GradualUnfreezing(Tuning):
    """Thaws a language model layer by layer, the top one first and the embeddings last.

    With ``n`` layers, group ``k`` of ``0..n`` (0 is the top layer, ``n`` the embeddings) trains from step
    ``(first_share + (last_share - first_share) * k / n) * total_steps`` on. What is not yet thawed loses its gradient
    before each step: AdamW passes over a weight without one, so that it is neither moved nor decayed and its moments
    begin when it thaws; the clipping does not count it. The weights ask for gradients all along because the
    optimiser and processes that share gradients are told of them once. So a step costs as much as full tuning does,
    and every weight is in the checkpoint. The schedule follows from the step alone, so a run that goes on needs
    no state.

    Args:
        first_share: Share of all steps after which the top layer thaws.
        last_share: Share of all steps after which everything has thawed.
        target: Whose language model is tuned.

    Raises:
        ValueError: If the shares are not ``0 <= first_share <= last_share <= 1``.

    References:
        Howard and Ruder, Universal Language Model Fine-tuning for Text Classification, ACL 2018 (there, a layer an
        epoch).
    """

    option = "gradual"

    def __init__(
        self, first_share: float = 0.0, last_share: float = 0.5, target: Target = "all", *, facts: Facts
    ) -> None:
        super().__init__(target)
        if not 0 <= first_share <= last_share <= 1:
            raise UserError(
                "peft.first_share and peft.last_share must keep 0 <= first_share <= last_share <= 1, got "
                f"{first_share} and {last_share}; try 0.0 and 0.5."
            )
        self.first_share = first_share
        self.last_share = last_share
        self.total_steps: int | None = None

    def tune(self, language_model: Any) -> nn.Module:
        layer_stack(language_model)
        return language_model

    def before_training(self, total_steps: int) -> None:
        self.total_steps = total_steps

    def before_step(self, step: int) -> None:
        for part in self.parts.values():
            thawed = self.thawed_from(part.language_model, step)
            depth = depths(part.language_model)
            for name, parameter in part.language_model.named_parameters():
                if depth[name] < thawed:
                    parameter.grad = None

    def thawed_from(self, language_model: nn.Module, step: int) -> int:
        """The lowest depth that is trained at a step: 0 for everything, ``n + 1`` for nothing.

        Args:
            language_model: Whose layers are meant.
            step: Steps that were made before.
        """
        if self.total_steps is None:
            raise RuntimeError("peft=gradual: before_training must tell the number of steps before the first one.")
        _, count = layer_stack(language_model)
        span = self.last_share - self.first_share
        starts = [round((self.first_share + span * k / count) * self.total_steps) for k in range(count + 1)]
        return count + 1 - sum(step >= start for start in starts)
