"""Items whose text has a word of a list that was fixed before the cut."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from seasonrec.data.log import EventLog
from seasonrec.errors import UserError


def items_with_words(log: EventLog, words: Mapping[str, Sequence[str]]) -> dict[str, NDArray[np.bool_]]:
    """Returns by list the ``(V,)`` bool items whose text has a word that begins with one of the list's, in any case.

    Args:
        log: The prepared log.
        words: Lists of words by name, for example ``{"christmas": ["christmas", "xmas", "bauble"]}``.

    Raises:
        UserError: If a list matches no item or every item: it would be no partition.
    """
    found = {}
    for name, listed in words.items():
        texts = log.items["text"].fill_null("").str.to_lowercase()
        pattern = r"\b(?:" + "|".join(re.escape(word.lower()) for word in listed) + ")"
        items = texts.str.contains(pattern).to_numpy()
        if not 0 < items.sum() < len(items):
            raise UserError(
                f"protocol.words.{name} must match some items and not all, got {int(items.sum()):,} of "
                f"{len(items):,} for {', '.join(listed)}; choose words of the items' texts, such as {texts[0]!r}."
            )
        found[name] = items
    return found
