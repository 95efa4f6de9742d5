"""No augmentation of texts."""

from __future__ import annotations

from collections.abc import Callable

from seasonrec.batches.facts import Facts
from seasonrec.models.text_augmentation.base import TextVariants


class NoTextAugmentation:
    """Augmentation that leaves the texts as they are."""

    def __init__(self, *, facts: Facts) -> None:
        pass

    def __call__(self, progress: Callable[[str], None] = print) -> TextVariants:
        return ()
