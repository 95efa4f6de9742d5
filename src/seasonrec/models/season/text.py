"""Text: the request date put into words and read by the language model that reads the items."""

from __future__ import annotations

import datetime as dt

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seasonrec.batches.context.base import Context
from seasonrec.batches.context.calendar import CalendarContext, RequestCalendar
from seasonrec.batches.facts import Facts
from seasonrec.data.calendar import holiday_days, local_days
from seasonrec.errors import UserError
from seasonrec.models.components import ContextValues, SeasonEffect
from seasonrec.models.kernels.matmul import Linear
from seasonrec.models.language.text_vectors import TextReader
from seasonrec.models.scoring import ScoredItems

NORTHERN_SEASONS = ("winter", "spring", "summer", "autumn")
DAYS_AHEAD = 400
"""Days after the log's last one for which a request can be put into words."""


class TextSeason(nn.Module):
    """Scores items by how much better their text goes with this date than with other dates.

    Nothing has to be learnt about a feast for its words to be understood: the language model puts "Thanksgiving" near
    "turkey" and "christmas" near "ornaments". What is learnt is how far to trust such nearness, from the feasts of the
    training weeks; that carries over to feasts that no training week has seen.

    Args:
        reader: Language model, see :func:`~seasonrec.models.language.pretrained.resolve`.
        days_before: A holiday is named from this many days before it.

    Shape:
        - query: ``(N, D)``; items: ``(C, D)``; scores: ``(N, C)``.
    """

    adds_scores = True
    day_vectors: Tensor
    text_vectors: Tensor
    scale: Tensor

    def __init__(self, reader: str = "minilm", days_before: int = 14, *, facts: Facts) -> None:
        super().__init__()
        self.context = CalendarContext()
        self.reads: tuple[Context, ...] = (self.context,)
        ends = local_days(np.asarray([facts.spec.first_time_s, facts.spec.last_time_s]), facts.spec.timezone)
        self.first_day, self.last_day = int(ends[0]), int(ends[1]) + DAYS_AHEAD
        days = range(self.first_day, self.last_day + 1)
        self.reader = reader
        read = TextReader(reader, facts.cache_dir)
        day_vectors = read([date_in_words(day, facts.spec.country, days_before) for day in days])
        text_vectors = read(facts.texts_for("season=text"))
        self.register_buffer("day_vectors", day_vectors - day_vectors[:366].mean(0), persistent=False)
        known = facts.item_is_known
        self.register_buffer("text_vectors", text_vectors - text_vectors[known].mean(0), persistent=False)
        self.register_buffer("scale", (self.day_vectors @ self.text_vectors[known].T).std(), persistent=False)
        self.slopes = nn.Parameter(torch.tensor([0.1, 0.0, 0.0]))
        self.gate = Linear(facts.embedding_dim, 1)
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)

    def conditioned(self, query: Tensor, context: ContextValues) -> Tensor:
        return query

    def forward(self, query: Tensor, items: ScoredItems, context: ContextValues) -> SeasonEffect:
        calendar: RequestCalendar = context[self.context.name]
        days, row = torch.unique(calendar.day, return_inverse=True)
        nearness = self.day_vectors[self._index(days)] @ items.of(self.text_vectors).T / self.scale  # (Q, C)
        bent = torch.stack([nearness, torch.relu(nearness - 1.5), torch.relu(nearness - 3.0)], dim=-1) @ self.slopes
        return SeasonEffect(query, 2 * torch.sigmoid(self.gate(query)) * F.embedding(row, bent))

    def _index(self, days: Tensor) -> Tensor:
        outside = (days < self.first_day) | (days > self.last_day)
        if outside.any():
            asked = np.datetime64(int(days[outside][0]), "D")
            first, last = np.datetime64(self.first_day, "D"), np.datetime64(self.last_day, "D")
            raise UserError(
                f"season=text has words for request dates from {first} to {last}, got {asked}; ask for a date in "
                "that range, or prepare a newer log."
            )
        return days - self.first_day


def date_in_words(day: int, country: str | None, days_before: int) -> str:
    """A date as a shopper would put it, for example ``"shopping in November, autumn, for Thanksgiving Day"``.

    Args:
        day: Days since 1970-01-01.
        country: Whose holidays are named; None names none.
        days_before: How long before it a holiday is named; the day after it still names it.
    """
    date = dt.date(1970, 1, 1) + dt.timedelta(days=day)
    season = NORTHERN_SEASONS[date.month % 12 // 3]
    near = sorted(
        (occurrence, name)
        for name, occurrences in holiday_days(country, date.year - 1, date.year + 1).items()
        for occurrence in occurrences
        if -1 <= occurrence - day <= days_before
    )
    return f"shopping in {date:%B}, {season}" + "".join(f", for {name}" for _, name in near[:2])
