"""Labels: facts about the time after a request, for the losses and metrics of tasks; no component may read them.

A label uses only events before the next cut: labels of training requests end before the validation cut, labels of
validation requests before the test cut.
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
    """Ends of the parts of the log, in rising seconds; the last is the end of the log."""

    times_s: tuple[int, ...]

    def until_s(self, requests: Requests) -> NDArray[np.int64]:
        """Returns the ``(N,)`` end of each request's part: the first second that its labels must not read."""
        ends = np.asarray(self.times_s, dtype=np.int64)
        return ends[np.minimum(np.searchsorted(ends, requests.times_s, side="right"), len(ends) - 1)]


class BoundLabels(Protocol):
    """Labels of one log."""

    def __call__(self, requests: Requests) -> Any:
        """Returns a frozen dataclass of tensors for ``N`` requests."""
        ...


class Labels(Protocol):
    """Options of labels that a task asks for: a frozen dataclass; ``name`` is their key in a batch."""

    @property
    def name(self) -> str: ...

    def bind(self, log: EventLog, cuts: Cuts) -> BoundLabels:
        """Returns the labels of a log.

        Raises:
            ValueError: If the log does not have the necessary data.
        """
        ...


def union(labels: Iterable[Labels]) -> dict[str, Labels]:
    """Returns the distinct labels by name.

    Raises:
        ValueError: If two tasks ask for one name with different options.
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
    """Returns all labels of a log by name."""
    return {name: label.bind(log, cuts) for name, label in labels.items()}
