"""LoRA: trainable low-rank updates of frozen matrices."""

from __future__ import annotations

from typing import Any

from torch import nn

from seasonrec.batches.facts import Facts
from seasonrec.models.peft.base import Target
from seasonrec.models.peft.layers import TargetModules, attention_inputs, is_conv1d, resolved
from seasonrec.models.peft.library import LibraryTuning, wrapped
from seasonrec.ranges import BelowOne, Positive, Width, ranged


@ranged("peft")
class LoRA(LibraryTuning):
    """Trainable updates ``B A`` of rank ``r`` to frozen matrices ``W``: ``W x + (alpha / r) B A x``.

    ``B`` is initialised to zero, so the language model's initial outputs are unchanged.

    Args:
        rank: ``r``.
        alpha: Scale of the product.
        dropout: Dropout on the input of ``A``.
        target_modules: Suffixes of the linear layers' names, or ``"all-linear"``; None selects queries and values, or
            the matrix that contains them.
        target: Components whose language model is tuned.

    Raises:
        ValueError: If ``rank`` is below 1 or ``alpha`` is not above 0; from ``apply``, if a target matches no layer.

    References:
        Hu et al., LoRA, ICLR 2022.
    """

    option = "lora"
    use_dora = False

    def __init__(
        self,
        rank: Width = 8,
        alpha: Positive = 16.0,
        dropout: BelowOne = 0.0,
        target_modules: TargetModules = None,
        target: Target = "all",
        *,
        facts: Facts,
    ) -> None:
        super().__init__(target, facts=facts)
        self.options: dict[str, Any] = {"r": rank, "lora_alpha": alpha, "lora_dropout": dropout}
        self.target_modules = target_modules

    def tune(self, language_model: Any) -> nn.Module:
        from peft import LoraConfig

        usual = attention_inputs(language_model, "query", "value")
        names = resolved(language_model, self.target_modules, usual, self.option)
        config = LoraConfig(
            **self.options,
            target_modules=names,
            fan_in_fan_out=is_conv1d(language_model, names),
            use_dora=self.use_dora,
        )
        return wrapped(language_model, config)
