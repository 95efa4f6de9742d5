"""Tables and texts in Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from seasonrec.terminal import plain

TAG = re.compile(r"<(?=[A-Za-z/!?])")
"""Beginning of a tag; a lone "<" as in p < 0.05 is none."""


def pipe_table(head: Sequence[str], body: Sequence[Sequence[str]], words: int = 1) -> str:
    """Returns a table with its head; all columns but the first ``words`` are aligned to the right."""
    rule = ["---"] * words + ["---:"] * (len(head) - words)
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in (head, rule, *body))


def literal(text: str) -> str:
    """Returns a text in one line, without control characters, tags of HTML and links."""
    one_line = plain(" ".join(text.split("\n")).replace("\r", " "))
    return TAG.sub("&lt;", one_line).replace("](", "]\\(")


def _cell(entry: str) -> str:
    return literal(entry).replace("|", "\\|")
