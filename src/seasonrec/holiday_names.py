"""Names of holidays: their spelling, and those that the ``holidays`` package knows."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from functools import cache


def snake_case(name: str) -> str:
    """Returns a name in snake case: ``"Valentine's Day"`` becomes ``"valentines_day"``."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower().replace("'", "")).strip("_")


def plain_name(name: str) -> str:
    """Returns the holiday's name without case, punctuation and a final "Day" or "Sunday"."""
    return re.sub(r"_(day|sunday)$", "", snake_case(name))


def is_country(code: str) -> bool:
    """Returns whether the package knows a country."""
    return code in _countries()


def unknown_holidays(names: Iterable[str]) -> list[str]:
    """Returns the names that are holidays of no country; the common ones of the US are looked up first."""
    left = [name for name in names if plain_name(name) not in _of(("US",))]
    return [name for name in left if plain_name(name) not in _of(_countries())] if left else []


def nearest_holiday(name: str) -> str:
    """Returns the remedy for an unknown holiday: one of the US with a near name, or an example."""
    close = difflib.get_close_matches(name, sorted(_names(("US",))), n=1, cutoff=0.7)
    return f"did you mean {close[0]!r}?" if close else "write an English name, for example Christmas Day"


@cache
def _countries() -> tuple[str, ...]:
    import holidays

    return tuple(holidays.list_supported_countries())


@cache
def _of(countries: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(plain_name, _names(countries)))


@cache
def _names(countries: tuple[str, ...]) -> frozenset[str]:
    """Returns the English names of all public and unofficial holidays of two years, whose rules may differ."""
    import holidays

    found: set[str] = set()
    for country in countries:
        supported = holidays.country_holidays(country).supported_categories
        kinds = tuple(kind for kind in ("public", "unofficial") if kind in supported)
        calendar = holidays.country_holidays(country, years=(2019, 2020), categories=kinds, language="en_US")
        found.update(name for day in calendar for name in calendar.get_list(day))
    return frozenset(found)
