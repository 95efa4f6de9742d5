import numpy as np
import pytest
import torch

from seasonrec.evaluation.ranking import counting
from seasonrec.evaluation.ranking.counting import by_comparing, by_sorting, count_above_and_level, count_gathered


def table(rows: int, items: int, seed: int = 0) -> torch.Tensor:
    """Returns coarse scores with many ties, with minus zero and items that are no candidates."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(-9, 10, (rows, items), generator=generator) / 4
    scores[torch.rand(rows, items, generator=generator) < 0.1] = -torch.inf
    return torch.where((scores == 0) & (torch.rand(rows, items, generator=generator) < 0.5), -0.0, scores)


def plain(scores: torch.Tensor, request: torch.Tensor, own: torch.Tensor) -> tuple[list[int], list[int]]:
    pairs = list(zip(request.tolist(), own.tolist(), strict=True))
    greater = [sum(score > level for score in scores[row].tolist()) for row, level in pairs]
    return greater, [sum(score == level for score in scores[row].tolist()) for row, level in pairs]


def targets(scores: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns targets in random order, many for some rows and none for others."""
    generator = torch.Generator().manual_seed(1)
    request = torch.randint(0, len(scores), (count,), generator=generator) ** 2 % len(scores)
    item = torch.randint(0, scores.shape[1], (count,), generator=generator)
    own = scores[request, item]
    return request[own > -torch.inf], own[own > -torch.inf]


@pytest.mark.parametrize("sort_from", [0, 10**9], ids=["compared", "sorted"])
@pytest.mark.parametrize("threads", [1, 3])
def test_counts_are_those_of_a_plain_loop(monkeypatch, sort_from, threads):
    monkeypatch.setattr(counting, "ITEMS_A_COMPARISON", sort_from)
    monkeypatch.setattr(counting, "FLAGS_AT_ONCE", 150)  # two targets at once
    monkeypatch.setattr(counting, "COMPARISONS_A_THREAD", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    scores = table(10, 70)
    request, own = targets(scores, 90)
    greater, level = count_above_and_level(scores, request, own)
    assert (greater.tolist(), level.tolist()) == plain(scores, request, own)
    assert (greater.dtype, level.dtype) == (torch.int32, torch.int32)


def test_an_accelerator_counts_the_same(monkeypatch):
    monkeypatch.setattr(counting, "COMPARISONS_AT_ONCE", 150)
    scores = table(10, 70)
    request, own = targets(scores, 90)
    greater, level = count_gathered(scores, request, own)
    assert (greater.tolist(), level.tolist()) == plain(scores, request, own)


def test_the_way_is_chosen_by_targets_and_items(monkeypatch):
    ways = []
    monkeypatch.setattr(counting, "by_sorting", lambda row, levels, counts: ways.append("sort"))
    monkeypatch.setattr(counting, "by_comparing", lambda row, levels, counts: ways.append("compare"))
    scores = torch.zeros(2, 2500)
    count_above_and_level(scores, torch.tensor([0, 0, 1, 1, 1]), torch.zeros(5))
    assert ways == ["compare", "sort"]


def test_rows_that_are_one_row_of_memory_are_left_as_they_are():
    row = torch.tensor([[2.0, 0.0, 1.0]])
    greater, level = count_above_and_level(row.expand(4, 3), torch.arange(4), torch.ones(4))
    assert (greater.tolist(), level.tolist()) == ([1] * 4, [1] * 4)
    assert row.tolist() == [[2.0, 0.0, 1.0]]


def test_no_targets_and_no_requests():
    empty = torch.empty(0, dtype=torch.int64)
    for scores in (torch.zeros(3, 4), torch.zeros(0, 4)):
        assert [len(part) for part in count_above_and_level(scores, empty, torch.empty(0))] == [0, 0]


@pytest.mark.parametrize("count", [by_sorting, by_comparing])
def test_one_row(count):
    counts = np.zeros((2, 3), dtype=np.int32)
    count(np.array([1, 3, 3, -np.inf, 0], dtype=np.float32), np.array([3, 0, 1], dtype=np.float32), counts)
    assert counts.tolist() == [[0, 3, 2], [2, 1, 1]]
