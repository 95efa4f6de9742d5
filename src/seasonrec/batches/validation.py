"""Batches of the validation part, in the order of the log."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.horizon import Horizon
from seasonrec.batches.loader import BatchBuilder, LoaderOptions
from seasonrec.batches.requests import Requests
from seasonrec.batches.sharding import WHOLE, Shard
from seasonrec.batches.user_pools import Period, cut_pools
from seasonrec.errors import UserError


class ValidationBatches:
    """Batches of every ``validation_stride``-th basket of a period; each request has its own window.

    Histories end where the horizon says. Each process reads consecutive baskets. The baskets are
    looked up pool by pool to limit the memory.

    Raises:
        ValueError: If there are more processes than baskets.
    """

    def __init__(
        self, builder: BatchBuilder, period: Period, options: LoaderOptions, horizon: Horizon, shard: Shard = WHOLE
    ) -> None:
        self.builder = builder
        self.period = period
        self.options = options
        self.horizon = horizon
        self.pools = cut_pools(builder.log, period, options.pool_size)
        total = sum(pool.num_requests for pool in self.pools)
        chosen = -(-total // options.validation_stride)
        if chosen < shard.world_size:
            raise UserError(
                f"{shard.world_size} processes cannot share {chosen} validation requests; take fewer devices, or a "
                "smaller loader.validation_stride."
            )
        self.own = shard.slice_of(chosen)

    def __len__(self) -> int:
        return -(-(self.own.stop - self.own.start) // self.options.evaluation_batch_size)

    def __iter__(self) -> Iterator[SequenceBatch]:
        size = self.options.evaluation_batch_size
        waiting = np.empty(0, dtype=np.int64)
        for baskets in self._chosen():
            waiting = np.concatenate([waiting, baskets])
            whole = len(waiting) // size * size
            for start in range(0, whole, size):
                yield self._batch(waiting[start : start + size])
            waiting = waiting[whole:]
        if len(waiting):
            yield self._batch(waiting)

    def _chosen(self) -> Iterator[NDArray[np.int64]]:
        """Yields the baskets of this process, pool by pool."""
        stride, before = self.options.validation_stride, 0  # baskets in earlier pools
        for pool in self.pools:
            first = -(-before // stride)  # number of this pool's first chosen basket
            end = -(-(before + pool.num_requests) // stride)
            begin, stop = max(first, self.own.start), min(end, self.own.stop)
            if begin < stop:
                baskets = self.period.of_users(self.builder.log, pool.users)
                yield baskets[begin * stride - before : (stop - 1) * stride - before + 1 : stride]
            before += pool.num_requests

    def _batch(self, baskets: NDArray[np.int64]) -> SequenceBatch:
        return self.builder(Requests.of_baskets(self.builder.log, baskets, self.horizon))
