"""Gathering in one process; ``tests/test_evaluate.py`` starts several."""

import polars as pl
import pytest

from seasonrec.batches.sharding import Shard
from seasonrec.evaluation.ranking import gathering
from seasonrec.evaluation.ranking.gathering import gather

FRAME = pl.DataFrame({"basket": [4, 9], "ranks": [[1, 2], []], "bits": [[0.1], [0.2]]})


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> list[pl.DataFrame]:
    """Replaces the exchange by the given frames of other processes."""
    frames: list[pl.DataFrame] = []
    monkeypatch.setattr(gathering, "_refuse_another_world", lambda shard: None)
    monkeypatch.setattr(
        gathering, "_all_bytes", lambda own, shard: [own, *(one.write_ipc(None).getvalue() for one in frames)]
    )
    return frames


def test_one_process_has_all_of_it() -> None:
    assert gather(FRAME, Shard()) is FRAME


def test_the_baskets_of_all_come_in_their_order(others: list[pl.DataFrame]) -> None:
    others += [FRAME.with_columns(basket=pl.Series([2, 7])), FRAME.head(0)]
    whole = gather(FRAME, Shard(0, 3))
    assert whole["basket"].to_list() == [2, 4, 7, 9]
    assert whole.schema == FRAME.schema
    assert whole.filter(pl.col("basket").is_in([4, 9])).equals(FRAME)


def test_a_basket_ranked_twice_is_refused(others: list[pl.DataFrame]) -> None:
    others.append(FRAME.tail(1))
    with pytest.raises(RuntimeError, match="each basket must be ranked by one process, got 1 of 3 twice"):
        gather(FRAME, Shard(0, 2))


def test_processes_that_were_not_started_cannot_gather() -> None:
    with pytest.raises(RuntimeError, match="must know this process as rank 1 of 2, but it was not started; use Shard"):
        gather(FRAME, Shard(1, 2))
