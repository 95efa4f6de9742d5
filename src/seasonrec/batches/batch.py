"""Batch: the input of the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import torch
from torch import Tensor

from seasonrec.batches.sampling import ItemSample

BY_REQUEST = (
    "request_window", "request_position", "request_time_s", "candidates_until_s", "user_ids", "basket_ids",
    "unavailable",
)  # fmt: skip
"""Fields with a value for each request."""


@dataclass(frozen=True)
class SequenceBatch:
    """Windows of events with their requests, targets and context.

    A window holds events of one user in time order from position 0 on. It serves several requests, and each request may
    read only the events before its ``request_position``. Letters: ``B`` windows, ``T`` events, ``N`` requests, ``M``
    targets, ``V`` items.

    Args:
        item_ids: ``(B, T)`` int64; ``V`` where there is no event.
        timestamps_s: ``(B, T)`` int64 seconds since 1970-01-01 UTC; 0 where there is no event.
        is_padding: ``(B, T)`` bool, True where there is no event.
        request_window: ``(N,)`` int64, the window of each request.
        request_position: ``(N,)`` int64 in ``0..T``: number of events of that window that the request may read.
        request_time_s: ``(N,)`` int64, the time at which the user asks.
        candidates_until_s: ``(N,)`` int64; the items whose first event lies before this time are the candidates.
        user_ids: ``(N,)`` int64 user numbers.
        basket_ids: ``(N,)`` int64 basket numbers; -1 for a request without targets.
        unavailable: ``(N,)`` int64, number of the basket's items that are no candidates. They are left out of the
            targets, because no model can give them a probability.
        target_request: ``(M,)`` int64, the request of each target.
        target_items: ``(M,)`` int64 item numbers; all are candidates of their requests.
        context: Contexts that the components read, by name; each is a dataclass of tensors. Values by item have the
            columns of ``sample``, if there is one.
        sample: The items that are scored; None for the whole catalogue.
        labels: Labels that the tasks need, by name; see :mod:`seasonrec.batches.labels.base`.
        domain: Name of the further domain of the batch; None for the main domain.
        behaviours: ``(B, T)`` int64, number of each event's behaviour; 0 where there is no event. None for a log whose
            events have no behaviour.
        weight: Scalar float32, the weight of the batch's losses in its optimiser step: its number of targets over the
            mean of the step's batches, of all processes. The step's mean is then a mean over targets. None is 1.
    """

    item_ids: Tensor
    timestamps_s: Tensor
    is_padding: Tensor
    request_window: Tensor
    request_position: Tensor
    request_time_s: Tensor
    candidates_until_s: Tensor
    user_ids: Tensor
    basket_ids: Tensor
    unavailable: Tensor
    target_request: Tensor
    target_items: Tensor
    context: Mapping[str, Any]
    sample: ItemSample | None = None
    labels: Mapping[str, Any] = field(default_factory=dict)
    domain: str | None = None
    behaviours: Tensor | None = None
    weight: Tensor | None = None

    @property
    def num_requests(self) -> int:
        return len(self.request_window)

    def told(self, change: Callable[[Tensor], Tensor]) -> Tensor | None:
        """Returns the behaviours after a change of the events; None for a log without behaviours."""
        return None if self.behaviours is None else change(self.behaviours)

    def rows(self, start: int, stop: int) -> SequenceBatch:
        """Returns the requests ``start:stop`` with their targets, numbered from 0; windows and sample do not change.

        Targets must be in the order of their requests, as the loader gives them. Labels are left out.
        """
        ends = torch.tensor([start, stop], device=self.target_request.device)
        first, last = torch.searchsorted(self.target_request, ends).tolist()
        return replace(
            self,
            **{name: getattr(self, name)[start:stop] for name in BY_REQUEST},
            target_request=self.target_request[first:last] - start,
            target_items=self.target_items[first:last],
            context={name: value.rows(start, stop) for name, value in self.context.items()},
            sample=None if self.sample is None else self.sample.targets(first, last),
            labels={},
        )

    def to(self, device: torch.device | str, non_blocking: bool = False) -> SequenceBatch:
        """Returns the batch on another device."""
        return _move(self, torch.device(device), non_blocking)


def _move(value: Any, device: torch.device, non_blocking: bool) -> Any:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=non_blocking)
    if isinstance(value, Mapping):
        return {key: _move(entry, device, non_blocking) for key, entry in value.items()}
    moved = {field.name: _move(getattr(value, field.name), device, non_blocking) for field in fields(value)}
    return replace(value, **moved)
