"""Bound of what a yaml file may expand to by its anchors."""

from __future__ import annotations

from pathlib import Path

import yaml

from seasonrec.config.errors import ConfigError, Mistake

MOST_VALUES = 100_000
"""Values of a file after its anchors are written out."""


def check_size(path: Path) -> Path:
    """Checks that the anchors of a yaml file do not expand to more values than a configuration can have.

    Nine lines of lists of lists can stand for a milliard values, which no reader could go through.

    Args:
        path: The file; one that is no text or no yaml is left to its reader.

    Raises:
        ConfigError: If they do, or an anchor contains itself.
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    if "*" in text and _expands(text):
        problem = f"its anchors (&name, *name) stand for more than {MOST_VALUES:,} values, or for themselves"
        raise ConfigError([Mistake(str(path), problem, "write the values out where they are meant")])
    return path


def _expands(text: str) -> bool:
    """Returns whether the values of a document exceed the bound; counts events, so that nothing is expanded."""
    counts: list[tuple[str | None, int]] = [(None, 0)]  # anchor and values so far of each open list or mapping
    sizes: dict[str, int] = {}
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            size = 1
            if isinstance(event, yaml.CollectionStartEvent):
                counts.append((event.anchor, 1))
                continue
            if isinstance(event, yaml.AliasEvent):
                size = sizes.get(str(event.anchor), MOST_VALUES + 1)  # an open anchor contains itself
            elif isinstance(event, yaml.ScalarEvent):
                if event.anchor:
                    sizes[event.anchor] = 1
            elif isinstance(event, yaml.CollectionEndEvent):
                anchor, size = counts.pop()
                if anchor:
                    sizes[anchor] = size
            else:
                continue  # ends of the document
            anchor, known = counts.pop()
            counts.append((anchor, known + size))
            if known + size > MOST_VALUES:
                return True
    except yaml.YAMLError:
        pass  # told by the reader, with its line
    return False
