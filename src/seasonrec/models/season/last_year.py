"""Sales at the same time of the previous year."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seasonrec.batches.context.last_year import Form, LastYear, LastYearContext
from seasonrec.batches.facts import Facts
from seasonrec.errors import UserError
from seasonrec.models.components import ContextValues, SeasonEffect
from seasonrec.models.demand.similarity import read_groups
from seasonrec.models.scoring import ScoredItems
from seasonrec.ranges import Entries, WholeDaysOrZero, ranged


@ranged("season.last_year")
class LastYearSeason(nn.Module):
    """Seasonal effect of last year's sales: lifts at that time, each form with a learned weight.

    A form says what is counted together: the item alone (``id``), its ``category``, its ``cluster`` of texts, or the
    items with near texts (``text``). What sold a year ago says nothing for an item that is younger; its text does.

    Args:
        half_window_days: Days on either side of the day a year ago.
        use: Forms, see :class:`~seasonrec.batches.context.last_year.LastYear`.
        reader: Language model of the texts, see :func:`~seasonrec.models.language.pretrained.resolve`.

    Shape:
        - query: ``(N, D)``; items: ``(C, D)``; scores: ``(N, C)``.

    Raises:
        ValueError: If the log holds less than one yearly cycle before the validation cut, or ``use`` is empty, has a
            form twice or one that does not exist.
    """

    adds_scores = True

    def __init__(
        self,
        half_window_days: WholeDaysOrZero = 14,
        use: Annotated[tuple[Literal["id", "category", "cluster", "text"], ...], Entries()] = ("id", "category"),
        reader: str = "minilm",
        *,
        facts: Facts,
    ) -> None:
        super().__init__()
        facts.spec.require_last_year("season=[last_year]")
        use = tuple(use)
        if not set(use) <= set(get_args(Form)):
            raise UserError(
                f"season.last_year.use must hold some of {', '.join(get_args(Form))}, got {list(use)}; "
                "try [id,cluster,text]."
            )
        groups = None
        if {"cluster", "text"} & set(use):
            self.reader = reader
            texts, is_known = facts.texts_for("season=[last_year]"), facts.item_is_known.numpy()
            groups = read_groups(use, reader, texts, is_known, facts.cache_dir)
        self.context = LastYearContext(half_window_days, use, groups)
        self.reads = (self.context,)
        self.weight = nn.Parameter(torch.full((len(use),), 0.25))

    def conditioned(self, query: Tensor, context: ContextValues) -> Tensor:
        return query

    def forward(self, query: Tensor, items: ScoredItems, context: ContextValues) -> SeasonEffect:
        last_year: LastYear = context[self.context.name]
        return SeasonEffect(query, F.embedding(last_year.row, (last_year.lifts * self.weight).sum(-1)))
