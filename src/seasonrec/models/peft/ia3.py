"""IA3: learned scales of keys, values and feed-forward activations."""

from __future__ import annotations

from typing import Any

from torch import nn

from seasonrec.batches.facts import Facts
from seasonrec.models.peft.base import Target
from seasonrec.models.peft.layers import attention_inputs, both_kinds, feedforward_outputs, is_conv1d, resolved
from seasonrec.models.peft.library import LibraryTuning, wrapped


class IA3(LibraryTuning):
    """Trainable scales of each key, each value, and each input of the second feed-forward matrix.

    The scales are initialised to one, so the language model's initial outputs are unchanged. If one matrix gives
    queries, keys and values together, as in GPT-2, the queries are scaled as well.

    Args:
        target_modules: Suffixes of the names of the linear layers whose outputs (for feed-forward layers: inputs) are
            scaled; None selects the layers above.
        target: Components whose language model is tuned.

    Raises:
        ValueError: From ``apply``, if a target matches no layer, or no layer of a block has a known name.

    References:
        Liu et al., Few-Shot Parameter-Efficient Fine-Tuning is Better and Cheaper than In-Context Learning, NeurIPS
        2022.
    """

    option = "ia3"

    def __init__(self, target_modules: tuple[str, ...] | None = None, target: Target = "all", *, facts: Facts) -> None:
        super().__init__(target, facts=facts)
        self.target_modules = target_modules

    def tune(self, language_model: Any) -> nn.Module:
        from peft import IA3Config

        feedforward = feedforward_outputs(language_model)
        usual = []
        if self.target_modules is None:
            attention = attention_inputs(language_model, "key", "value")
            usual = both_kinds(language_model, attention, feedforward, self.option)
        names = resolved(language_model, self.target_modules, usual, self.option)
        config = IA3Config(
            target_modules=names,
            feedforward_modules=[name for name in names if name in feedforward],
            fan_in_fan_out=is_conv1d(language_model, names),
        )
        return wrapped(language_model, config)
