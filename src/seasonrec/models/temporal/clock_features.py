"""Calendar features of a timestamp: weekday and time of year in the time zone of the data."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seasonrec.data.calendar import EPOCH_WEEKDAY, clock, local_days
from seasonrec.data.spec import DAYS_PER_YEAR, SECONDS_PER_DAY, DataSpec
from seasonrec.models.calendar_features import harmonics

COVERAGE_DAYS = 7.0
"""The time of year fades in during these last days before the log covers a full year, as in ``season=[calendar]``."""


class ClockFeatures(nn.Module):
    """Features of timestamps: seven indicators for the weekday, sines and cosines for the time of year.

    The time of year is zero until the log covers a full year before the timestamp, for the reason given in
    :class:`~seasonrec.models.calendar_features.CalendarFeatures`. Days are local, so that Friday evening in New York is
    not Saturday.

    Args:
        spec: The log's time zone and first time.
        num_harmonics: Sine-cosine pairs of the year.

    Shape:
        - times_s: ``(...)`` int64 seconds since 1970-01-01 UTC; output: ``(..., num_features)`` float32.

    Raises:
        ValueError: If ``num_harmonics`` is below 0.
    """

    changes_s: Tensor
    offsets_s: Tensor

    def __init__(self, spec: DataSpec, num_harmonics: int) -> None:
        super().__init__()
        changes_s, offsets_s = clock(spec.timezone)
        self.register_buffer("changes_s", torch.from_numpy(changes_s), persistent=False)
        self.register_buffer("offsets_s", torch.from_numpy(offsets_s), persistent=False)
        self.first_day = int(local_days(np.asarray([spec.first_time_s]), spec.timezone)[0])
        self.num_harmonics = num_harmonics
        self.num_features = 7 + 2 * num_harmonics

    def forward(self, times_s: Tensor) -> Tensor:
        stretch = (torch.searchsorted(self.changes_s, times_s, right=True) - 1).clamp(min=0)
        days = (times_s + self.offsets_s[stretch]) // SECONDS_PER_DAY  # local days since 1970-01-01
        weekday = F.one_hot((days + EPOCH_WEEKDAY) % 7, 7).float()
        year_phase = 2 * math.pi / DAYS_PER_YEAR * (days % DAYS_PER_YEAR)
        unseen_days = (self.first_day + DAYS_PER_YEAR - days).clamp(min=0)
        return torch.cat([weekday, harmonics(year_phase, unseen_days, self.num_harmonics, COVERAGE_DAYS)], dim=-1)
