"""TimelyRec: personal vectors of month, date, weekday and hour, which weigh the user's last events."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seasonrec.batches.context.clock import PLACES, Clock, ClockContext
from seasonrec.batches.context.own_events import OwnEvents, OwnEventsContext
from seasonrec.batches.facts import Facts
from seasonrec.models.components import ContextValues, SeasonEffect
from seasonrec.models.kernels.matmul import Linear, zeroed
from seasonrec.models.scoring import ScoredItems
from seasonrec.ranges import Length, ranged

ASPECTS = ("month", "date", "weekday", "hour")

NEAR_SHARE = 0.2
"""Share of the places of an aspect up to which a place is near, on each side; the authors' value."""


@ranged("season.timelyrec")
class TimelyRecSeason(nn.Module):
    """Timely recommendation: a multi-aspect time encoder, and a time-aware encoder of the user's history.

    For an aspect ``c`` (month, date, weekday, hour) with a vector ``E_c(x)`` for each place ``x``, the query ``u``, and
    a time ``t`` with the places ``c(t)``::

        E_c^u(x) = (W_c u) * E_c(x)                                        elementwise
        N_c^u(x, j) = mean of E_c^u over the places from x - j to x + j    around the circle, j = 0 .. r_c
        T_c^u(x) = sum_j softmax_j(E_c^u(x) . N_c^u(x, j) / sqrt(D)) N_c^u(x, j)
        T^u(t) = sum_c sigmoid(W u . T_c^u(c(t))) T_c^u(c(t))              the time encoder
        s_k = (1 + cos(T^u(t), T^u(t_k))) / 2                              for the user's known events (i_k, t_k)
        H^u(t) = mean_k s_k (I_{i_k} + a P(t_k))                           the history encoder
        query = u + network([u; T^u(t); H^u(t)])

    ``I`` are item vectors of this season's own, ``P`` is the sinusoidal position of an hour, and ``a`` is a number.

    A log of less than a year has months whose vectors no request trains, so it is refused.

    Args:
        max_events: Number of the user's last known events that are weighed.

    Shape:
        - query: ``(N, D)``; items: ``(C, D)``; no scores.

    Raises:
        ValueError: If the log holds less than one yearly cycle before the validation cut, or ``max_events`` is below 1.

    References:
        Cho, Hyun, Kang and Yu, Learning Heterogeneous Temporal Patterns of User Preference for Timely Recommendation,
        WWW 2021: the multi-aspect time encoder (MATE) and the time-aware history encoder (TAHE), as in the authors'
        code.

    Departures:

    - The query stands for the user's vector, which a user without training events does not have.
    - The history is a mean of at most 50 events. The authors have the sum of always five, which would be a quarter of a
      basket of a grocer.
    - The authors' last network reads the scored item too, once per pair of request and item. Here it changes the query,
      and the item is scored by its product with the query. The time that the authors add to the scored item then adds
      the same to all items, and is left out.
    - Hours are counted from the first event of the log instead of 1970, which keeps them exact in single precision.
    """

    adds_scores = False

    def __init__(self, max_events: Length = 50, *, facts: Facts) -> None:
        super().__init__()
        facts.spec.require_last_year("season=[timelyrec]")
        width = facts.embedding_dim
        self.clock, self.own = ClockContext(), OwnEventsContext(max_events)
        self.reads = (self.clock, self.own)
        self.columns = [list(PLACES).index(aspect) for aspect in ASPECTS]
        self.aspects = nn.ModuleList(Aspect(PLACES[aspect], width) for aspect in ASPECTS)
        self.select = Linear(width, width, bias=False)
        self.items = nn.Embedding(facts.spec.num_items, width)
        nn.init.normal_(self.items.weight, std=width**-0.5)
        self.time_weight = nn.Parameter(torch.tensor(width**-0.5))
        self.network = nn.Sequential(
            Linear(3 * width, 2 * width), nn.ReLU(), zeroed(Linear(2 * width, width, bias=False))
        )

    def conditioned(self, query: Tensor, context: ContextValues) -> Tensor:
        clock: Clock = context[self.clock.name]
        own: OwnEvents = context[self.own.name]
        vectors = self._vectors(query)  # (N, R, D)
        now = self._at(vectors, clock.places[:, None])  # (N, 1, D)
        then = self._at(vectors, own.places)  # (N, L, D)
        near = (1 + F.cosine_similarity(now, then, dim=-1)) / 2 * ~own.is_padding
        weights = near / (~own.is_padding).sum(1, keepdim=True).clamp(min=1)
        history = F.embedding_bag(own.items, self.items.weight, per_sample_weights=weights, mode="sum")
        history = history + self.time_weight * self._evolution(own.log_days, weights)
        return query + self.network(torch.cat([query, now.squeeze(1), history], dim=-1))

    def forward(self, query: Tensor, items: ScoredItems, context: ContextValues) -> SeasonEffect:
        return SeasonEffect(self.conditioned(query, context), None)

    def _vectors(self, query: Tensor) -> Tensor:
        """Returns the ``(N, R, D)`` personal vectors of all places of all aspects, times their sigmoid weights."""
        vectors = torch.cat([aspect(query) for aspect in self.aspects], dim=1).float()
        chosen = torch.sigmoid((vectors * self.select(query)[:, None]).sum(-1, keepdim=True))
        return chosen * vectors

    def _at(self, vectors: Tensor, places: Tensor) -> Tensor:
        """Returns the sums ``(N, L, D)`` of the vectors ``(N, R, D)`` at the places ``(N, L, 5)`` of times."""
        rows, width = vectors.shape[1:]
        first = _starts(PLACES[aspect] for aspect in ASPECTS).to(places.device)
        place = (
            places[..., self.columns] + first + rows * torch.arange(len(places), device=places.device)[:, None, None]
        )
        found = F.embedding_bag(place.flatten(0, 1), vectors.reshape(-1, width), mode="sum")
        return found.view(*places.shape[:2], width)

    def _evolution(self, log_days: Tensor, weights: Tensor) -> Tensor:
        """Returns the ``(N, D)`` weighted positions of times ``(N, L)``; the events of a basket share one."""
        distinct, row = torch.unique(log_days, return_inverse=True)
        positions = positions_of(distinct * 24, self.items.embedding_dim)
        return F.embedding_bag(row, positions, per_sample_weights=weights, mode="sum")


class Aspect(nn.Module):
    """Vectors of the places of an aspect, mixed with the means of those near them, for each user.

    Args:
        num_places: Places ``R`` on the circle.
        width: ``D``.

    Shape:
        - user: ``(N, D)``; output: ``(N, R, D)``.
    """

    near: Tensor

    def __init__(self, num_places: int, width: int) -> None:
        super().__init__()
        self.personal = Linear(width, width, bias=False)
        self.vectors = nn.Embedding(num_places, width)
        nn.init.normal_(self.vectors.weight, std=width**-0.5)
        radius = max(int(num_places * NEAR_SHARE + 0.5), 1)
        self.register_buffer("near", means_of_near(num_places, radius), persistent=False)

    def forward(self, user: Tensor) -> Tensor:
        vectors = self.vectors.weight
        means = self.near @ vectors  # (J, R, D)
        factor = self.personal(user)  # (N, D)
        match = torch.einsum("nd,jrd->njr", factor.square(), vectors * means) / vectors.shape[1] ** 0.5
        mixed = torch.einsum("njr,jrd->nrd", torch.softmax(match.float(), dim=1), means)
        return factor[:, None] * mixed


def means_of_near(num_places: int, radius: int) -> Tensor:
    """Returns ``(radius + 1, R, R)`` matrices of the mean over the places up to ``j`` away on the circle."""
    away = (torch.arange(num_places)[:, None] - torch.arange(num_places)).abs()
    away = torch.minimum(away, num_places - away)
    return torch.stack([(away <= j) / (2.0 * j + 1.0) for j in range(radius + 1)])


def positions_of(hours: Tensor, width: int) -> Tensor:
    """Returns the ``(U, D)`` sines and cosines of ``(U,)`` hours, with wave lengths from ``2 pi`` to 20,000 ``pi``."""
    pair = torch.arange(0, width, 2, device=hours.device)
    angle = hours[:, None] / 10_000.0 ** (pair / width)  # (U, D / 2)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)[:, :width]


def _starts(sizes: Iterable[int]) -> Tensor:
    """Returns the first row of each aspect in the table of all."""
    return torch.tensor([0, *sizes])[:-1].cumsum(0)
