"""Mixture with weights that depend on the user and the request."""

from __future__ import annotations

import torch
from torch import Tensor

from seasonrec.batches.context.activity import UserActivity, UserActivityContext
from seasonrec.batches.context.calendar import CalendarContext, RequestCalendar
from seasonrec.models.components import ContextValues
from seasonrec.models.mixture.base import Mixture
from seasonrec.ranges import ranged

COUNTED_START = -4.0
"""Logit of a counted part at the start of the fit; the logit of a part of the model is the log of its mass."""

NUM_FEATURES = 10
"""Eight features of user and request, and the logs of the model's masses on own and new items."""


@ranged("mixture")
class GatedMixture(Mixture):
    """Mixture whose weights are a softmax of a linear function of the request; see :class:`Mixture`.

    The model has two parts: its probabilities among the items that the user has bought before, and among the others.
    The weights of both read the model's own mass on them, so that the fit can correct how much the model expects of
    the user's own items, by the number and the size of the user's baskets, the time since the last one, and the time of
    the request.
    """

    model_names = ("model_own", "model_new")
    activity, calendar = UserActivityContext(), CalendarContext()
    gate_contexts = (activity, calendar)

    def start(self) -> Tensor:
        weight = torch.zeros(len(self.names), NUM_FEATURES)
        weight[0, -2] = weight[1, -1] = 1.0
        weight[len(self.model_names) :, 0] = COUNTED_START
        return weight

    def features(self, scores: Tensor, context: ContextValues) -> Tensor:
        activity: UserActivity = context[self.activity.name]
        calendar: RequestCalendar = context[self.calendar.name]
        columns = [
            torch.ones_like(activity.baskets),
            torch.log1p(activity.baskets) / 3.0,
            torch.log1p(activity.since_days) / 2.0,
            torch.log1p(activity.events / activity.baskets.clamp(min=1.0)) / 2.0,
            activity.items / activity.events.clamp(min=1.0),
            (calendar.weekday >= 5).float(),
            calendar.day_phase.sin(),
            calendar.day_phase.cos(),
        ]
        return torch.stack(columns, dim=1)

    def of_masses(self, masses: Tensor) -> Tensor:
        return masses.clamp(min=1e-4).log()

    def shares(self, masses: Tensor) -> Tensor:
        return masses
