"""Time of a log in which one user has nearly all events, beside a log of as many events by users with ten each.

    python -m benchmarks.long_histories [--sizes 25000 100000] [--items 300] [--rounds 3]

Every request reads all earlier purchases of its user. The works are the inputs of a training epoch (windows and own
history), and the scores of the test baskets by baselines that read own purchases. Logs alternate, and the time is that
of the processor, because other processes disturb it less. The time per request of the long user must not grow with
the log: ``growth`` is its ratio from the smallest to the largest log, 1 if the time is linear. Rows go to
``benchmarks/results/long_histories.json``.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl

from benchmarks.timing import save
from seasonrec.batches.context.own_history import OwnHistoryContext
from seasonrec.batches.horizon import ROLLING
from seasonrec.batches.loader import BatchBuilder, LoaderOptions, TrainingLoader
from seasonrec.batches.requests import Requests
from seasonrec.batches.splits import TimeSplit, spec_of
from seasonrec.batches.user_pools import Period
from seasonrec.data.datasets.table import Table
from seasonrec.data.events import prepare
from seasonrec.data.log import EventLog
from seasonrec.evaluation.baselines.ease import Ease, EaseCounts
from seasonrec.evaluation.baselines.rankers import EASE, TIFU_KNN, UP_CF
from seasonrec.evaluation.baselines.tifu_knn import TifuKnn
from seasonrec.evaluation.baselines.up_cf import UpCf
from seasonrec.evaluation.groups.partitions import Partitions
from seasonrec.evaluation.protocol import Protocol

START_S, DAYS = 1_600_000_000, 500
EACH = 10
"""Events of a user with few."""
CHUNK = 256

Work = Callable[[], int]
"""A work on a log, which returns its number of requests."""


def write(path: Path, events: int, items: int, long_user: bool) -> None:
    """Writes a log of one user and a hundred others with few events, or of such others alone."""
    random = np.random.default_rng(0)
    others = 100 * EACH if long_user else events
    users = np.concatenate([np.zeros(events - others, np.int64), np.arange(others) // EACH + 1])
    times = START_S + random.permutation(DAYS * 86_400)[:events]
    items_of = random.integers(0, items, events)
    pl.DataFrame({"user_id": users, "item_id": items_of, "timestamp": times}).write_parquet(path)


def works(log: EventLog) -> dict[str, Work]:
    """Returns the works on a log by name."""
    split = TimeSplit().resolve(log)
    spec, until_s = spec_of(log, split), split.train_until_s
    own = OwnHistoryContext()

    def inputs() -> int:
        builder = BatchBuilder(log, {own.name: own.bind(log, spec)}, max_seq_len=50)
        period = Period(split.train_from_s, until_s)
        return sum(batch.num_requests for batch in TrainingLoader(builder, period, LoaderOptions(), ROLLING, seed=0))

    def asked() -> Iterator[Requests]:
        baskets = split.test_baskets(log)
        for start in range(0, len(baskets), CHUNK):
            yield Requests.of_baskets(log, baskets[start : start + CHUNK])

    def scored(score: Callable[[Requests], object]) -> int:
        return sum(len(requests) for requests in asked() if score(requests) is not None)

    def ease() -> int:
        return scored(Ease(EaseCounts(log, until_s), EASE.settings[0]))  # type: ignore[arg-type]

    return {
        "inputs of an epoch": inputs,
        "sides of own items": lambda: scored(Partitions(log, split, Protocol())),
        "ease": ease,
        "tifu_knn": lambda: scored(TifuKnn(log, until_s, TIFU_KNN.settings[1])),  # type: ignore[arg-type]
        "up_cf": lambda: scored(UpCf(log, until_s, UP_CF.settings[-1])),  # type: ignore[arg-type]
    }


def measure(sizes: list[int], items: int, rounds: int, folder: Path) -> list[dict[str, Any]]:
    """Returns a row for each work: microseconds per request by size of the log, and ratios."""
    logs = {}
    for size in sizes:
        for kind in ("long", "few"):
            path = folder / f"{kind}_{size}.parquet"
            write(path, size, items, kind == "long")
            logs[kind, size] = prepare(Table(events=str(path)), folder / "cache", lambda line: None)
    by_log = {place: works(log) for place, log in logs.items()}
    rows = []
    for work in by_log["long", sizes[0]]:
        times: dict[tuple[str, int], list[float]] = {place: [] for place in logs}
        for _ in range(rounds):
            for place in logs:
                start_s = time.process_time()
                requests = by_log[place][work]()
                times[place].append(1e6 * (time.process_time() - start_s) / requests)
        found = {place: statistics.median(each) for place, each in times.items()}
        first, last = found["long", sizes[0]], found["long", sizes[-1]]
        rows.append(
            {
                "work": work,
                "us_per_request": {f"{kind} {size}": round(value, 1) for (kind, size), value in found.items()},
                "ratio_to_few": round(last / found["few", sizes[-1]], 2),
                "growth": round(last / first, 2),
            }
        )
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Measures all works and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[25_000, 100_000], help="numbers of events")
    parser.add_argument("--items", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        rows = measure(given.sizes, given.items, given.rounds, Path(folder))
    print(f"written to {save('long_histories.json', [{**row, 'items': given.items} for row in rows])}")


if __name__ == "__main__":
    main()
