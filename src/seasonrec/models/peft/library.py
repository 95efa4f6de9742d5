"""Base of the methods from the library peft."""

from __future__ import annotations

import warnings
from typing import Any

from torch import nn

from seasonrec.models.peft.base import Tuning


class LibraryTuning(Tuning):
    """Method whose adapters come from the library peft and can be merged into the weights."""

    adds_weights = True

    def plain(self, language_model: Any) -> Any:
        with warnings.catch_warnings(action="ignore"):
            return language_model.merge_and_unload()


def wrapped(language_model: nn.Module, config: Any) -> nn.Module:
    """Returns the plain language model, frozen, with the adapters of a configuration of the library peft."""
    from peft import get_peft_model

    with warnings.catch_warnings(action="ignore"):  # about deprecated names of transformers that the library uses
        return get_peft_model(language_model, config)
