"""Ranges of numbers, and the constructors that check them."""

from __future__ import annotations

import math
import pickle
from dataclasses import dataclass, replace
from typing import Annotated

import pytest

from seasonrec.errors import UserError
from seasonrec.ranges import Above, AtLeast, Between, Count, Entries, LookBacks, Weight, ranged

PROBLEMS = [
    (AtLeast(1), 1, None),
    (AtLeast(1), 0, "must be at least 1"),
    (AtLeast(1), math.nan, "must be at least 1"),
    (AtLeast(1, 8), 9, "must be at most 8"),
    (Above(0), 0, "must be above 0"),
    (Above(0), 1e-300, None),
    (Above(0), math.inf, None),
    (Above(0, 5), math.inf, "must be at most 5"),
    (Between(0, 1), 1, None),
    (Between(0, 1, "[)"), 1, "must lie in [0, 1)"),
    (Between(0, 1, "()"), 0, "must lie in (0, 1)"),
    (Between(0, "last", "[)"), 0.7, "must lie in [0, last=0.5)"),
    (AtLeast("least"), 2, "must be at least least=3"),
]


@pytest.mark.parametrize(("limit", "value", "problem"), PROBLEMS)
def test_the_broken_end_is_named(limit: AtLeast, value: float, problem: str | None) -> None:
    assert limit.problem(value, {"last": 0.5, "least": 3}) == problem


def test_an_end_that_names_a_missing_argument_holds() -> None:
    assert Between(0, "last").problem(9, {}) is None


@pytest.mark.parametrize(
    ("entries", "values", "problem"),
    [
        (Entries(), [], "must have at least 1 entry"),
        (Entries(2), [1], "must have at least 2 entries"),
        (Entries(at_most=2), [1, 2, 3], "must have at most 2 entries"),
        (Entries(), [2, 1], None),
        (Entries(), [1, 1], "must be distinct entries"),
        (Entries(rising=True), [2, 1], "must be rising numbers"),
        (Entries(0), [], None),
    ],
)
def test_entries_of_a_list(entries: Entries, values: list[float], problem: str | None) -> None:
    assert entries.problem(values, {}) == problem


class Base:
    def __init__(self, layers: Count = 2, share: Annotated[float, Between(0, "last")] = 0.0, *, last: float) -> None:
        self.given = (layers, share, last)


@ranged("slot")
class Derived(Base):
    """A class with the constructor of its base."""


@ranged("")
@dataclass(frozen=True)
class Options:
    days: LookBacks = (7, 28)
    weights: dict[str, Weight] | None = None
    rate: float = 0.1


def test_a_constructor_checks_its_arguments_by_place_and_by_name() -> None:
    assert Derived(3, last=1.0).given == (3, 0.0, 1.0)
    with pytest.raises(UserError, match=r"^slot\.layers must be at least 1, got 0; try 2\.$"):
        Derived(0, last=1.0)
    with pytest.raises(UserError, match=r"^slot\.share must lie in \[0, last=0\.5\], got 0\.7; try 0\.0\.$"):
        Derived(share=0.7, last=0.5)


def test_all_mistakes_of_a_constructor_are_told() -> None:
    with pytest.raises(UserError) as caught:
        Options(days=(7, 0), weights={"a": -1.0}, rate=math.nan)
    assert str(caught.value) == (
        "days: each entry must be at least 1, got [7, 0]; try [7, 28]; weights: each entry must be at least 0, "
        "got {'a': -1.0}; rate must be a finite number, got nan; try 0.1."
    )


def test_a_decorated_dataclass_is_replaced_and_pickled_as_before() -> None:
    changed = replace(Options(), days=(1,))
    assert pickle.loads(pickle.dumps(changed)) == Options(days=(1,))
    with pytest.raises(UserError, match=r"^days must have at least 1 entry, got \[\]"):
        replace(changed, days=())


def test_a_member_of_a_union_is_checked_for_the_values_that_it_takes() -> None:
    @ranged("data")
    class Columns:
        def __init__(self, column: str | Annotated[int, AtLeast(1)] | None = None) -> None:
            self.column = column

    assert [Columns(value).column for value in ("0", 1, None)] == ["0", 1, None]
    with pytest.raises(UserError, match=r"^data\.column must be at least 1, got 0\.$"):
        Columns(0)
