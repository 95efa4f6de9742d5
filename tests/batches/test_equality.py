"""Equality of objects: every tensor, array, number and text is compared, wherever it is kept."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from seasonrec.batches.equality import difference


@dataclass(frozen=True)
class Holder:
    value: Any


class Owner:
    def __init__(self, value: Any) -> None:
        self.value = value
        self.itself = self

    def method(self) -> None: ...


def with_closure(value: Any) -> Any:
    return lambda: value


def module(value: Any) -> torch.nn.Module:
    inner = torch.nn.Linear(2, 2)
    inner.register_buffer("kept", torch.as_tensor(value, dtype=torch.float32))
    torch.nn.init.zeros_(inner.weight)
    torch.nn.init.zeros_(inner.bias)
    return torch.nn.Sequential(inner)


@pytest.mark.parametrize(
    ("keep", "place"),
    [
        (lambda value: torch.tensor([value]), "x"),
        (lambda value: np.array([value]), "x"),
        (lambda value: [{"a": value}], "x.0.a"),
        (lambda value: (str(value), "b"), "x"),
        (Holder, "x.value"),
        (Owner, "x.value"),
        (lambda value: Owner(value).method, "x.value"),
        (with_closure, "x.value"),
        (lambda value: partial(max, value), "x.args"),
        (lambda value: partial(max, key=value), "x.key"),
        (module, "x.0.kept"),
    ],
)
def test_difference_is_found_where_it_is_kept(keep: Any, place: str) -> None:
    assert difference(keep(1.0), keep(1.0), "x") is None
    assert difference(keep(1.0), keep(2.0), "x") == place


def test_shape_type_unknown_values_and_missing_entries() -> None:
    nan = torch.tensor([float("nan"), 1.0])
    assert difference(nan, nan.clone(), "x") is None
    assert difference(float("nan"), float("nan"), "x") is None
    assert difference(nan, nan[:1], "x") == "x"
    assert difference(torch.tensor([1]), torch.tensor([1.0]), "x") == "x"
    assert difference({"a": 1}, {"a": 1, "b": 2}, "x") == "x.b"


def test_only_seconds_of_later_births_may_differ() -> None:
    before, after = torch.tensor([3, 10, 12]), torch.tensor([3, 14, 11])
    assert difference(before, after, "x", births_from_s=10) is None
    assert difference(before.numpy(), after.numpy(), "x", births_from_s=10) is None
    assert difference(before, after, "x") == "x"
    assert difference(before, after, "x", births_from_s=11) == "x"
    assert difference(before.double(), after.double(), "x", births_from_s=10) == "x"
