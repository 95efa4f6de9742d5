"""Training windows by hand, for tests of models that read a sequence."""

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from seasonrec.batches.batch import SequenceBatch

DAY_S = 86_400
TODAY_S = 1_790_000_000
"""A time in September 2026; float32 has a resolution of 128 s there."""
WIDTH = 8
Module = TypeVar("Module", bound=nn.Module)


def batch_of(windows: Sequence[Sequence[int]], requests: Sequence[tuple[int, int, int]]) -> SequenceBatch:
    """Returns a batch; events are given in seconds after ``TODAY_S``, requests as window, position and seconds."""
    length = max(1, *(len(times_s) for times_s in windows))
    window, position, asked_s = torch.tensor(requests, dtype=torch.int64).T.contiguous()
    times_s = torch.zeros(len(windows), length, dtype=torch.int64)
    for row, seconds in enumerate(windows):
        times_s[row, : len(seconds)] = TODAY_S + torch.tensor(seconds, dtype=torch.int64)
    is_padding = torch.arange(length) >= torch.tensor([len(seconds) for seconds in windows])[:, None]
    nothing = torch.zeros(0, dtype=torch.int64)
    return SequenceBatch(
        item_ids=torch.where(is_padding, 30, 1),
        timestamps_s=times_s,
        is_padding=is_padding,
        request_window=window,
        request_position=position,
        request_time_s=TODAY_S + asked_s,
        candidates_until_s=TODAY_S + asked_s,
        user_ids=window,
        basket_ids=torch.full_like(window, -1),
        unavailable=torch.zeros_like(window),
        target_request=nothing,
        target_items=nothing,
        context={},
    )


def some_batch() -> SequenceBatch:
    """Returns windows with baskets of one to three events, one of them empty, and requests in no order."""
    windows = [
        [0, 0, 3 * DAY_S, 10 * DAY_S, 10 * DAY_S, 10 * DAY_S, 10 * DAY_S + 1],
        [],
        [5, 9 * DAY_S, 9 * DAY_S, 40 * DAY_S],
    ]
    requests = [(2, 3, 12 * DAY_S), (0, 7, 10 * DAY_S + 30), (0, 2, DAY_S), (1, 0, 7), (0, 6, 11 * DAY_S)]
    return batch_of(windows, [*requests, (2, 0, 0), (2, 4, 41 * DAY_S), (0, 3, 9 * DAY_S)])


def some_hidden(batch: SequenceBatch, seed: int = 0) -> Tensor:
    """Returns random numbers ``(B, T + 1, WIDTH)`` in the shape of a backbone's output."""
    shape = (len(batch.item_ids), batch.item_ids.shape[1] + 1, WIDTH)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def shaken(module: Module, scale: float = 0.3) -> Module:
    """Returns the module in evaluation mode with noise on its weights, some of which are 0 at first."""
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(scale * torch.randn(parameter.shape, generator=draw))
    return module.eval()


def baskets_before(batch: SequenceBatch, request: int) -> list[list[int]]:
    """Returns the positions that a request may read, by basket; the start vector is a basket of its own."""
    window, position = int(batch.request_window[request]), int(batch.request_position[request])
    times_s = batch.timestamps_s[window].tolist()
    baskets = [[0]]
    for place in range(1, position + 1):
        if place > 1 and times_s[place - 1] == times_s[place - 2]:
            baskets[-1].append(place)
        else:
            baskets.append([place])
    return baskets


def basket_time_s(batch: SequenceBatch, request: int, basket: list[int]) -> int:
    """Returns the time of a basket; the start vector has the time of the first event."""
    times_s = batch.timestamps_s[int(batch.request_window[request])]
    return int(times_s[max(basket[0] - 1, 0)])
