"""Decayed counts against a walk over all days."""

import numpy as np
import pytest
from small_shop import Shop

from seasonrec.batches.context import decayed_counts
from seasonrec.batches.context.daily_counts import DailyCounts


@pytest.mark.parametrize("dense_cells", [0, 1 << 26])
@pytest.mark.parametrize("kept_bytes", [0, 5 * 30 * 4, 1 << 27])
def test_decayed_counts_follow_day_by_day(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, dense_cells: int, kept_bytes: int
) -> None:
    monkeypatch.setattr(decayed_counts, "DECAYED_BYTES", kept_bytes)
    monkeypatch.setattr(decayed_counts, "SWEPT_CELLS", 2_000)
    counts = DailyCounts(shop.log, dense_cells)
    before = counts.before(np.arange(counts.num_days + 1))
    expected = np.zeros(before.shape, dtype=np.float32)
    for day in range(1, len(before)):
        expected[day] = 0.5 ** (1 / 7.0) * expected[day - 1] + (before[day] - before[day - 1])
    decayed = decayed_counts.DecayedCounts(counts, 7.0)
    for days in ([3, 200, 201], [0], [counts.num_days], list(range(0, counts.num_days, 50))):
        assert decayed.before(np.asarray(days)).tobytes() == expected[days].tobytes()
