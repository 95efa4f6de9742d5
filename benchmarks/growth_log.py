"""Synthetic log of any size in a Parquet file, written in row groups with constant memory.

    python -m benchmarks.growth_log 1e7 log.parquet

The popularity of users and items follows a law similar to Zipf's. A third of the purchases are of seasonal items, whose
popularity rotates with the year. Most visits buy several items in one second. Rows are sorted by time, as in an export.
For small logs with a known truth see ``seasonrec.data.datasets.synthetic``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars.io.plugins import register_io_source

SCHEMA = {"user_id": pl.Int64, "item_id": pl.Int64, "timestamp": pl.Int64, "value": pl.Float32}
_ROWS_AT_ONCE = 1_000_000
_FIRST_S, _LAST_S = 1_609_459_200, 1_672_531_200  # 2021-01-01 to 2023-01-01
_YEAR_S = 365.25 * 86_400
_SEASONAL_SHARE = 0.33
_BASKET = 3.0


@dataclass(frozen=True)
class GrowthLog:
    """Synthetic log.

    Args:
        events: Number of rows.
        users: Number of users; nearly all have an event.
        items: Number of items; nearly all have an event.
        seed: Seed of all draws.
    """

    events: int
    users: int
    items: int
    seed: int = 0

    @classmethod
    def of_size(cls, events: int) -> GrowthLog:
        """Returns a log with 100,000 users and 10,000 items for 1M events, and 5M and 1M for 100M events."""
        growth = max(events / 1e6, 0.01)
        return cls(events, int(1e5 * growth**0.8495), int(1e4 * growth))

    def write(self, path: Path) -> None:
        """Writes the complete file, or no file after an error."""
        unfinished = path.with_name(path.name + ".part")
        source = register_io_source(lambda *_: self._frames(), schema=SCHEMA)
        source.sink_parquet(unfinished, row_group_size=_ROWS_AT_ONCE, compression="lz4")
        unfinished.rename(path)

    def _frames(self) -> Iterator[pl.DataFrame]:
        random = np.random.default_rng(self.seed)
        for start in range(0, self.events, _ROWS_AT_ONCE):
            rows = min(_ROWS_AT_ONCE, self.events - start)
            span = (_LAST_S - _FIRST_S) / self.events
            yield self._frame(random, rows, _FIRST_S + start * span, rows * span)

    def _frame(self, random: np.random.Generator, rows: int, first_s: float, span_s: float) -> pl.DataFrame:
        """Returns ``rows`` events of the ``span_s`` seconds from ``first_s``."""
        sizes = 1 + random.poisson(_BASKET - 1, rows)  # the largest number of visits that may be needed
        visit = np.repeat(np.arange(rows), sizes)[:rows]
        visits = int(visit[-1]) + 1
        times_s = np.sort(first_s + span_s * random.random(visits)).astype(np.int64)[visit]
        users = _mixed(_popular(random, visits, self.users, 0.5), self.users)[visit]
        ranks = _popular(random, rows, self.items, 0.9)
        shift = (self.items * (times_s / _YEAR_S % 1.0)).astype(np.int64)
        everyday, seasonal = _mixed(ranks, self.items), (ranks + shift) % self.items
        items = np.where(random.random(rows) < _SEASONAL_SHARE, seasonal, everyday)
        values = random.gamma(2.0, 2.0, rows).astype(np.float32)
        return pl.DataFrame({"user_id": users, "item_id": items, "timestamp": times_s, "value": values}, SCHEMA)


def _popular(random: np.random.Generator, draws: int, count: int, exponent: float) -> NDArray[np.int64]:
    """Draws ranks ``(draws,)`` from 0 with probabilities near ``(rank + 1) ** -exponent``, by an inverse integral."""
    power = 1.0 - exponent
    place = ((count + 1.0) ** power - 1.0) * random.random(draws) + 1.0
    return np.minimum((place ** (1.0 / power)).astype(np.int64) - 1, count - 1)


def _mixed(ranks: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Permutes the ranks 0..count - 1, so that an id does not reveal the popularity."""
    step = int(count * 0.618) | 1
    while np.gcd(step, count) != 1:
        step += 2
    return ranks * step % count


def main() -> None:
    """Writes one log."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("events", type=float, help="number of rows, for example 1e7")
    parser.add_argument("path", type=Path, help="file to write, .parquet")
    arguments = parser.parse_args()
    log = GrowthLog.of_size(int(arguments.events))
    log.write(arguments.path)
    print(f"{log} in {arguments.path}, {arguments.path.stat().st_size / 1e6:,.0f} MB")


if __name__ == "__main__":
    main()
