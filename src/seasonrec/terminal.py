"""Printing of texts of others: ids, item texts and names may hold markup and terminal sequences."""

from __future__ import annotations

import unicodedata
from typing import Any

from rich.console import Console
from rich.text import Text

KEPT = "\n\t"
"""Control characters that a terminal may receive."""

STRIPPED = ("Cc", "Cf", "Cs")
"""Unicode categories of what moves a cursor, colours text, or turns its direction round."""


def plain(text: str) -> str:
    """Returns a text in which every control character is a question mark in a black diamond."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(letter if _is_shown(letter) else "\ufffd" for letter in text)


def _is_shown(letter: str) -> bool:
    return letter in KEPT or unicodedata.category(letter) not in STRIPPED


class PlainConsole(Console):
    """A console that prints every text as it is: no markup, no emoji codes, no control characters."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"markup": False, "emoji": False, **options})

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(plain(text), **options)
