"""IA3: learned scales of keys, values and feed-forward activations."""

from __future__ import annotations

from typing import Any

from torch import nn

from seasonrec.batches.facts import Facts
from seasonrec.models.peft.base import Target
from seasonrec.models.peft.layers import (
    KEY,
    VALUE,
    attention_inputs,
    both_kinds,
    feedforward_outputs,
    is_conv1d,
    resolved,
)
from seasonrec.models.peft.library import LibraryTuning, wrapped


class IA3(LibraryTuning):
    """Trains a scale for each key, each value, and each input of the second feed-forward matrix.

    The scales start at one, so that the language model starts as it was loaded. Where one matrix gives queries, keys
    and values together, as in GPT-2, the queries are scaled too.

    Args:
        target_modules: Linear layers whose outputs are scaled (of feed-forward layers, the inputs), by the ends of
            their names; None takes the above.
        target: Whose language model is tuned.

    Raises:
        ValueError: From ``apply``, if a target matches no layer, or the layers of a block are not known by name.

    References:
        Liu et al., Few-Shot Parameter-Efficient Fine-Tuning is Better and Cheaper than In-Context Learning, NeurIPS
        2022.
    """

    option = "ia3"

    def __init__(self, target_modules: tuple[str, ...] | None = None, target: Target = "all", *, facts: Facts) -> None:
        super().__init__(target)
        self.target_modules = target_modules

    def tune(self, language_model: Any) -> nn.Module:
        from peft import IA3Config

        second = feedforward_outputs(language_model)
        usual = []
        if self.target_modules is None:
            usual = both_kinds(language_model, attention_inputs(language_model, KEY, VALUE), second, self.option)
        names = resolved(language_model, self.target_modules, usual, self.option)
        config = IA3Config(
            target_modules=names,
            feedforward_modules=[name for name in names if name in second],
            fan_in_fan_out=is_conv1d(language_model, names),
        )
        return wrapped(language_model, config)
