"""Labels: what tasks are told of the time after a request. No component may read them as context.

A label is read from the request's own part of the log and never beyond the next cut. Labels of training requests end
before the validation cut, labels of validation requests before the test cut.
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
    """Ends of the parts of the log.

    Args:
        times_s: Rising seconds at which a part ends; labels of earlier requests end before it. The last is the end of
            the log.
    """

    times_s: tuple[int, ...]

    def until_s(self, requests: Requests) -> NDArray[np.int64]:
        """Returns ``(N,)`` the first second that the labels of each request must not read."""
        ends = np.asarray(self.times_s, dtype=np.int64)
        return ends[np.minimum(np.searchsorted(ends, requests.times_s, side="right"), len(ends) - 1)]


class BoundLabels(Protocol):
    """Labels of one log."""

    def __call__(self, requests: Requests) -> Any:
        """Returns a frozen dataclass of tensors for ``N`` requests."""
        ...


class Labels(Protocol):
    """Request for labels: a frozen dataclass of options; equal options give equal labels.

    Attributes:
        name: Key of the labels in a batch.
    """

    @property
    def name(self) -> str: ...

    def bind(self, log: EventLog, cuts: Cuts) -> BoundLabels:
        """Returns the labels of a log.

        Raises:
            ValueError: If the data lacks what they need.
        """
        ...


def union(labels: Iterable[Labels]) -> dict[str, Labels]:
    """Returns labels by name, each once.

    Raises:
        ValueError: If two labels of one name differ.
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
    """Binds all labels to a log."""
    return {name: label.bind(log, cuts) for name, label in labels.items()}
