"""A small generated shop, prepared and split, for the tests of models and training."""

from dataclasses import dataclass
from pathlib import Path

from seasonrec.batches.context.base import Context
from seasonrec.batches.facts import Facts
from seasonrec.batches.horizon import Horizon
from seasonrec.batches.loader import BatchBuilder
from seasonrec.batches.requests import Requests
from seasonrec.batches.splits import Split, TimeSplit, spec_of
from seasonrec.data.datasets.synthetic import Synthetic
from seasonrec.data.events import prepare
from seasonrec.data.log import EventLog
from seasonrec.data.spec import DataSpec

MAX_SEQ_LEN = 12
DATASET = {"num_users": 24, "num_items": 30, "num_days": 560, "visits_per_week": 0.45, "first_date": "2016-06-01"}
"""More than a year lies before the validation cut, so that the season of the last year is known."""


@dataclass(frozen=True)
class Shop:
    log: EventLog
    split: Split
    spec: DataSpec
    cache_dir: Path

    def facts(self, embedding_dim: int = 16, max_seq_len: int = MAX_SEQ_LEN) -> Facts:
        return Facts.of(self.log, self.spec, embedding_dim, max_seq_len, self.cache_dir)

    def builder(self, contexts: dict[str, Context], max_seq_len: int = MAX_SEQ_LEN) -> BatchBuilder:
        bound = {name: context.bind(self.log, self.spec) for name, context in contexts.items()}
        return BatchBuilder(self.log, bound, max_seq_len)

    def some_requests(self, count: int, horizon_s: int = 0) -> Requests:
        """Returns evenly spaced requests of the validation part."""
        baskets = self.split.validation_baskets(self.log)
        return Requests.of_baskets(self.log, baskets[:: max(1, len(baskets) // count)][:count], Horizon(horizon_s))


def open_shop(cache_dir: Path) -> Shop:
    log = prepare(Synthetic(**DATASET), cache_dir, progress=lambda line: None)
    split = TimeSplit().resolve(log)
    return Shop(log, split, spec_of(log, split), cache_dir)
