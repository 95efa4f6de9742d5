"""Builder of batches, and loader of training batches."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.candidates import Candidates, available_targets, candidates_until_s
from seasonrec.batches.context.base import BoundContext
from seasonrec.batches.epoch_plan import PoolPlan, WindowRule, number_of_batches
from seasonrec.batches.event_windows import EventWindows
from seasonrec.batches.horizon import Horizon
from seasonrec.batches.labels.base import BoundLabels
from seasonrec.batches.requests import Requests
from seasonrec.batches.sampling import NegativeSampler
from seasonrec.batches.sharding import WHOLE, Shard
from seasonrec.batches.user_pools import BasketSource, GivenBaskets, Period, cut_pools, forget_pages
from seasonrec.data.log import EventLog
from seasonrec.errors import UserError
from seasonrec.ranges import Batch, Count, Share, ranged

Augment = Callable[[SequenceBatch, np.random.Generator], SequenceBatch]
"""Function that changes the events in the windows of a training batch; requests and targets stay the same."""


@ranged("loader")
@dataclass(frozen=True)
class LoaderOptions:
    """Options of the batches.

    Args:
        batch_size: Maximal number of requests in a training batch. This is not the number of sequences: one window of a
            user's events serves several requests, so that a batch has fewer windows than requests, and more targets,
            because a request asks for a whole basket. A window may serve two successive batches.
        evaluation_batch_size: Requests in an evaluation batch; each has its own window.
        min_context_share: Least share of a full window that every request reads, if the user has enough events. A low
            value gives fewer windows and a faster epoch; a high value gives requests more history.
        shift_windows: Whether the borders of the windows of a sequence move from epoch to epoch.
        shuffle: Whether windows come in a new order in every epoch.
        validation_stride: Validation uses every ``validation_stride``-th basket of its part.
        pool_size: Requests that are planned at once. A log with more requests is read in pools of users; a batch then
            has users of one pool only. Memory: about 100 bytes per request of a pool.

    Raises:
        ValueError: If a number lies outside its range.
    """

    batch_size: Batch = 256
    evaluation_batch_size: Batch = 256
    min_context_share: Share = 0.25
    shift_windows: bool = True
    shuffle: bool = True
    validation_stride: Count = 3
    pool_size: Count = 2_000_000


class BatchBuilder:
    """Builder of :class:`SequenceBatch` from requests for training, evaluation and ``recommend``.

    Args:
        contexts: Bound contexts by name.
        max_seq_len: Maximal number of events ``T`` of a window.
        labels: Bound labels by name, for batches with targets.
        candidates: Rule of the candidates; other items of a basket are left out of the targets.
    """

    def __init__(
        self,
        log: EventLog,
        contexts: Mapping[str, BoundContext],
        max_seq_len: int,
        labels: Mapping[str, BoundLabels] | None = None,
        candidates: Candidates = "known",
    ) -> None:
        self.log, self.contexts, self.max_seq_len = log, contexts, max_seq_len
        self.labels, self.candidates = labels or {}, candidates
        self._windows = EventWindows(log)

    def only(self, names: Collection[str]) -> BatchBuilder:
        """Returns a builder with only these contexts and without labels."""
        return self.over({name: self.contexts[name] for name in names})

    def over(self, contexts: Mapping[str, BoundContext]) -> BatchBuilder:
        """Returns a builder with these contexts in place of its own, and without labels."""
        return BatchBuilder(self.log, contexts, self.max_seq_len, candidates=self.candidates)

    def history_ends(self, requests: Requests) -> NDArray[np.int64]:
        """Returns ``(N,)`` numbers of the first event of each user's sequence that the request may not read."""
        return self._windows.history_ends(requests)

    def __call__(
        self,
        requests: Requests,
        window_of: NDArray[np.int64] | None = None,
        sampler: NegativeSampler | None = None,
        random: np.random.Generator | None = None,
        ends: NDArray[np.int64] | None = None,
        starts: NDArray[np.int64] | None = None,
    ) -> SequenceBatch:
        """Builds one batch.

        Args:
            window_of: ``(N,)`` number of the window that serves each request, from 0 without gaps; requests of one
                window belong to one user. None gives every request its own window.
            sampler: Sampler of the items that are scored; None for the whole catalogue.
            random: Source of its draws.
            ends: ``(N,)`` result of :meth:`history_ends`, if the caller has it.
            starts: ``(B,)`` number of the first event of each window; None begins each window ``T`` events before its
                last request, or at the first event of its user.
        """
        if ends is None:
            ends = self.history_ends(requests)
        window, user, window_end = _gathered(requests.users, ends, window_of)
        start = (
            np.maximum(window_end - self.max_seq_len, self._windows.user_offsets[user]) if starts is None else starts
        )
        position = np.maximum(ends - start[window], 0)
        target_request, target_items, unavailable = available_targets(self.log, requests, self.candidates)
        if sampler is not None and random is None:
            raise UserError(
                "a batch with a sampler needs a source of random draws, got None; pass random=default_rng(seed)."
            )
        sample = sampler.draw(target_items, random) if sampler and random else None
        scored = () if sample is None else (sample.item_ids.numpy(),)
        context: dict[str, Any] = {name: compute(requests, *scored) for name, compute in self.contexts.items()}
        return SequenceBatch(
            **self._windows(start, window_end),
            request_window=torch.from_numpy(window),
            request_position=torch.from_numpy(position),
            request_time_s=torch.from_numpy(requests.times_s),
            candidates_until_s=torch.from_numpy(candidates_until_s(self.candidates, requests)),
            user_ids=torch.from_numpy(requests.users),
            basket_ids=torch.from_numpy(requests.baskets),
            unavailable=torch.from_numpy(unavailable),
            target_request=torch.from_numpy(target_request),
            target_items=torch.from_numpy(target_items),
            context=context,
            sample=sample,
            labels={name: compute(requests) for name, compute in self.labels.items()},
        )


def _gathered(
    users: NDArray[np.int64], ends: NDArray[np.int64], window_of: NDArray[np.int64] | None
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Returns the window of each request ``(N,)``, and user and end of each window ``(B,)``."""
    if window_of is None:
        return np.arange(len(users)), users, ends
    num_windows = int(window_of.max()) + 1
    user = np.zeros(num_windows, dtype=np.int64)
    user[window_of] = users
    window_end = np.zeros(num_windows, dtype=np.int64)
    np.maximum.at(window_end, window_of, ends)
    return window_of, user, window_end


class TrainingLoader:
    """Loader of training batches, epoch by epoch; its position in the epoch can be saved and restored.

    Each epoch groups the requests of every user into windows; see :class:`~seasonrec.batches.epoch_plan.PoolPlan`. Each
    request reads at least ``min_context_share`` of a window, or all events of the user. Batches come in shuffled order,
    which depends on ``(seed, epoch)`` only.

    A log with more than ``pool_size`` requests is read in pools of users in shuffled order. Memory: one plan at a time,
    and 8 bytes per user while the pools are made.

    Several processes share an epoch. Batch ``b`` belongs to rank ``b % world_size``. A step has ``step_batches``
    batches of each process, and a pool has whole steps. The batches of a step carry weights, so that all its targets
    count the same. Every rank knows the plan of all, so that nothing is exchanged.

    Args:
        baskets: Training baskets, as a period or as ``(K,)`` rising numbers.
        horizon: End of the history of each request.
        sampler: Sampler of the items on which a batch is scored; None for the whole catalogue.
        augment: Function that changes the windows of each batch; None for no change.
        step_batches: Batches of each process in a step of the optimiser.

    Raises:
        ValueError: If a pool has fewer requests than a step has batches.
    """

    def __init__(
        self,
        builder: BatchBuilder,
        baskets: Period | NDArray[np.int64],
        options: LoaderOptions,
        horizon: Horizon,
        seed: int,
        sampler: NegativeSampler | None = None,
        shard: Shard = WHOLE,
        augment: Augment | None = None,
        step_batches: int = 1,
    ) -> None:
        self.builder = builder
        self.options = options
        self.seed = seed
        self.sampler = sampler
        self.shard = shard
        self.step_batches = step_batches
        self.augment = augment
        self.source: BasketSource = baskets if isinstance(baskets, Period) else GivenBaskets(np.asarray(baskets))
        self.pools = cut_pools(builder.log, self.source, options.pool_size)
        step = max(1, round(builder.max_seq_len * (1.0 - options.min_context_share)))
        order = (options.shift_windows, options.shuffle)
        self.rule = WindowRule(builder.max_seq_len, step, *order, horizon, builder.candidates)
        lengths = partial(number_of_batches, options.batch_size, shard.world_size, step_batches)
        self.lengths = [lengths(pool.num_requests) for pool in self.pools]
        self.epoch = 0
        self.position = 0
        self._plan: tuple[int, int, PoolPlan] | None = None

    def __len__(self) -> int:
        return sum(self.lengths) // self.shard.world_size

    @property
    def num_requests(self) -> int:
        """Training requests of an epoch, of all processes together."""
        return sum(pool.num_requests for pool in self.pools)

    def __iter__(self) -> Iterator[SequenceBatch]:
        if self.position >= len(self):  # the previous epoch was read to its end
            self.epoch, self.position = self.epoch + 1, 0
        epoch = self.epoch
        before = 0  # batches of this rank in earlier pools
        for pool in self._pool_order(epoch):
            mine = self.lengths[pool] // self.shard.world_size
            for place in range(max(0, self.position - before), mine):
                number = place * self.shard.world_size + self.shard.rank
                self.position += 1
                yield self._batch(epoch, pool, before * self.shard.world_size, number)
            before += mine

    def state_dict(self) -> dict[str, int]:
        """Returns the position of the loader, which Lightning saves in the middle of an epoch."""
        return {"epoch": self.epoch, "position": self.position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.epoch, self.position = state["epoch"], state["position"]

    def _batch(self, epoch: int, pool: int, before: int, number: int) -> SequenceBatch:
        plan = self._pool_plan(epoch, pool)
        planned = plan.batch(number)
        random = None if self.sampler is None else self._random(epoch, before + number + 1)
        batch = self.builder(planned.requests, planned.window_of, self.sampler, random, planned.ends, planned.starts)
        batch = replace(batch, weight=plan.weight(number, self.shard.world_size * self.step_batches))
        return batch if self.augment is None else self.augment(batch, self._random(epoch, before + number + 1, 1))

    def _pool_order(self, epoch: int) -> list[int]:
        if len(self.pools) == 1 or not self.options.shuffle:
            return list(range(len(self.pools)))
        return [int(pool) for pool in self._random(epoch, 0, 0, 1).permutation(len(self.pools))]

    def _pool_plan(self, epoch: int, number: int) -> PoolPlan:
        """Returns the plan of a pool and drops the previous one."""
        if self._plan is None or self._plan[:2] != (epoch, number):
            self._plan = None
            if len(self.pools) > 1:
                forget_pages(self.builder.log)
            log, users = self.builder.log, self.pools[number].users
            baskets, random = self.source.of_users(log, users), self._random(epoch, 0, number)
            self._plan = (epoch, number, PoolPlan(log, baskets, users, self.lengths[number], self.rule, random))
        return self._plan[2]

    def _random(self, epoch: int, *place: int) -> np.random.Generator:
        """Returns the source of random numbers of an epoch or of a place in it.

        numpy ignores zeros at the end of a seed: the first pool has the source of the epoch, and no other place may end
        in a zero.
        """
        return np.random.default_rng((self.seed, epoch, *place))
