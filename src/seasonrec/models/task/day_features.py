"""Features of a day: time of year, weekday and nearby holidays."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seasonrec.batches.context.calendar import RequestCalendar, holiday_names
from seasonrec.data.spec import DataSpec
from seasonrec.models.harmonics import harmonics
from seasonrec.models.season.calendar import MAJOR, HolidayRamps


class DayFeatures(nn.Module):
    """The features of :class:`~seasonrec.models.season.calendar.CalendarSeason` that need no user.

    As there, the harmonics and a holiday's own ramp are zero until the log covers that time of year.

    Args:
        spec: Facts of the data.
        num_harmonics: Sine-cosine pairs of the year.
        coverage_days: The harmonics fade in during these last days before the log covers a full year.

    Shape:
        - calendar: of ``N`` requests; rows: ``(Q,)`` indices of the wanted requests; output: ``(Q, width)``.
    """

    major: Tensor

    def __init__(self, spec: DataSpec, num_harmonics: int = 2, coverage_days: float = 7.0) -> None:
        super().__init__()
        self.num_harmonics = num_harmonics
        self.coverage_days = coverage_days
        names = holiday_names(spec)
        places = torch.tensor([place for place, name in enumerate(names) if name in MAJOR], dtype=torch.int64)
        self.register_buffer("major", places, persistent=False)
        self.ramps = HolidayRamps(len(names))
        self.width = 2 * num_harmonics + 7 + 2 + 2 * len(names)

    def forward(self, calendar: RequestCalendar, rows: Tensor) -> Tensor:
        phase, unseen_days = calendar.year_phase[rows], calendar.unseen_days[rows]
        year = harmonics(phase, unseen_days, self.num_harmonics, self.coverage_days)
        week = F.one_hot(calendar.weekday[rows], 7).float()
        return torch.cat([year, week, *self._holidays(calendar, rows)], dim=1)

    def _holidays(self, calendar: RequestCalendar, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the ramp shared by the major holidays ``(Q, 2)`` and each holiday's own ``(Q, 2 H)``."""
        each = self.ramps(calendar.holiday_days[rows])  # (Q, H, 2)
        major = each.index_select(1, self.major)
        shared = major.amax(dim=1) if major.shape[1] else each.new_zeros(len(each), 2)
        return shared, (each * calendar.holiday_known[rows, :, None]).flatten(1)
