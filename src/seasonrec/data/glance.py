"""Facts of a prepared log that show at a glance whether its source was read as it was meant."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from seasonrec.data.calendar import local_seconds
from seasonrec.data.log import EventLog
from seasonrec.data.spec import SECONDS_PER_DAY

MERGED = "merged, values added"
"""End of the name of the rule that merges rows."""

_MANY_MERGED = 0.10
"""Share of merged rows above which a note asks for the clock time."""

_MOST_YEARS = 15
"""Number of years up to which each is told by itself; more are told by decades."""

_PORTION = 1 << 22


def glance(log: EventLog) -> list[str]:
    """Returns lines with the first and the last time, the events by year, the sizes, and the share of merged rows."""
    zone = ZoneInfo(log.timezone)
    first_s, last_s = int(log.basket_times_s.min()), int(log.basket_times_s.max())
    first, last = (datetime.fromtimestamp(time_s, zone) for time_s in (first_s, last_s))
    merged, total = _merged_rows(log), _merged_rows(log) + log.num_events
    sizes = f"{log.num_events:,} events, {log.num_baskets:,} baskets, {log.num_users:,} users, {log.num_items:,} items"
    lines = [
        f"from {first:%Y-%m-%d %H:%M:%S} to {last:%Y-%m-%d %H:%M:%S} ({log.timezone}), events by {_by_year(log)}",
        f"{sizes}, {merged / total:.1%} of the rows merged, in {log.folder}",
    ]
    return [*_merged_notes(log, merged, total), *lines]


def _by_year(log: EventLog) -> str:
    """Returns the number of events of each local year that has some, or of each decade of a long log."""
    zone = ZoneInfo(log.timezone)
    first, last = (datetime.fromtimestamp(int(end), zone).year for end in (log.basket_times_s.min(), _last_s(log)))
    step = 1 if last - first < _MOST_YEARS else 10
    starts = range(first // step * step, last + 1, step)
    bounds = np.array([datetime(max(year, 1), 1, 1, tzinfo=zone).timestamp() for year in starts])
    counts = np.zeros(len(starts), np.int64)
    for portion in _portions(log.event_times_s):
        counts += np.bincount(np.searchsorted(bounds, portion, side="right") - 1, minlength=len(starts))
    told = ", ".join(f"{year} {count:,}" for year, count in zip(starts, counts.tolist(), strict=True) if count)
    return f"year: {told}" if step == 1 else f"decade: {told}"


def _last_s(log: EventLog) -> int:
    return int(log.basket_times_s.max())


def _merged_rows(log: EventLog) -> int:
    rules: Any = log.report.get("rules", [])
    return sum(int(rule["rows"]) for rule in rules if str(rule["rule"]).endswith(MERGED))


def _merged_notes(log: EventLog, merged: int, total: int) -> list[str]:
    """Returns a note if so many rows were merged that the times may lack the clock."""
    if merged <= _MANY_MERGED * total:
        return []
    cause = "all times are whole days" if _has_whole_days(log) else "times may have lost their seconds"
    return [
        f"note: {merged:,} of {total:,} rows ({merged / total:.0%}) have the user, item and time of another row and "
        f"were merged; {cause}: if the source has a column with the clock time, name it"
    ]


def _has_whole_days(log: EventLog) -> bool:
    """Checks whether all events lie at one moment of the local day, as days without a clock do."""
    clocks = [np.unique(local_seconds(part, log.timezone) % SECONDS_PER_DAY) for part in _portions(log.event_times_s)]
    return len(np.unique(np.concatenate(clocks))) == 1


def _portions(times_s: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [np.asarray(times_s[start : start + _PORTION]) for start in range(0, len(times_s), _PORTION)]
