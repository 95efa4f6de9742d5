"""Contract test of every task head: predictions do not read the truth; a new file under conf/task is tested too."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hashed_reader import HashedReader
from small_shop import Shop
from task_cases import OPTIONS, Case, make_case
from torch import Tensor

from seasonrec.batches.batch import SequenceBatch
from seasonrec.data.calendar import local_days
from seasonrec.models.task.base import TaskOutput

ASKS_ABOUT_THE_BASKET = {
    "purchase": "it asks about pairs of a request and an item, and the basket's items are some of them",
    "search": "its query in words is made from the basket",
}
"""Tasks whose question contains the basket, with the reason."""


@pytest.mark.parametrize("option", OPTIONS)
def test_changed_targets_and_labels_change_no_prediction(
    shop: Shop, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seasonrec.models.task.search.TextReader", HashedReader)
    case = make_case(shop, option)
    batch = batch_of_distinct_days(case)
    before = case.output(batch)
    compared = {field for field, other in changed(batch, option) if same_samples(before, case.output(other), field)}
    enough = compared - {"target_items"} if batch.labels else compared
    assert enough or option in ASKS_ABOUT_THE_BASKET, "every change of the truth left other samples; test it by hand"


def batch_of_distinct_days(case: Case) -> SequenceBatch:
    """Returns a batch whose labels by day have one row per request."""
    requests = case.shop.some_requests(12)
    _, rows = np.unique(local_days(requests.times_s, case.shop.log.timezone), return_index=True)
    return case.builder()(requests[rows])


def changed(batch: SequenceBatch, option: str) -> Iterator[tuple[str, SequenceBatch]]:
    """Yields the batch with another value of each field of the truth in turn."""
    if option not in ASKS_ABOUT_THE_BASKET:
        yield "target_items", replace(batch, target_items=batch.target_items.flip(0))
    for name, label in batch.labels.items():
        for field, value in vars(label).items():
            for other in others(field, value, batch.num_requests):
                yield f"{name}.{field}", replace(batch, labels=batch.labels | {name: replace(label, **{field: other})})


def others(field: str, value: Any, num_requests: int) -> list[Tensor]:
    """Returns other values of the requests; none for values that say which requests they are, and for statistics."""
    if field == "items":
        return [value.flip(0)]
    if value.shape[:1] != (num_requests,) or value.dtype == torch.int64:
        return []
    return [~value] if value.dtype == torch.bool else [2 * value + 1, 0 * value]


def same_samples(before: TaskOutput, after: TaskOutput, field: str) -> bool:
    """Checks that the predictions are equal; returns False if the change left other samples, as that of a mask does."""
    if before.prediction.shape != after.prediction.shape:
        return False
    for name in ("prediction", "start"):
        first, second = getattr(before, name), getattr(after, name)
        unchanged = first is None or torch.equal(first, second)
        assert unchanged, f"{name} changes with {field}, which is the truth; only loss and truth may read it"
    return True
