"""OAR: the day of the year asks the user's own history and a memory that all users share."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seasonrec.batches.context.clock import DAY_OF_YEAR, PLACES, Clock, ClockContext
from seasonrec.batches.context.own_events import OwnEvents, OwnEventsContext
from seasonrec.batches.facts import Facts
from seasonrec.models.calendar_features import waves
from seasonrec.models.components import ContextValues, SeasonEffect
from seasonrec.models.kernels.matmul import Linear, zeroed
from seasonrec.models.scoring import ScoredItems
from seasonrec.ranges import Length, ranged

DAYS = PLACES["day_of_year"]


@ranged("season.oar")
class OARSeason(nn.Module):
    """Occasion-aware recommendation: a gate weighs the query, the user's own occasions and those of all users.

    With a vector ``t_d`` for each day ``d`` of the year, the query ``u`` of a request on day ``d``, and the known
    events ``(item i_l, day d_l)``::

        s_l = (Q t_d) . (K t_{d_l}) / sqrt(D)                     own occasions: the day asks the days of the events
        p   = sum_l softmax(s)_l (V e_{i_l} sqrt(D))
        r_j = (Q' t_d) . (K' t_j) / sqrt(D)                       occasions of all: the day asks all days of the year
        g   = sum_j softmax(r)_j (V' m_j sqrt(D))
        a_f = w . tanh(W [f; u; t_d])                             f in (u, p, g)
        query = sum_f softmax(a)_f f

    ``e`` are item vectors of this season's own, ``m`` is the memory with a vector for each day of the year, and ``Q``,
    ``K``, ``V``, ``W`` are affine maps. A user without a known event has ``p = 0``.

    A log of less than a year has days whose vectors no request trains, so it is refused.

    Args:
        max_events: Number of the user's last known events that are asked.

    Shape:
        - query: ``(N, D)``; items: ``(C, D)``; no scores.

    Raises:
        ValueError: If the log holds less than one yearly cycle before the validation cut, or ``max_events`` is below 1.

    References:
        Wang, Louca, Hu, Cellier, Caverlee and Hong, Time to Shop for Valentine's Day: Shopping Occasions and Sequential
        Recommendation in E-commerce, WSDM 2020: personal occasions, global occasions and the gate, as in the authors'
        code with one head.

    Departures:

    - The query stands for the intrinsic preference *and* for the user: the authors have a vector for each user, which a
      user without training events does not have.
    - The vectors of days start at sines and cosines of the year and the maps ``Q`` and ``K`` at the identity, so that a
      day first asks the days near it. Random starts ask all days alike, and a few epochs do not change that.
    - The memory is multiplied by ``sqrt(D)``, as the authors do with item vectors, so that it learns as fast.
    - No dropout on the weights of attentions and gate: the model around it has one on the query.
    - 200 events instead of 50: with baskets of twenty items, 50 events do not reach back to the last year.
    - Scorer, loss and sampling are those of the model around it; see the row ``oar``.
    """

    adds_scores = False

    def __init__(self, max_events: Length = 200, *, facts: Facts) -> None:
        super().__init__()
        facts.spec.require_last_year("season=[oar]")
        width = facts.embedding_dim
        self.clock, self.own = ClockContext(), OwnEventsContext(max_events)
        self.reads = (self.clock, self.own)
        self.scale = width**0.5
        self.days = _of_the_year(width)
        self.items = _vectors(facts.spec.num_items, width)
        self.memory = _vectors(DAYS, width)
        self.own_query, self.own_key, self.all_query, self.all_key = (_identity(width) for _ in range(4))
        self.own_value, self.all_value = Linear(width, width), Linear(width, width)
        self.gate_features = Linear(width, width, bias=False)
        self.gate_request = Linear(2 * width, width)
        self.gate = Linear(width, 1, bias=False)

    def conditioned(self, query: Tensor, context: ContextValues) -> Tensor:
        clock: Clock = context[self.clock.name]
        day = clock.places[:, DAY_OF_YEAR]
        features = torch.stack([query, self._own(day, context[self.own.name]), self._of_all(day)], dim=1)  # (N, 3, D)
        request = self.gate_request(torch.cat([query, self.days(day)], dim=-1))
        hidden = torch.tanh(self.gate_features(features) + request[:, None])
        weights = torch.softmax(self.gate(hidden).squeeze(-1).float(), dim=-1)  # (N, 3)
        return (weights[..., None] * features).sum(1)

    def forward(self, query: Tensor, items: ScoredItems, context: ContextValues) -> SeasonEffect:
        return SeasonEffect(self.conditioned(query, context), None)

    def _own(self, day: Tensor, own: OwnEvents) -> Tensor:
        """Returns the ``(N, D)`` own occasions of requests on days ``(N,)``; 0 without a known event.

        The scores of all pairs of days are one small table, from which each event takes its own.
        """
        table = self._scores(self.own_query, self.own_key)
        cell = day[:, None] * DAYS + own.places[..., DAY_OF_YEAR]  # (N, L)
        scores = F.embedding(cell, table.view(-1, 1)).squeeze(-1).float()
        weights = torch.softmax(scores.masked_fill(own.is_padding, -1e9), dim=-1)
        weights = weights * ~own.is_padding
        mean = F.embedding_bag(own.items, self.items.weight, per_sample_weights=weights, mode="sum") * self.scale
        known = ~own.is_padding[:, :1]
        return self.own_value(mean) * known

    def _of_all(self, day: Tensor) -> Tensor:
        """Returns the ``(N, D)`` occasions of all users on days ``(N,)``."""
        weights = torch.softmax(self._scores(self.all_query, self.all_key).float(), dim=-1)
        return F.embedding(day, weights @ self.all_value(self.memory.weight * self.scale))

    def _scores(self, query: Linear, key: Linear) -> Tensor:
        """Returns the ``(366, 366)`` scores of each day for each day."""
        return query(self.days.weight) @ key(self.days.weight).T / self.scale


def _vectors(count: int, width: int) -> nn.Embedding:
    found = nn.Embedding(count, width)
    nn.init.normal_(found.weight, std=width**-0.5)
    return found


def _of_the_year(width: int) -> nn.Embedding:
    """Returns vectors of the days of the year that start at its sines and cosines, with the length ``sqrt(D)``."""
    phase = 2 * torch.pi * torch.arange(DAYS) / DAYS
    found = nn.Embedding(DAYS, width)
    with torch.no_grad():
        found.weight.copy_(2**0.5 * waves(phase, (width + 1) // 2)[:, :width])
    return found


def _identity(width: int) -> Linear:
    """Returns a map that starts as the identity."""
    layer = zeroed(Linear(width, width))
    nn.init.eye_(layer.weight)
    return layer
