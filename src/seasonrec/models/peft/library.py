"""Methods of the library peft."""

from __future__ import annotations

import warnings
from typing import Any

from torch import nn

from seasonrec.models.peft.base import Tuning


class LibraryTuning(Tuning):
    """A method whose adapters come from peft and can be merged into the weights that they stand beside."""

    adds_weights = True

    def plain(self, language_model: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return language_model.merge_and_unload()


def wrapped(language_model: nn.Module, config: Any) -> nn.Module:
    """The language model, frozen, with peft's adapters in it or around it.

    Args:
        language_model: A plain one.
        config: Of peft.
    """
    from peft import get_peft_model

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on names of transformers that the library will have to follow
        return get_peft_model(language_model, config)
