"""Prompt tuning: learned vectors before the sequence."""

from __future__ import annotations

from typing import Any

from torch import nn

from seasonrec.batches.facts import Facts
from seasonrec.errors import UserError
from seasonrec.models.language.pretrained import num_positions
from seasonrec.models.peft.base import Target, Unmergeable
from seasonrec.models.peft.library import wrapped
from seasonrec.ranges import Length, ranged


@ranged("peft")
class PromptTuning(Unmergeable):
    """Trained vectors that precede every sequence; the language model itself is frozen.

    The vectors take up positions of the language model; its component removes them from the output. Their random
    initialisation changes the language model's initial outputs. They cannot be merged into its weights.

    Args:
        num_tokens: Number of vectors.
        target: Components whose language model is tuned.

    Raises:
        ValueError: If ``num_tokens`` is below 1; from ``apply``, if the language model has too few positions; from
            ``merge``, always.

    References:
        Lester, Al-Rfou and Constant, The Power of Scale for Parameter-Efficient Prompt Tuning, EMNLP 2021.
    """

    option = "prompt"

    def __init__(self, num_tokens: Length = 8, target: Target = "all", *, facts: Facts) -> None:
        super().__init__(target, facts=facts)
        self.num_tokens = num_tokens

    def apply(self, model: nn.Module) -> None:
        super().apply(model)
        for name, component in self.components.items():
            known, wanted = num_positions(component.language_model), self.num_tokens + component.num_positions_read
            if known is not None and known < wanted:
                raise UserError(
                    f"peft.num_tokens={self.num_tokens} plus the {component.num_positions_read} positions that {name} "
                    f"reads must fit the {known} positions of its language model, got {wanted}; set peft.num_tokens to "
                    f"at most {known - component.num_positions_read}, or lower max_seq_len."
                )

    def tune(self, language_model: Any) -> nn.Module:
        from peft import PromptTuningConfig, TaskType

        task = TaskType.FEATURE_EXTRACTION
        return wrapped(language_model, PromptTuningConfig(task_type=task, num_virtual_tokens=self.num_tokens))
