"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Sequence


def pipe_table(head: Sequence[str], body: Sequence[Sequence[str]], words: int = 1) -> str:
    """Returns a table with its head; all columns but the first ``words`` are aligned to the right."""
    rule = ["---"] * words + ["---:"] * (len(head) - words)
    return "\n".join("| " + " | ".join(_literal(entry) for entry in line) + " |" for line in (head, rule, *body))


def _literal(entry: str) -> str:
    return entry.replace("|", "\\|")
