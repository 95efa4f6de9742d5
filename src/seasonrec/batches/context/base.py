"""Interfaces of context: values of a request that the model reads besides the sequence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from seasonrec.batches.requests import Requests
from seasonrec.data.log import EventLog
from seasonrec.data.spec import DataSpec
from seasonrec.errors import UserError


class ContextValue(Protocol):
    """Values of a context for the requests of a batch: a frozen dataclass of tensors."""

    def rows(self, start: int, stop: int) -> ContextValue:
        """Returns the values of the requests ``start:stop`` alone, numbered from 0."""
        ...


@dataclass(frozen=True)
class DayTables:
    """Base of the values that depend on the day of a request only: all requests of one day share a row of tables.

    Args:
        row: ``(N,)`` int64, row of each request in the tables.
    """

    row: Tensor

    def rows(self, start: int, stop: int) -> Self:
        return replace(self, row=self.row[start:stop])


class BoundContext(Protocol):
    """Context of one log; called for every batch of requests."""

    def __call__(self, requests: Requests, items: NDArray[np.int64] | None = None) -> ContextValue:
        """Returns a frozen dataclass of tensors, computed only from events before ``requests.known_until_s``.

        Args:
            items: ``(C,)`` rising item numbers, if a batch is scored on them instead of the whole catalogue. A context
                with a value for every item (``momentum``, ``last_year``) then returns these columns alone, bit for bit
                equal to those of the whole table. Other contexts ignore it.
        """
        ...


class Context(Protocol):
    """Options of a context that a component asks for: a frozen dataclass.

    A component lists its contexts in ``reads`` and receives only these. Each distinct context is computed once.
    """

    @property
    def name(self) -> str:
        """Key of the value in ``SequenceBatch.context``."""
        ...

    def bind(self, log: EventLog, spec: DataSpec) -> BoundContext:
        """Returns the context of a log; its statistics use events before ``spec.train_until_s`` only."""
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
