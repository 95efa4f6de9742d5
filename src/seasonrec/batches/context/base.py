"""What the model may know of a request besides the sequence, and who computes it."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from seasonrec.batches.requests import Requests
from seasonrec.data.log import EventLog
from seasonrec.data.spec import DataSpec
from seasonrec.errors import UserError


class ContextValue(Protocol):
    """What a context says of the requests of a batch: a frozen dataclass of tensors."""

    def rows(self, start: int, stop: int) -> ContextValue:
        """What it says of the requests ``start:stop`` alone, numbered from 0."""
        ...


class BoundContext(Protocol):
    """A context over one log; called for every batch of requests."""

    def __call__(self, requests: Requests, items: NDArray[np.int64] | None = None) -> ContextValue:
        """Gives a frozen dataclass of tensors, computed from events before ``requests.known_until_s`` alone.

        Args:
            requests: The ``N`` requests.
            items: ``(C,)`` rising item numbers, where a batch is scored on them and not on the whole catalogue. A
                context with a value for every item (``momentum``, ``last_year``) then gives these columns alone, equal
                to the bit to those of the whole table. The others accept and ignore it: ``calendar`` knows no items,
                and ``own_history`` names the items of its pairs by their number in the catalogue.
        """
        ...


class Context(Protocol):
    """A context as a model part asks for it: a frozen dataclass of options.

    A part lists its contexts in ``reads``; the loader computes the union, once each, and the part gets just its own.
    """

    @property
    def name(self) -> str:
        """Key of the value in ``SequenceBatch.context``."""
        ...

    def bind(self, log: EventLog, spec: DataSpec) -> BoundContext:
        """Builds the look-up structures over a log. Statistics come from before ``spec.train_until_s``."""
        ...


def union(contexts: list[Context]) -> dict[str, Context]:
    """The distinct contexts by name.

    Raises:
        ValueError: If two parts ask for one name with different options.
    """
    found: dict[str, Context] = {}
    for context in contexts:
        known = found.setdefault(context.name, context)
        if known != context:
            raise UserError(
                f"context {context.name!r} is read with two different options: {known} and {context}; "
                "give both parts the same options."
            )
    return found
