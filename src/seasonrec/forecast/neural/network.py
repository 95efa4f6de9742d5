"""Network of a series: the project's temporal modules over its periods, and a head for the periods ahead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.facts import Facts
from seasonrec.data.spec import SECONDS_PER_DAY, DataSpec
from seasonrec.forecast.neural.windows import SeriesBatch
from seasonrec.models.components import TemporalModule
from seasonrec.models.kernels.matmul import Linear

MakeTemporal = Callable[[Facts], nn.Module]
"""Function that makes a temporal module for the width and the calendar of its facts."""

NOON_S = SECONDS_PER_DAY // 2


class SeriesNetwork(nn.Module):
    """A period as an event: a small layer reads each value and its known inputs, and a temporal module the sequence.

    The query of the temporal module is decoded into one vector for each period ahead, to which the known inputs of that
    period are added.

    Args:
        make_temporal: Makes the temporal module.
        num_inputs: Number ``K`` of known inputs.
        width: Width ``D``.
        horizon: Number ``H`` of periods ahead.
        num_outputs: Numbers ``O`` that the loss reads for each period.
        first_day: Local day of the first period.

    Shape:
        - output: ``(N, H, O)``, and scalars by name that training adds to the loss.
    """

    def __init__(
        self,
        make_temporal: MakeTemporal,
        num_inputs: int,
        width: int,
        horizon: int,
        num_outputs: int,
        first_day: int,
    ) -> None:
        super().__init__()
        self.embed = nn.Sequential(Linear(2 + num_inputs, width), nn.GELU(), Linear(width, width))
        self.start = nn.Parameter(torch.zeros(width))
        self.temporal = make_temporal(_facts(width, first_day))
        self.steps = Linear(width, horizon * width)
        self.future = Linear(num_inputs, width, bias=False) if num_inputs else None
        self.out = nn.Sequential(nn.GELU(), Linear(width, num_outputs))

    def forward(self, batch: SeriesBatch) -> tuple[Tensor, Mapping[str, Tensor]]:
        level = batch.scale.log()[:, :, None].expand(-1, batch.values.shape[1], 1)
        read = self.embed(torch.cat([batch.values[:, :, None], level, batch.past_inputs], dim=2))  # (N, T, D)
        hidden = torch.cat([self.start.expand(len(read), 1, -1), read], dim=1)  # (N, T + 1, D)
        temporal: TemporalModule = self.temporal  # type: ignore[assignment]  # a module that fills the slot
        reading = temporal(hidden, _as_sequence(batch))
        ahead = self.steps(reading.query).view(len(read), -1, hidden.shape[2])  # (N, H, D)
        if self.future is not None:
            ahead = ahead + self.future(batch.future_inputs)
        return self.out(ahead), reading.penalties


def _as_sequence(batch: SeriesBatch) -> SequenceBatch:
    """Returns the windows as sequences of events with one request each, at the origin."""
    number, length = batch.values.shape
    device = batch.values.device
    rows, zeros = torch.arange(number, device=device), torch.zeros(number, dtype=torch.int64, device=device)
    none = torch.zeros(0, dtype=torch.int64, device=device)
    is_padding = torch.arange(length, device=device) >= batch.length[:, None]
    return SequenceBatch(
        item_ids=is_padding.long(),
        timestamps_s=torch.where(is_padding, 0, batch.days * SECONDS_PER_DAY + NOON_S),
        is_padding=is_padding,
        request_window=rows,
        request_position=batch.length,
        request_time_s=batch.origin_days * SECONDS_PER_DAY + NOON_S,
        candidates_until_s=zeros,
        user_ids=rows,
        basket_ids=zeros - 1,
        unavailable=zeros,
        target_request=none,
        target_items=none,
        context={},
    )


def _facts(width: int, first_day: int) -> Facts:
    """Returns the facts of a temporal module that reads series: the width, and days without a time zone."""
    first_s = first_day * SECONDS_PER_DAY
    spec = DataSpec(0, 0, 1, 0, 0, first_s, first_s, first_s, None, "UTC", has_text=False, has_value=True)
    none = torch.zeros(0)
    return Facts(spec, (), none.long(), none, none, embedding_dim=width, max_seq_len=0, cache_dir=Path())
