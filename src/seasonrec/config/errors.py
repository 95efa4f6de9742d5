"""Mistakes in a configuration, reported in one message."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from seasonrec.errors import UserError


@dataclass(frozen=True)
class Mistake:
    """One mistake in a configuration.

    Args:
        path: A yaml path such as ``season.momentum.rate``, or a file's path.
        problem: The broken rule.
        remedy: A way to correct it.
        value: The value as written in yaml, or None.
    """

    path: str
    problem: str
    remedy: str
    value: str | None = None

    def __str__(self) -> str:
        place = self.path if self.value is None else f"{self.path} = {self.value}"
        return f"{place}: {self.problem}; {self.remedy}"


class ConfigError(UserError):
    """All mistakes in a configuration.

    Args:
        mistakes: At least one; the message lists each once.
    """

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(dict.fromkeys(mistakes))
        count = "1 mistake" if len(self.mistakes) == 1 else f"{len(self.mistakes)} mistakes"
        lines = [f"{count} in the configuration, nothing was run:", *(f"  {mistake}" for mistake in self.mistakes)]
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[type[ConfigError], tuple[tuple[Mistake, ...]]]:
        return ConfigError, (self.mistakes,)


def nearest(name: str, valid: Iterable[str]) -> str:
    """Returns the remedy for an unknown name: the nearest valid one, or all of them."""
    names = sorted(valid)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"valid names: {', '.join(names)}" if names else "it takes none"


def shown(value: object) -> str:
    """Returns a value as yaml would write it, in one line and at most 60 characters."""
    text = {"None": "null", "True": "true", "False": "false"}.get(repr(value), repr(value))
    return text if len(text) <= 60 else text[:57] + "..."
