"""Ranges of numbers, stated in signatures: ``num_layers: Annotated[int, AtLeast(1)] = 2``.

The preflight reads them from the source text and refuses a value before anything is imported; ``--help`` shows them.
:func:`ranged` checks the same ranges where Python code builds a component directly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass
from functools import cache, wraps
from inspect import Parameter, signature
from itertools import pairwise
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from seasonrec.errors import UserError

Class = TypeVar("Class", bound=type)
LARGEST = 2**63 - 1
"""Largest number that arrays hold."""


@dataclass(frozen=True)
class Limit:
    """Ends of a range.

    Args:
        low: Lower end, a number or the name of another argument of the signature.
        high: Upper end, a number or the name of another argument.
    """

    low: float | str
    high: float | str = math.inf

    ends = "[]"

    def problem(self, value: float, others: Mapping[str, Any]) -> str | None:
        """Returns the broken rule, for example ``must be at least 1``, or None.

        Args:
            value: The number.
            others: Values of the other arguments; an end that names a missing one holds.
        """
        low, high = (others.get(end) if isinstance(end, str) else end for end in (self.low, self.high))
        if low is not None and not (value >= low if self.ends[0] == "[" else value > low):
            return f"must be {self._low_text()}{_of(self.low, low)}"
        if high is not None and not (value <= high if self.ends[1] == "]" else value < high):
            return f"must be {self._high_text()}{_of(self.high, high)}"
        return None

    def __str__(self) -> str:
        return self._low_text() + ("" if self.high == math.inf else f" and {self._high_text()}")

    def _low_text(self) -> str:
        return f"{'at least' if self.ends[0] == '[' else 'above'} {_end(self.low)}"

    def _high_text(self) -> str:
        return f"{'at most' if self.ends[1] == ']' else 'below'} {_end(self.high)}"


@dataclass(frozen=True)
class AtLeast(Limit):
    """A range whose lower end belongs to it."""


@dataclass(frozen=True)
class Above(Limit):
    """A range whose lower end does not belong to it."""

    ends = "(]"


@dataclass(frozen=True)
class Between(Limit):
    """A range that is written as an interval.

    Args:
        ends: ``[`` or ``]`` where an end belongs to the range, ``(`` or ``)`` where it does not.
    """

    ends: str = "[]"

    def problem(self, value: float, others: Mapping[str, Any]) -> str | None:
        if super().problem(value, others) is None:
            return None
        low, high = (_end(end) + (_of(end, others[end]) if isinstance(end, str) else "") for end in self._both())
        return f"must lie in {self.ends[0]}{low}, {high}{self.ends[1]}"

    def __str__(self) -> str:
        return f"in {self.ends[0]}{', '.join(map(_end, self._both()))}{self.ends[1]}"

    def _both(self) -> tuple[float | str, float | str]:
        return self.low, self.high


@dataclass(frozen=True)
class Entries:
    """Rules for the entries of a list.

    Args:
        at_least: Smallest number of entries.
        at_most: Largest number of entries.
        rising: Whether each entry must be above the one before it; otherwise they must be distinct.
    """

    at_least: int = 1
    at_most: int = 100
    rising: bool = False

    def problem(self, values: list[Any] | tuple[Any, ...], others: Mapping[str, Any]) -> str | None:
        """Returns the broken rule, or None."""
        if not self.at_least <= len(values) <= self.at_most:
            few = len(values) < self.at_least
            number = f"at least {self.at_least}" if few else f"at most {self.at_most}"
            return f"must have {number} {'entry' if few and self.at_least == 1 else 'entries'}"
        if self.rising and any(later <= first for first, later in pairwise(values)):
            return "must be rising numbers"
        if any(value in values[:place] for place, value in enumerate(values)):
            return "must be distinct entries"
        return None

    def __str__(self) -> str:
        return f"{self.at_least} or more{' rising' if self.rising else ''} entries"


LIMITS: dict[str, Callable[..., Limit | Entries]] = {
    limit.__name__: limit for limit in (AtLeast, Above, Between, Entries)
}
"""Limits by the name that annotations call."""

Width = Annotated[int, AtLeast(1, 16_384)]
"""Width of a vector."""
WidthOrZero = Annotated[int, AtLeast(0, 16_384)]
Depth = Annotated[int, AtLeast(1, 1_000)]
"""Number of layers, heads, experts or rounds."""
Length = Annotated[int, AtLeast(1, 100_000)]
"""Length of a sequence or a list."""
Batch = Annotated[int, AtLeast(1, 1_000_000)]
"""Size of a batch."""
Count = Annotated[int, AtLeast(1, 1_000_000_000)]
CountOrZero = Annotated[int, AtLeast(0, 1_000_000_000)]
Harmonics = Annotated[int, AtLeast(0, 100)]
"""Sine-cosine pairs of a period."""
WholeDays = Annotated[int, AtLeast(1, 36_525)]
"""Days, at most a century."""
WholeDaysOrZero = Annotated[int, AtLeast(0, 36_525)]
Days = Annotated[float, Above(0, 36_525)]
"""Days with fractions, at most a century."""
DaysOrZero = Annotated[float, AtLeast(0, 36_525)]
LookBacks = Annotated[tuple[WholeDays, ...], Entries()]
"""Lengths of look-backs."""
LookBacksIfAny = Annotated[tuple[WholeDays, ...], Entries(at_least=0)]
HalfLives = Annotated[tuple[Days, ...], Entries()]
Share = Annotated[float, Between(0, 1)]
Fraction = Annotated[float, Between(0, 1, "()")]
"""A share that is neither nothing nor all."""
PartOfAll = Annotated[float, Between(0, 1, "(]")]
"""A share that is not nothing."""
BelowOne = Annotated[float, Between(0, 1, "[)")]
"""A share that is not all, for example of dropout."""
Weight = Annotated[float, AtLeast(0, 1_000_000)]
Positive = Annotated[float, Above(0, 1_000_000)]
Rate = Annotated[float, Above(0, 100)]
"""A learning rate."""
Seed = Annotated[int, AtLeast(0, 2**32 - 1)]
"""Seed of random numbers, in the range of numpy."""
Processes = Annotated[int, AtLeast(1, 1_024)]
"""Number of processes, threads or devices."""


def plain_problem(value: object) -> str | None:
    """Returns why no annotation takes a value of yaml, or None: not finite, not a number of 64 bits, or no text."""
    if isinstance(value, float) and not math.isfinite(value):
        return "must be a finite number"
    if type(value) is int and abs(value) > LARGEST:
        return f"must be a number of 64 bits, {-LARGEST} to {LARGEST}"
    if isinstance(value, str) and (not value.strip() or "\0" in value):
        return "must be text, not empty"
    return None


def ranged(place: str) -> Callable[[Class], Class]:
    """Returns a decorator of a class that checks the ranges of its constructor's arguments before it runs.

    Args:
        place: Place of the class in a configuration for the message, for example ``backbone``; empty at the top level.

    Raises:
        UserError: By the decorated constructor, if an argument lies outside its range.
    """

    def decorate(owner: Class) -> Class:
        inner: Callable[..., None] = owner.__init__  # type: ignore[misc]  # of this class, which nobody else holds yet

        @wraps(inner)
        def checked(self: Any, *positional: Any, **named: Any) -> None:
            names = [name for name in signature(inner).parameters if name != "self"]
            given = dict(zip(names, positional, strict=False)) | named
            _refuse_outside(place, given, _hints(owner), _defaults(inner))
            inner(self, *positional, **named)

        owner.__init__ = checked  # type: ignore[misc]
        return owner

    return decorate


def _refuse_outside(
    place: str, given: Mapping[str, Any], hints: Mapping[str, Any], defaults: Mapping[str, Any]
) -> None:
    others = {**defaults, **given}
    found = [
        f"{_path(place, name, problem)} {problem}, got {_listed(value)}{_try(defaults.get(name))}"
        for name, value in given.items()
        if name in hints and (problem := _problem(value, hints[name], others))
    ]
    if found:
        raise UserError("; ".join(found) + ".")


def _path(place: str, name: str, problem: str) -> str:
    return f"{place}.{name}".removeprefix(".") + (":" if problem.startswith("each") else "")


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _try(default: Any) -> str:
    return "" if default is None else f"; try {_listed(default)}"


@cache
def _hints(owner: type) -> dict[str, Any]:
    """Returns the annotations of a constructor; each field of a dataclass is read in the module that states it."""
    constructor = vars(owner)["__init__"]
    return get_type_hints(owner if is_dataclass(owner) else constructor, include_extras=True)


@cache
def _defaults(function: Callable[..., None]) -> dict[str, Any]:
    parameters = signature(function).parameters.values()
    return {one.name: one.default for one in parameters if one.default is not Parameter.empty}


def _problem(value: Any, hint: Any, others: Mapping[str, Any]) -> str | None:
    """Returns the rule that a value of a type's annotation breaks, or None; a wrong type is not looked for."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        limits = [limit for limit in hint.__metadata__ if isinstance(limit, Limit | Entries)]
        found = [problem for limit in limits if (problem := limit.problem(value, others))]
        return found[0] if found else _problem(value, arguments[0], others)
    if origin in (Union, UnionType):
        problems = [_problem(value, member, others) for member in arguments if _may_be(value, member)]
        return None if value is None or None in problems else next(iter(problems), None)
    if origin is tuple and isinstance(value, list | tuple):
        found = [problem for entry in value if (problem := _problem(entry, arguments[0], others))]
        return each(found[0]) if found else None
    if origin is dict and isinstance(value, dict):
        found = [problem for entry in value.values() if (problem := _problem(entry, arguments[1], others))]
        return each(found[0]) if found else None
    return plain_problem(value) if hint in (int, float) else None


def _may_be(value: Any, hint: Any) -> bool:
    """Returns whether a value may be meant by a member of a union."""
    bare = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    kind = get_origin(bare) or bare
    wider = {float: (int, float), tuple: (tuple, list)}
    return not isinstance(kind, type) or isinstance(value, wider.get(kind, kind))


def each(problem: str) -> str:
    """Returns the rule of a list whose entries break ``problem``."""
    return problem if problem.startswith("each") else f"each entry {problem}"


def _of(end: float | str, number: float) -> str:
    return f"={number}" if isinstance(end, str) else ""


def _end(end: float | str) -> str:
    return f"{end:,}" if isinstance(end, int) and 10_000 <= end < 2**32 - 1 else f"{end}"
