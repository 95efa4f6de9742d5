"""Season of words: the date of the request as a sentence, read by the language model of the items."""

from __future__ import annotations

import datetime as dt
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seasonrec.batches.context.calendar import CalendarContext, RequestCalendar
from seasonrec.batches.facts import Facts
from seasonrec.data.calendar import holiday_days, local_days
from seasonrec.models.components import ContextValues, SeasonEffect
from seasonrec.models.kernels.matmul import Linear, zeroed
from seasonrec.models.language.text_vectors import TextReader
from seasonrec.models.scoring import ScoredItems

NORTHERN_SEASONS = ("winter", "spring", "summer", "autumn")
SOUTHERN = (
    "AO AQ AR AS AU BI BO BR BW CD CG CK CL CX EC FJ FK GS ID KE KM LS MG MU MW MZ NA NC NF NR NU NZ PE PF PG PN PY RE "
    "RW SB SC SH SZ TK TL TO TV TZ UY VU WF WS YT ZA ZM ZW"
)
"""Countries (ISO 3166) whose people live mostly south of the equator."""
DAYS_AHEAD = 400
"""Days after the log whose sentences are embedded at the start; later dates are embedded when requests need them."""


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

    def __init__(self, reader: str = "minilm", days_before: int = 14, *, facts: Facts) -> None:
        super().__init__()
        self.context = CalendarContext()
        self.reads = (self.context,)
        ends = local_days(np.asarray([facts.spec.first_time_s, facts.spec.last_time_s]), facts.spec.timezone)
        self.first_day, self.last_day = int(ends[0]), int(ends[1]) + DAYS_AHEAD
        self.reader = reader
        self.in_words = partial(date_in_words, country=facts.spec.country, days_before=days_before)
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
        days, row = torch.unique(calendar.day, return_inverse=True)
        nearness = self._vectors_of(days) @ items.of(self.text_vectors).T / self.scale  # (Q, C)
        bent = torch.stack([nearness, torch.relu(nearness - 1.5), torch.relu(nearness - 3.0)], dim=-1) @ self.slopes
        return SeasonEffect(query, 2 * torch.sigmoid(self.gate(query)) * F.embedding(row, bent))

    def _vectors_of(self, days: Tensor) -> Tensor:
        """Returns the centred vectors ``(Q, H)`` of days."""
        vectors = self.day_vectors[(days - self.first_day).clamp(0, self.last_day - self.first_day)]
        outside = (days < self.first_day) | (days > self.last_day)
        if outside.any():
            words = [self.in_words(day) for day in days[outside].tolist()]
            if new := [sentence for sentence in dict.fromkeys(words) if sentence not in self.read_later]:
                self.read_later |= dict(zip(new, self.read(new), strict=True))
            vectors[outside] = torch.stack([self.read_later[sentence] for sentence in words]).to(vectors) - self.centre
        return vectors


def date_in_words(day: int, country: str | None, days_before: int) -> str:
    """Returns a date in words, for example ``"shopping in November, autumn, for Thanksgiving Day"``.

    Args:
        day: Days since 1970-01-01.
        country: ISO 3166 code of the country that decides holidays and hemisphere; None means no holidays and northern
            seasons.
        days_before: A holiday is named from this many days before it until the day after it.
    """
    date = dt.date(1970, 1, 1) + dt.timedelta(days=day)
    season = NORTHERN_SEASONS[(date.month % 12 // 3 + 2 * ((country or "-") in SOUTHERN)) % 4]
    near = sorted(
        (occurrence, name)
        for name, occurrences in holiday_days(country, date.year - 1, date.year + 1).items()
        for occurrence in occurrences
        if -1 <= occurrence - day <= days_before
    )
    return f"shopping in {date:%B}, {season}" + "".join(f", for {name}" for _, name in near[:2])
