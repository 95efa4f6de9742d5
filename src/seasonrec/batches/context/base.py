"""Interfaces of context: what the model reads of a request besides the sequence."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from seasonrec.batches.requests import Requests
from seasonrec.data.log import EventLog
from seasonrec.data.spec import DataSpec
from seasonrec.errors import UserError


class ContextValue(Protocol):
    """Values of a context for the requests of a batch: a frozen dataclass of tensors."""

    def rows(self, start: int, stop: int) -> ContextValue:
        """Returns the values of the requests ``start:stop`` alone, numbered from 0."""
        ...


class BoundContext(Protocol):
    """Context over one log; called for every batch of requests."""

    def __call__(self, requests: Requests, items: NDArray[np.int64] | None = None) -> ContextValue:
        """Returns a frozen dataclass of tensors, computed only from events before ``requests.known_until_s``.

        Args:
            requests: The ``N`` requests.
            items: ``(C,)`` rising item numbers, if a batch is scored on them and not on the whole catalogue. A context
                with a value for every item (``momentum``, ``last_year``) then returns these columns alone, bit for bit
                equal to those of the whole table. The others accept and ignore it: ``calendar`` has no items, and
                ``own_history`` refers to the items of its pairs by their number in the catalogue.
        """
        ...


class Context(Protocol):
    """Request of a component for a context: a frozen dataclass of options.

    A component lists its contexts in ``reads``. The loader computes each distinct context once, and a component gets
    only its own.
    """

    @property
    def name(self) -> str:
        """Key of the value in ``SequenceBatch.context``."""
        ...

    def bind(self, log: EventLog, spec: DataSpec) -> BoundContext:
        """Builds the index over a log; statistics come from before ``spec.train_until_s``."""
        ...


def union(contexts: list[Context]) -> dict[str, Context]:
    """Returns the distinct contexts by name.

    Raises:
        ValueError: If two components ask for one name with different options.
    """
    found: dict[str, Context] = {}
    for context in contexts:
        known = found.setdefault(context.name, context)
        if known != context:
            raise UserError(
                f"context {context.name!r} is read with two different options: {known} and {context}; "
                "give both components the same options."
            )
    return found
