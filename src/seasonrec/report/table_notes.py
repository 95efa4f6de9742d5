"""Sentences below a table on what the test allows and on what the table leaves out."""

from __future__ import annotations

from collections.abc import Sequence

from seasonrec.evaluation.results.store import RunResults
from seasonrec.evaluation.results.targets import EVENT_AT_K
from seasonrec.report.rows import Row

APPENDIX = "appendix_outcome_slices"
"""Name of the files of the slices by outcome, without their endings."""


def moved_note(moved: Sequence[str]) -> str:
    """Returns the sentence of a table whose study asked for slices by outcome; empty if it did not."""
    if not moved:
        return ""
    return (
        f"Not shown here: {', '.join(moved)}; chosen by what was bought, so that exaggeration would win. See "
        f"{APPENDIX}.md, and take bits_within@hot or bits_within@new in their place"
    )


def origins_note(rows: Sequence[Row], partial: Sequence[str]) -> str:
    """Returns the sentence of a table whose rows pool several origins; empty if they have one split.

    Args:
        rows: Rows of the table.
        partial: Rows that are left out, because they have no results at some origin.
    """
    origins = next((row.origins for row in rows if row.origins), {})
    if not origins:
        return ""
    left_out = f"; left out, because they have no results at some origin: {', '.join(partial)}" if partial else ""
    return (
        f"Rolling origins {', '.join(origins)}: a model for each, and the targets of all in one row; origins.md has "
        f"each origin by itself{left_out}"
    )


def ceiling_note(run: RunResults, metrics: Sequence[str]) -> str:
    """Returns the best possible value of each metric with a rank per target; empty if a table has none.

    Args:
        run: Any results of the table, for the sizes of its baskets.
        metrics: Metrics of the table.
    """
    lengths = [metric.partition("@")[::2] for metric in dict.fromkeys(metrics)]
    asked = [(kind, int(k)) for kind, k in lengths if kind in EVENT_AT_K and k.isdecimal()]
    if not asked:
        return ""
    best = run.events.ceilings({k for _, k in asked})
    told = " and ".join(f"{kind.upper()}@{k} is {best[f'{kind}@{k}']:.3f}" for kind, k in asked)
    return f"The items of a basket compete for the places of one list: over all targets the best possible {told}"


def unavailable_note(run: RunResults) -> str:
    """Returns how many targets are no candidates and how many were first sold within the horizon; empty if none."""
    count, born, total = run.events.unavailable, run.events.gap_births, len(run.events.ties)
    within = f"{born:,} targets were first sold between the end of the history and the request" if born else ""
    if not count:
        return within
    missed = (
        f"{count:,} of {total:,} targets are no candidates, because nobody was known to have bought them: every row "
        "misses them, and they have no bits"
    )
    return f"{missed}. {within}" if within else missed
