"""Dynamic weight average: weights from the recent decrease of each task's loss."""

from __future__ import annotations

from collections.abc import Mapping

import lightning as L
import torch
from torch import Tensor, distributed

from seasonrec.batches.sharding import Shard
from seasonrec.ranges import Positive, ranged
from seasonrec.training.balancing.base import SeveralTasks, had_samples


@ranged("balancing")
class DynamicWeightAverage(SeveralTasks):
    """``w_k = K softmax_k(r_k / temperature)``, ``r_k`` the ratio of the task's mean losses in the last two epochs.

    A task whose loss falls slowly gets a larger weight. The means are over all processes and the batches that had
    samples of the task.

    All weights are 1 in the first two epochs, because the ratio needs two earlier epochs. In a run of one or two epochs
    this equals ``balancing=fixed`` with all weights 1, by construction; it needs at least three.

    Args:
        temperature: A higher temperature gives more even weights.

    Raises:
        ValueError: If the temperature is not above 0, or there is only one task.

    References:
        Liu, Johns and Davison, End-to-End Multi-Task Learning with Attention, CVPR 2019, equation 7.
    """

    sums: Tensor
    batches: Tensor
    means: Tensor

    def __init__(self, temperature: Positive = 2.0, *, tasks: tuple[str, ...]) -> None:
        super().__init__(tasks=tasks)
        self.temperature = temperature
        self.register_buffer("sums", torch.zeros(len(tasks), dtype=torch.float64))
        self.register_buffer("batches", torch.zeros(len(tasks), dtype=torch.float64))  # with samples
        self.register_buffer("means", torch.zeros(2, len(tasks), dtype=torch.float64))  # two epochs; 0: not known

    def observe(self, losses: Mapping[str, Tensor]) -> None:
        found = torch.stack([losses[name].detach() for name in self.tasks]).double()
        totals = torch.stack([found, had_samples(found)])
        if Shard.current().world_size > 1:  # in every step, because a checkpoint holds the sums of one process
            distributed.all_reduce(totals)
        self.sums += totals[0]
        self.batches += totals[1]

    def current(self) -> dict[str, Tensor]:
        earlier, later = self.means
        known = (earlier > 0) & (later > 0)
        ratio = torch.where(known, later / torch.where(known, earlier, 1.0), 1.0)
        weights = len(self.tasks) * torch.softmax(ratio / self.temperature, 0)
        return dict(zip(self.tasks, weights, strict=True))

    def callbacks(self) -> list[L.Callback]:
        return [_EpochEnd(self)]

    def end_epoch(self) -> None:
        """Stores the means of the epoch and starts the next epoch."""
        totals = self.sums / self.batches.clamp(min=1)
        self.refuse_negative(dict(zip(self.tasks, totals, strict=True)))
        self.means.copy_(torch.stack([self.means[1], totals]))
        self.sums.zero_()
        self.batches.zero_()


class _EpochEnd(L.Callback):
    def __init__(self, balancing: DynamicWeightAverage) -> None:
        self.balancing = balancing

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.balancing.end_epoch()
