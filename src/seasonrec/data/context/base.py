"""What the model may know of a request besides the sequence, and who computes it."""

from __future__ import annotations

from typing import Any, Protocol

from seasonrec.data.log import EventLog
from seasonrec.data.requests import Requests
from seasonrec.data.spec import DataSpec


class BoundContext(Protocol):
    """A context over one log; called for every batch of requests."""

    def __call__(self, requests: Requests) -> Any:
        """Gives a frozen dataclass of tensors, computed from events before ``requests.known_until_s`` alone."""
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
            raise ValueError(
                f"context {context.name!r} is read with two different options: {known} and {context}; "
                "give both parts the same options."
            )
    return found
