"""Series of a log, with what is known ahead of them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seasonrec.data.calendar import EPOCH
from seasonrec.data.log import EventLog
from seasonrec.forecast.base import Source
from seasonrec.forecast.inputs import KnownInputs, calendar_inputs, dated_events
from seasonrec.forecast.levels import series_of_items
from seasonrec.forecast.origins import Rolling
from seasonrec.forecast.series import Panel, SeriesOptions, panel_of, second_of, whole_periods


@dataclass(frozen=True)
class Opened:
    """The series of a log.

    Args:
        panel: The series.
        options: Their options.
        inputs: Inputs known ahead, as of the first origin.
        source: The log.
    """

    panel: Panel
    options: SeriesOptions
    inputs: KnownInputs
    source: Source

    def date_of(self, period: int) -> dt.date:
        """Returns the date on which a period begins."""
        return EPOCH + dt.timedelta(days=self.panel.start_of(period))

    def counts(self) -> dict[str, int | str]:
        """Returns sizes for the record."""
        return {
            "periods": self.panel.num_periods,
            "first period": str(self.date_of(0)),
            "end of the last period": str(self.date_of(self.panel.num_periods)),
            "closed periods in all": int(self.panel.is_closed.sum()),
            "series in all": len(self.panel.names),
            "events in incomplete periods, left out": self.panel.cut_events,
        }

    def sentences(self, rolling: Rolling) -> list[str]:
        """Returns sentences on the series and the origins, for a table."""
        known = rolling.known(self.panel.num_periods)
        kind, options = self.options.period, self.options
        first, last = self.date_of(known[0]), self.date_of(known[-1])
        return [
            f"Series of {options.measure} by {options.level} and {kind}; {rolling.origins} origins from {first} to "
            f"{last}, {rolling.step} {kind}(s) apart; 1 to {rolling.horizon} {kind}(s) ahead. Gaps: {options.missing}; "
            f"outliers: {options.outliers}. Series with fewer than {options.least_nonzero} {kind}s of sales before an "
            f"origin are left to {options.fallback}, and count for the recall alone.",
        ]


def open_series(log: EventLog, options: SeriesOptions, rolling: Rolling, cache_dir: Path) -> Opened:
    """Returns the series of a prepared log.

    Raises:
        UserError: If the log is too short for the origins, or the items lack what the level needs.
    """
    starts, length = whole_periods(log, options), options.period_days
    known = rolling.known(len(starts))[0]
    names, item_series = series_of_items(log, options, second_of(log, int(starts[known])), cache_dir)
    panel = panel_of(log, options, names, item_series)
    ahead = np.array([panel.start_of(period) for period in range(len(starts) + rolling.horizon)], dtype=np.int64)
    events = dated_events(log, int(ahead[0]), int(ahead[-1]) + length - 1, int(ahead[known]) - 1)
    inputs = calendar_inputs(events, ahead, length, known)
    return Opened(panel, options, inputs, Source(log, item_series, cache_dir, options.measure))
