"""What tasks are told of what came after a request. Labels look ahead, so no model part may read them as context.

A label is read from the request's own part of the log and never beyond the next cut: what a training request is told
ends before the validation cut, what a validation request is told before the test cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from seasonrec.batches.requests import Requests
from seasonrec.data.log import EventLog
from seasonrec.errors import UserError


@dataclass(frozen=True)
class Cuts:
    """Where the parts of the log end.

    Args:
        times_s: Rising seconds at which a part ends; nothing at or after it is told to a request before it. The last is
            the end of the log.
    """

    times_s: tuple[int, ...]

    def until_s(self, requests: Requests) -> NDArray[np.int64]:
        """``(N,)`` first second that the labels of each request must not see."""
        ends = np.asarray(self.times_s, dtype=np.int64)
        return ends[np.minimum(np.searchsorted(ends, requests.times_s, side="right"), len(ends) - 1)]


class BoundLabels(Protocol):
    """Labels of one log."""

    def __call__(self, requests: Requests) -> Any:
        """A frozen dataclass of tensors for ``N`` requests."""
        ...


class Labels(Protocol):
    """Asks for labels; frozen, equal where they would give the same.

    Attributes:
        name: Under which a batch holds them.
    """

    @property
    def name(self) -> str: ...

    def bind(self, log: EventLog, cuts: Cuts) -> BoundLabels:
        """Labels of a log.

        Raises:
            ValueError: If the data lacks what they are made of.
        """
        ...


def union(labels: Iterable[Labels]) -> dict[str, Labels]:
    """Labels by name, each once.

    Raises:
        ValueError: If two of one name differ.
    """
    found: dict[str, Labels] = {}
    for label in labels:
        if found.setdefault(label.name, label) != label:
            raise UserError(
                f"two tasks ask for labels {label.name!r} with different options, {found[label.name]} and {label}; "
                "give both tasks the same options."
            )
    return found


def bind_all(labels: Mapping[str, Labels], log: EventLog, cuts: Cuts) -> dict[str, BoundLabels]:
    """Binds each."""
    return {name: label.bind(log, cuts) for name, label in labels.items()}
