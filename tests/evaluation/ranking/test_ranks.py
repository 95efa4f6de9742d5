import math

import numpy as np
import pytest
import torch

from seasonrec.evaluation import metrics
from seasonrec.evaluation.ranking import counting
from seasonrec.evaluation.ranking import ranks as ranking
from seasonrec.evaluation.ranking.ranks import best, best_by_blocks, log_partition, rank_targets, top_items

NEVER = -math.inf


def test_counts_and_bits_by_hand():
    # Request 0: item 2 leads, items 0 and 3 are level, item 1 is last, item 4 is no candidate.
    # softmax over 0, -1, log 3, 0: the weights are 1, 1/e, 3, 1 and their sum is 5 + 1/e.
    scores = torch.tensor([[0.0, -1.0, math.log(3.0), 0.0, NEVER], [0.0, 0.0, 0.0, 0.0, 0.0]])
    greater, ties, bits = rank_targets(scores, torch.tensor([0, 0, 0, 1]), torch.tensor([2, 3, 1, 4]))
    assert greater.tolist() == [0, 1, 3, 0]
    assert ties.tolist() == [1, 2, 1, 5]
    total = 5.0 + math.exp(-1.0)
    expected = [math.log2(total / 3), math.log2(total), math.log2(total * math.e), math.log2(5)]
    assert bits.tolist() == pytest.approx(expected, abs=1e-6)
    assert (greater.dtype, ties.dtype, bits.dtype) == (torch.int32, torch.int32, torch.float32)


def test_large_logits_keep_their_bits():
    _, _, bits = rank_targets(torch.tensor([[1e4, 1e4 - 1.0]]), torch.tensor([0, 0]), torch.tensor([0, 1]))
    partition = math.log2(1 + math.exp(-1))
    assert bits.tolist() == pytest.approx([partition, partition + 1 / math.log(2)], abs=1e-3)


def test_chunks_change_nothing(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    scores = torch.randint(0, 20, (7, 50), generator=generator).float()
    request, items = torch.arange(7).repeat(9), torch.randint(0, 50, (63,), generator=generator)
    whole = rank_targets(scores, request, items)
    monkeypatch.setattr(counting, "FLAGS_AT_ONCE", 120)
    assert all(torch.equal(a, b) for a, b in zip(whole, rank_targets(scores, request, items), strict=True))


def test_a_target_that_is_no_candidate_is_a_miss_without_bits():
    scores = torch.tensor([[0.0, NEVER, 1.0, NEVER]])
    greater, ties, bits = rank_targets(scores, torch.tensor([0, 0]), torch.tensor([1, 0]))
    assert (greater.tolist(), ties.tolist()) == ([2, 1], [0, 1])
    assert bits.isnan().tolist() == [True, False]
    counts = greater.numpy(), ties.numpy()
    lists = [metrics.hit_rate(*counts, 50), metrics.ndcg(*counts, 50), metrics.reciprocal_rank(*counts)]
    assert [values[0] for values in lists] == [0.0, 0.0, 0.0]
    assert [values[1] for values in lists] == pytest.approx([1.0, 1.0 / math.log2(3.0), 0.5])
    basket = np.array([0, 1])
    assert metrics.basket_hit(*counts, basket, 2, 50).tolist() == [0.0, 1.0]
    assert metrics.basket_recall(*counts, basket * 0, 1, 50).tolist() == [0.5]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_score_that_is_not_finite_is_refused_by_its_request(value):
    scores = torch.zeros(3, 4)
    scores[2, 1] = value
    with pytest.raises(ValueError, match=f"got {value} for request 2 and item 1"):
        rank_targets(scores, torch.tensor([0]), torch.tensor([1]))


def test_the_sum_of_a_row_is_the_same_whichever_rows_are_beside_it(monkeypatch):
    scores = torch.randn(9, 300, generator=torch.Generator().manual_seed(0))
    whole = log_partition(scores)
    monkeypatch.setattr(ranking, "EXPONENTS_AT_ONCE", 700)  # two rows at once
    assert torch.equal(log_partition(scores), whole)
    assert torch.equal(whole, torch.logsumexp(scores, dim=1))


def test_large_scores_whose_sum_alone_overflows_are_ranked():
    greater, ties, _ = rank_targets(torch.full((1, 4), 3.4e38), torch.tensor([0]), torch.tensor([1]))
    assert (greater.tolist(), ties.tolist()) == ([0], [4])


def test_top_items_leave_places_empty_where_candidates_are_few():
    scores = torch.tensor([[0.0, 2.0, 1.0], [NEVER, 0.0, NEVER]])
    assert top_items(scores, 2).tolist() == [[1, 2], [1, -1]]
    assert top_items(scores, 9).shape == (2, 3)


@pytest.mark.parametrize(("num_items", "block"), [(640, 16), (647, 16), (90, 4), (200, 1)])
@pytest.mark.parametrize("length", [1, 7, 20])
def test_the_best_by_blocks_are_the_best(num_items, block, length):
    scores = torch.randn(6, num_items, generator=torch.Generator().manual_seed(num_items))
    scores[2, 5:] = NEVER  # fewer candidates than places
    scores[3] = scores[3].round()  # ties
    scores[4] = torch.arange(num_items)  # the best fill no block
    values, items = best_by_blocks(scores, length, block)
    assert torch.equal(values, torch.topk(scores, length, dim=1).values)
    assert torch.equal(scores.gather(1, items), values)
    assert all(len(set(row)) == length for row in items.tolist())


def test_long_lists_of_items_are_searched_by_blocks(monkeypatch):
    monkeypatch.setattr(ranking, "BLOCKS_FROM", 100)
    calls = []
    monkeypatch.setattr(ranking, "best_by_blocks", lambda scores, length: calls.append(length))
    best(torch.zeros(2, 3 * 16 * 2), 3)
    assert not calls, "below the number of items"
    best(torch.zeros(2, 4 * 16 * 2 - 1), 4)
    assert not calls, "blocks for a list so long would hold half of the items"
    best(torch.zeros(2, 4 * 16 * 2), 4)
    assert calls == [4]
