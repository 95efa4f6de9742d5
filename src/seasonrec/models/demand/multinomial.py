"""Multinomial model of a day's demand, from recent sales, last year's sales, age and texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor, nn

from seasonrec.batches.context.demand import DaySales, DemandContext
from seasonrec.batches.context.item_groups import PRIOR_EVENTS, log_lift
from seasonrec.batches.context.last_year import YEAR_DAYS
from seasonrec.batches.facts import Facts
from seasonrec.data.spec import DAYS_PER_YEAR
from seasonrec.errors import UserError
from seasonrec.models.demand.similarity import TextGroups, read_groups
from seasonrec.ranges import LookBacks, Weight, WholeDaysOrZero, WidthOrZero, ranged

Use = Literal["all", "text", "cluster", "id"]

YOUNG_DAYS = 30.0
"""Days after which an item is no longer young: the feature falls by a factor of e."""

LEAST_DAYS = 56
"""Days whose last year the log must cover before the validation cut, for last year's features to be fitted."""

FIT_STEPS = 150
"""Largest number of steps of each of the two fits."""


@dataclass(frozen=True)
class ObservedDay:
    """Features and events of a training day.

    Args:
        features: ``(C, F)`` float32 of the candidates.
        events: ``(C,)`` float32.
    """

    features: Tensor
    events: Tensor


@ranged("demand")
class MultinomialDemand(nn.Module):
    """Share of each item in the events of a day: a softmax over the candidates of a small network's scores.

    The network reads, for each item: its share in all known sales; how much more than expected it sold in recent days
    (*lift*), around the same day a year ago, and in the days that were the recent ones a year ago; whether it was ever
    sold; and its age. Lifts are of the item itself, of items with similar texts (a kernel), and of a cluster of texts::

        lift(i) = log((n_i + m) / (a_i N + m))

    with the events ``n_i`` and ``N`` of the item and of all items in the window, the item's share ``a_i`` of all known
    sales, and a shrinkage ``m``. What sold a year ago says nothing for an item that is younger; its text does.

    The score is a linear function of the features plus ``hidden_dim`` tanh units. It is fitted by the likelihood of the
    events of each training day, given what was known under the protocol's horizon, before the rest of the model is
    trained, and frozen. On a log without a year before the validation cut, last year's features are left out.

    Args:
        use: What a lift counts together: ``id`` the item alone; ``text`` and ``cluster`` also the items with a similar
            text, by kernel or by cluster; ``all`` both.
        windows_days: Look-backs of the recent sales in whole days.
        half_window_days: Days on each side of the day a year ago.
        hidden_dim: Number of tanh units; 0 for a linear score.
        penalty: Precision of the normal prior of the weights around 0, in nats.
        reader: Language model of the texts, see :func:`~seasonrec.models.language.pretrained.resolve`.

    Raises:
        ValueError: If an option is out of range.
    """

    mean: Tensor
    scale: Tensor
    linear: Tensor
    inner: Tensor
    outer: Tensor
    is_fitted: Tensor

    def __init__(
        self,
        use: Use = "all",
        windows_days: LookBacks = (7, 28),
        half_window_days: WholeDaysOrZero = 14,
        hidden_dim: WidthOrZero = 24,
        penalty: Weight = 1.0,
        reader: str = "minilm",
        *,
        facts: Facts,
    ) -> None:
        super().__init__()
        if use not in get_args(Use):
            raise UserError(f"demand.use must be one of {', '.join(get_args(Use))}, got {use!r}.")
        self.windows_days = tuple(windows_days)
        self.half_window_days = half_window_days
        self.penalty = penalty
        self.first_day = YEAR_DAYS + half_window_days
        self.has_year = facts.spec.training_cycles * DAYS_PER_YEAR >= self.first_day + LEAST_DAYS
        self.by = ("id", *(kind for kind in ("text", "cluster") if use in (kind, "all")))
        self.groups = TextGroups()
        if use != "id":
            self.reader = reader
            texts, is_known = facts.texts_for("demand=multinomial"), facts.item_is_known.numpy()
            self.groups = read_groups(self.by, reader, texts, is_known, facts.cache_dir)
        count = len(self.names)
        self.register_buffer("mean", torch.zeros(count, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(count, dtype=torch.float64))
        self.register_buffer("linear", torch.zeros(count, dtype=torch.float64))
        self.register_buffer("inner", torch.zeros(count + 1, hidden_dim, dtype=torch.float64))
        self.register_buffer("outer", torch.zeros(hidden_dim, dtype=torch.float64))
        self.register_buffer("is_fitted", torch.tensor(False))
        self.context = DemandContext(self, facts.candidates)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the ``F`` features."""
        windows = [f"{length}d" for length in self.windows_days]
        windows += ["last_year", "year_before"] if self.has_year else []
        return ("log_share", *(f"{window}_{by}" for by in self.by for window in windows), "never", "log_age", "young")

    def features(self, sales: DaySales) -> NDArray[np.float64]:
        """Returns the ``(C, F)`` features of the candidates of a day."""
        windows = len(self.windows_days) + 2 * self.has_year
        sold, events = sales.sold[:windows].astype(np.float64), sales.events[:windows].astype(np.float64)
        total = sales.total.astype(np.float64)
        share = (total + 1.0) / (total.sum() + len(total))
        lifts = [lift for by in self.by for lift in self._lifts(by, sold, events, share)]
        never = total == 0
        columns = [
            np.log(share),
            *lifts,
            never.astype(np.float64),
            np.log1p(sales.age_days) / 6.0,
            np.where(never, 1.0, np.exp(-sales.age_days / YOUNG_DAYS)),
        ]
        return np.stack(columns, axis=1)[sales.is_candidate]

    def _lifts(
        self, by: str, sold: NDArray[np.float64], events: NDArray[np.float64], share: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Returns ``(W, V)`` log ratios of the events of a window to those expected."""
        sold, share = self.groups.together(by, sold), self.groups.together(by, share[None])[0]
        return log_lift(sold, events, share, PRIOR_EVENTS[by])

    def log_shares(self, sales: DaySales) -> NDArray[np.float32]:
        features = torch.from_numpy(self.features(sales))
        result = np.full(len(sales.total), -np.inf, dtype=np.float32)
        if len(features):
            weights = [part.cpu() for part in (self.linear, self.inner, self.outer)]
            scores = _scores((features - self.mean.cpu()) / self.scale.cpu(), *weights)
            result[sales.is_candidate] = torch.log_softmax(scores, dim=0).float().numpy()
        return result

    def fit(self, days: Sequence[tuple[DaySales, NDArray[np.int64]]]) -> float:
        """Fits the weights to known sales and events of training days; returns their mean bits, with the prior.

        Raises:
            UserError: If no event is of a candidate.
        """
        raw = [self.features(sales) for sales, _ in days]
        every = np.concatenate(raw)
        self.mean.copy_(torch.from_numpy(every.mean(0)))
        self.scale.copy_(torch.from_numpy(np.maximum(every.std(0), 1e-3)))
        observed = [
            ObservedDay(
                ((torch.from_numpy(features) - self.mean) / self.scale).float(),
                torch.from_numpy(events[sales.is_candidate]).float(),
            )
            for features, (sales, events) in zip(raw, days, strict=True)
        ]
        if not any(day.events.any() for day in observed):
            raise UserError(
                "demand=multinomial is fitted on sales of items that were known before the day, got none on "
                f"{len(days):,} training days: every item was new when it was sold; set demand=none."
            )
        shapes = [self.linear.shape, self.inner.shape, self.outer.shape]
        linear, bits = self._fitted(observed, np.zeros(shapes[0]), [shapes[0]])
        if len(self.outer):
            generator = torch.Generator().manual_seed(0)
            inner = torch.randn(shapes[1], generator=generator, dtype=torch.float64) * 0.3
            begin = np.concatenate([linear, inner.numpy().ravel(), np.zeros(len(self.outer))])
            found, bits = self._fitted(observed, begin, shapes)
        else:
            found = linear
        for buffer, values in zip((self.linear, self.inner, self.outer), _unflattened(found, shapes), strict=False):
            buffer.copy_(values)
        self.is_fitted.fill_(True)
        return bits

    def _fitted(
        self, observed: Sequence[ObservedDay], start: NDArray[np.float64], shapes: Sequence[torch.Size]
    ) -> tuple[NDArray[np.float64], float]:
        """Returns the weights of largest posterior probability from a start, and the mean bits with the prior."""
        total = float(sum(day.events.sum() for day in observed))

        def loss(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            nats, gradient = 0.0, np.zeros(len(values))
            vector = torch.from_numpy(values).float().requires_grad_()
            for day in observed:
                with torch.enable_grad():
                    scores = _scores(day.features, *_unflattened(vector, shapes))
                    one = -(day.events * torch.log_softmax(scores, dim=0)).sum()
                    (each,) = torch.autograd.grad(one, vector)
                nats += float(one.detach())
                gradient += each.double().numpy()
            prior = 0.5 * self.penalty * float(np.square(values).sum())
            return (nats + prior) / total, (gradient + self.penalty * values) / total

        options = {"maxiter": FIT_STEPS, "maxcor": 20}
        found = minimize(loss, start, jac=True, method="L-BFGS-B", options=options)
        return found.x, float(found.fun) / float(np.log(2.0))


def _scores(features: Tensor, linear: Tensor, inner: Tensor | None = None, outer: Tensor | None = None) -> Tensor:
    """Returns ``(C,)`` scores of ``(C, F)`` features."""
    scores = features @ linear
    if inner is None or outer is None or not len(outer):
        return scores
    return scores + torch.tanh(torch.addmm(inner[-1], features, inner[:-1])) @ outer


def _unflattened(values: NDArray[np.float64] | Tensor, shapes: Sequence[torch.Size]) -> list[Tensor]:
    vector = torch.as_tensor(values)
    parts = torch.split(vector, [shape.numel() for shape in shapes])
    return [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]
