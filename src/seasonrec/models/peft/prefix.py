"""Prefix tuning: learned keys and values before the sequence, in every layer."""

from __future__ import annotations

from typing import Any

from torch import nn

from seasonrec.batches.facts import Facts
from seasonrec.errors import UserError
from seasonrec.models.peft.base import Target
from seasonrec.models.peft.library import wrapped
from seasonrec.models.peft.prompt import PromptTuning
from seasonrec.ranges import Length, Width, ranged


@ranged("peft")
class PrefixTuning(PromptTuning):
    """Trained keys and values that every position may attend to; the language model itself is frozen.

    They are placed in the decoder's key-value cache, so the positions of the sequence start after them. Their random
    initialisation changes the language model's initial outputs. They cannot be merged into its weights.

    Args:
        num_tokens: Number of keys and of values per layer.
        hidden_dim: Width of a network that computes them from learned vectors, as in the paper; None learns them
            directly.
        target: Components whose language model is tuned.

    Raises:
        ValueError: If ``num_tokens`` is below 1; from ``apply``, if the language model has too few positions, or with
            gradient checkpointing, which computes a layer twice and would attend to its own cached keys.

    References:
        Li and Liang, Prefix-Tuning: Optimizing Continuous Prompts for Generation, ACL 2021.
    """

    option = "prefix"

    def __init__(
        self, num_tokens: Length = 8, hidden_dim: Width | None = None, target: Target = "all", *, facts: Facts
    ) -> None:
        super().__init__(num_tokens, target, facts=facts)
        self.hidden_dim = hidden_dim

    def tune(self, language_model: Any) -> nn.Module:
        from peft import PrefixTuningConfig, TaskType

        if any(getattr(module, "gradient_checkpointing", False) for module in language_model.modules()):
            raise UserError(
                "peft=prefix does not support backbone.gradient_checkpointing=true; set it to false, or choose "
                "peft=prompt."
            )
        config = PrefixTuningConfig(
            task_type=TaskType.FEATURE_EXTRACTION,
            num_virtual_tokens=self.num_tokens,
            prefix_projection=self.hidden_dim is not None,
            encoder_hidden_size=self.hidden_dim,  # type: ignore[arg-type]  # unused without a projection
        )
        return wrapped(language_model, config)
