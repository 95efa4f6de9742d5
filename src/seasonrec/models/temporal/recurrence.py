"""Recurrent cells over a user's baskets, used by ``gru``, ``lstm`` and ``vae``, and over the periods of a series."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seasonrec.batches.batch import SequenceBatch
from seasonrec.models.components import SequenceReading, at_requests
from seasonrec.models.kernels.matmul import Linear, zeroed
from seasonrec.models.temporal.baskets import Baskets, take
from seasonrec.models.temporal.intervals import log_days

Cell = nn.RNNCell | nn.GRUCell | nn.LSTMCell


@dataclass(frozen=True)
class BasketStates:
    """The states before and after the last basket of each request.

    Args:
        before: ``(N, D)``, the output of the last layer before the last basket; zero if no basket comes before it.
        after: ``(N, D)``, the output of the last layer after the last basket.
        gap: ``(N, 1)``, log days between the last basket and the one before it.
    """

    before: Tensor
    after: Tensor
    gap: Tensor


class BasketRecurrence(nn.Module):
    """Stacked recurrent cells that read the baskets before each request.

    Each step reads one basket: the mean of its events' vectors and the time since the previous basket. The order of
    events within a basket therefore has no effect, and the steps are far fewer than the events. Requests of a training
    window share all steps but the last.

    Shape:
        - vectors: ``(B, T + 1, D)``; output: :class:`BasketStates` of ``N`` requests.

    Raises:
        ValueError: If ``num_layers`` is below 1.

    References:
        Yu et al., A Dynamic Recurrent Model for Next Basket Recommendation, SIGIR 2016, section 2. Departures: the
        cells are gated, also read the gap, and read a backbone's outputs instead of item embeddings.
    """

    def __init__(self, cell: type[Cell], width: int, num_layers: int) -> None:
        super().__init__()
        self.width = width
        self.state_width = 2 * width if cell is nn.LSTMCell else width
        self.cells = nn.ModuleList(cell(width + (layer == 0), width) for layer in range(num_layers))

    def forward(self, vectors: Tensor, batch: SequenceBatch) -> BasketStates:
        baskets = Baskets.of(batch)
        gaps = log_days(baskets.gaps_s()).to(vectors.dtype)
        inputs = torch.cat([baskets.running_means(vectors), gaps[..., None]], dim=-1)  # (B, T + 1, D + 1)
        own = baskets.number[batch.request_window, batch.request_position]  # (N,)
        states = self._states(inputs, baskets.number, int(own.max()))
        before = take(states, batch.request_window, own).view(len(own), len(self.cells), -1)
        last = take(inputs, batch.request_window, batch.request_position)  # (N, D + 1)
        after = self._step(last, before)
        return BasketStates(before[:, -1, : self.width], after[:, -1, : self.width], last[:, self.width :])

    def _states(self, inputs: Tensor, number: Tensor, num_steps: int) -> Tensor:
        """Returns states ``(B, num_steps + 1, layers * S)``: before the first basket and after each step."""
        steps = torch.arange(num_steps, device=number.device).expand(len(number), -1).contiguous()
        ends = torch.searchsorted(number, steps, right=True) - 1  # (B, num_steps)
        window = torch.arange(len(number), device=number.device)[:, None]
        states = [inputs.new_zeros(len(inputs), len(self.cells), self.state_width)]
        for basket in take(inputs, window, ends).unbind(dim=1):
            states.append(self._step(basket, states[-1]))
        return torch.stack(states, dim=1).flatten(2)

    def _step(self, inputs: Tensor, before: Tensor) -> Tensor:
        """Returns the states ``(rows, layers, S)`` after inputs ``(rows, D + 1)``."""
        after = []
        for cell, state in zip(self.cells, before.unbind(dim=1), strict=True):
            after.append(_advance(cell, inputs, state))
            inputs = after[-1][:, : self.width]
        return torch.stack(after, dim=1)


def _advance(cell: nn.Module, inputs: Tensor, state: Tensor) -> Tensor:
    """Advances one cell by one step; an LSTM's state is its output and its memory, concatenated."""
    if isinstance(cell, nn.LSTMCell):
        output, memory = state.chunk(2, dim=1)
        return torch.cat(cell(inputs, (output, memory)), dim=1)
    following: Tensor = cell(inputs, state)
    return following


class RecurrentTemporal(nn.Module):
    """A :class:`BasketRecurrence` whose last state is projected and added to the query.

    The output projection starts at zero, so that the module starts as the identity.
    """

    changes_hidden = True

    def __init__(self, cell: type[Cell], width: int, num_layers: int) -> None:
        super().__init__()
        self.recurrence = BasketRecurrence(cell, width, num_layers)
        self.out = zeroed(Linear(width, width))

    def forward(self, hidden: Tensor, batch: SequenceBatch) -> SequenceReading:
        return SequenceReading(at_requests(hidden, batch) + self.out(self.recurrence(hidden, batch).after))
