"""Season of words: the date of the request as a sentence, read by the language model of the items."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seasonrec.batches.context.calendar import FAR_DAYS, CalendarContext, RequestCalendar
from seasonrec.batches.facts import Facts
from seasonrec.data.calendar import holiday_days, local_days
from seasonrec.models.components import ContextValues, SeasonEffect
from seasonrec.models.kernels.matmul import Linear, zeroed
from seasonrec.models.language.text_vectors import TextReader
from seasonrec.models.scoring import ScoredItems
from seasonrec.ranges import WholeDaysOrZero, ranged

NORTHERN_SEASONS = ("winter", "spring", "summer", "autumn")
SOUTHERN = (
    "AO AQ AR AS AU BI BO BR BW CD CG CK CL CX EC FJ FK GS ID KE KM LS MG MU MW MZ NA NC NF NR NU NZ PE PF PG PN PY RE "
    "RW SB SC SH SZ TK TL TO TV TZ UY VU WF WS YT ZA ZM ZW"
)
"""Countries (ISO 3166) whose people live mostly south of the equator."""
DAYS_AHEAD = 400
"""Days after the log whose sentences are embedded at the start; later dates are embedded when requests need them."""


@ranged("season.text")
class TextSeason(nn.Module):
    """Seasonal effect of words: scores items by the similarity of their texts to the date in words.

    The language model knows holidays without training: it puts "Thanksgiving" near "turkey" and "christmas" near
    "ornaments". Training learns how much this similarity counts, and what it learns on the holidays of the training
    weeks applies to all others.

    Args:
        reader: Language model, see :func:`~seasonrec.models.language.pretrained.resolve`.
        days_before: A holiday is named from this many days before it.

    Shape:
        - query: ``(N, D)``; items: ``(C, D)``; scores: ``(N, C)``.
    """

    adds_scores = True
    centre: Tensor
    day_vectors: Tensor
    text_vectors: Tensor
    scale: Tensor

    def __init__(self, reader: str = "minilm", days_before: WholeDaysOrZero = 14, *, facts: Facts) -> None:
        super().__init__()
        self.context = CalendarContext()
        self.reads = (self.context,)
        ends = local_days(np.asarray([facts.spec.first_time_s, facts.spec.last_time_s]), facts.spec.timezone)
        self.first_day, self.last_day = int(ends[0]), int(ends[1]) + DAYS_AHEAD
        self.reader = reader
        self.in_words = partial(date_in_words, country=facts.spec.country, days_before=days_before)
        self.days_before = days_before
        self.own = facts.spec.occasions  # the last columns of the context's holidays
        self.read = TextReader(reader, facts.cache_dir)
        self.read_later: dict[str, Tensor] = {}
        words = [self.in_words(day) for day in range(self.first_day, self.last_day + 1)]
        distinct = {sentence: row for row, sentence in enumerate(dict.fromkeys(words))}
        day_vectors = self.read(list(distinct))[[distinct[sentence] for sentence in words]]
        text_vectors = self.read(facts.texts_for("season=[text]"))
        self.register_buffer("centre", day_vectors[:366].mean(0), persistent=False)
        self.register_buffer("day_vectors", day_vectors - self.centre, persistent=False)
        known = facts.item_is_known
        self.register_buffer("text_vectors", text_vectors - text_vectors[known].mean(0), persistent=False)
        self.register_buffer("scale", (self.day_vectors @ self.text_vectors[known].T).std(), persistent=False)
        self.slopes = nn.Parameter(torch.tensor([0.1, 0.0, 0.0]))
        self.gate = zeroed(Linear(facts.embedding_dim, 1))

    def conditioned(self, query: Tensor, context: ContextValues) -> Tensor:
        return query

    def forward(self, query: Tensor, items: ScoredItems, context: ContextValues) -> SeasonEffect:
        calendar: RequestCalendar = context[self.context.name]
        dates, row = self._dates(calendar)
        nearness = dates @ items.of(self.text_vectors).T / self.scale  # (Q, C)
        bent = torch.stack([nearness, torch.relu(nearness - 1.5), torch.relu(nearness - 3.0)], dim=-1) @ self.slopes
        return SeasonEffect(query, 2 * torch.sigmoid(self.gate(query)) * F.embedding(row, bent))

    def _dates(self, calendar: RequestCalendar) -> tuple[Tensor, Tensor]:
        """Returns the centred vectors ``(Q, H)`` of the distinct dates, and the row of each request in them, ``(N,)``.

        Two requests of one day differ if only one of them knows of an occasion.
        """
        if not self.own:
            days, row = torch.unique(calendar.day, return_inverse=True)
            return self._vectors_of(days), row
        since = calendar.holiday_days[:, -len(self.own) :].long()  # (N, E) days since each occasion
        near = (since >= -self.days_before) & (since > -FAR_DAYS) & (since <= 1)
        seen = torch.where(near, since, FAR_DAYS)
        dates, row = torch.unique(torch.cat([calendar.day[:, None], seen], dim=1), dim=0, return_inverse=True)
        vectors = self._vectors_of(dates[:, 0])
        if (named := (dates[:, 1:] != FAR_DAYS).any(dim=1)).any():
            vectors[named] = self._read([self._with_occasions(*date) for date in dates[named].tolist()]).to(vectors)
        return vectors, row

    def _with_occasions(self, day: int, *since: int) -> str:
        """Returns a date in words with the occasions whose distance is known."""
        near = [(day - days, name) for days, name in zip(since, self.own, strict=True) if days != FAR_DAYS]
        return self.in_words(day, occasions=near)

    def _vectors_of(self, days: Tensor) -> Tensor:
        """Returns the centred vectors ``(Q, H)`` of days."""
        vectors = self.day_vectors[(days - self.first_day).clamp(0, self.last_day - self.first_day)]
        outside = (days < self.first_day) | (days > self.last_day)
        if outside.any():
            vectors[outside] = self._read([self.in_words(day) for day in days[outside].tolist()]).to(vectors)
        return vectors

    def _read(self, words: list[str]) -> Tensor:
        """Returns the centred vectors ``(Q, H)`` of sentences, each of which is read once."""
        if new := [sentence for sentence in dict.fromkeys(words) if sentence not in self.read_later]:
            self.read_later |= dict(zip(new, self.read(new), strict=True))
        return torch.stack([self.read_later[sentence] for sentence in words]).to(self.centre) - self.centre


def date_in_words(day: int, country: str | None, days_before: int, occasions: Sequence[tuple[int, str]] = ()) -> str:
    """Returns a date in words, for example ``"shopping in November, autumn, for Thanksgiving Day"``.

    Args:
        day: Days since 1970-01-01.
        country: ISO 3166 code of the country that decides holidays and hemisphere; None means no holidays and northern
            seasons.
        days_before: A holiday is named from this many days before it until the day after it.
        occasions: Day and name of the occasions of the user's own calendar that are named too.
    """
    date = dt.date(1970, 1, 1) + dt.timedelta(days=day)
    season = NORTHERN_SEASONS[(date.month % 12 // 3 + 2 * ((country or "-") in SOUTHERN)) % 4]
    public = [
        (occurrence, name)
        for name, occurrences in holiday_days(country, date.year - 1, date.year + 1).items()
        for occurrence in occurrences
        if -1 <= occurrence - day <= days_before
    ]
    near = sorted([*public, *occasions])
    return f"shopping in {date:%B}, {season}" + "".join(f", for {name}" for _, name in near[:2])
