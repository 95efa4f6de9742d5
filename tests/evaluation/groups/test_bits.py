import math

import numpy as np
import pytest
import torch

from seasonrec.evaluation.groups.bits import BitSplitter, log_masses, rank_within_side
from seasonrec.evaluation.ranking.counting import count_above_and_level
from seasonrec.evaluation.ranking.ranks import rank_targets


def random_case(seed: int = 0, kind: torch.dtype = torch.float64):
    draw = torch.Generator().manual_seed(seed)
    scores = (3 * torch.randn(6, 30, generator=draw)).to(kind)
    scores[torch.rand(6, 30, generator=draw) < 0.2] = -math.inf
    request, items = torch.isfinite(scores).nonzero(as_tuple=True)
    return scores, torch.rand(6, 30, generator=draw) < 0.3, request, items


def test_parts_by_hand() -> None:
    scores = torch.tensor([[1.0, 2.0, 5.0, 8.0]], dtype=torch.float64).log()
    scores[0, 3] = -math.inf
    side = torch.tensor([[True, False, True, True]])
    split = BitSplitter(scores, torch.tensor([0, 0, 0]), torch.tensor([0, 1, 2]))(side)
    assert split.side.tolist() == [True, False, True]
    assert split.of_side.tolist() == pytest.approx([math.log2(8 / 6), 2.0, math.log2(8 / 6)], abs=1e-12)
    assert split.within.tolist() == pytest.approx([math.log2(6), 0.0, math.log2(6 / 5)], abs=1e-12)


def test_parts_add_up_to_the_bits() -> None:
    scores, side, request, items = random_case()
    split = BitSplitter(scores, request, items)(side)
    bits = (torch.logsumexp(scores, 1)[request] - scores[request, items]) / math.log(2)
    assert (split.of_side + split.within - bits).abs().max() < 1e-9
    assert (split.of_side >= 0).all()
    assert (split.within >= 0).all()


def test_parts_in_float32_add_up_to_the_bits_of_the_ranking() -> None:
    scores, side, request, items = random_case(kind=torch.float32)
    split = BitSplitter(scores, request, items)(side)
    _, _, bits = rank_targets(scores, request, items)
    assert (split.of_side + split.within - bits).abs().max() < 1e-5


def test_masses_of_the_sides_sum_to_one() -> None:
    scores, side, _, _ = random_case()
    shares = (log_masses(scores, side) - torch.logsumexp(scores, 1, keepdim=True)).exp()
    assert (shares.sum(1) - 1).abs().max() < 1e-12
    other = (log_masses(scores, ~side) - torch.logsumexp(scores, 1, keepdim=True)).exp()
    assert torch.equal(other, shares.flip(1))


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_a_side_with_next_to_no_mass_keeps_its_digits(kind: torch.dtype) -> None:
    scores = torch.tensor([[0.0, -1.0, -500.0, -501.0], [0.0, 1.0, 2.0, 3.0]], dtype=kind)
    side = torch.tensor([[False, False, True, True]] * 2)
    split = BitSplitter(scores, torch.tensor([0, 0, 1]), torch.tensor([2, 0, 3]))(side)
    one = math.log1p(math.exp(-1))
    assert split.of_side.tolist()[:2] == pytest.approx([500 / math.log(2), 0.0], rel=1e-6, abs=1e-12)
    assert split.within.tolist() == pytest.approx([one / math.log(2)] * 3, rel=1e-4)


def test_a_side_without_candidates_costs_nothing() -> None:
    scores, _, request, items = random_case(kind=torch.float32)
    split = BitSplitter(scores, request, items)(torch.ones_like(scores, dtype=torch.bool))
    assert split.side.all()
    assert (split.of_side == 0).all()


def test_ranks_within_a_side_are_those_of_a_plain_loop() -> None:
    scores, side, request, items = random_case(kind=torch.float32)
    scores = scores.round()  # ties
    own = scores[request, items]
    greater, ties = rank_within_side(scores, side, request, items, *count_above_and_level(scores, request, own))
    for place, (row, item) in enumerate(zip(request.tolist(), items.tolist(), strict=True)):
        rivals = scores[row][side[row] == side[row, item]]
        assert int(greater[place]) == int((rivals > own[place]).sum())
        assert int(ties[place]) == int((rivals == own[place]).sum())


def test_who_exaggerates_a_group_is_better_on_it_and_worse_in_the_bits_of_the_group() -> None:
    """Forecaster's dilemma: the mean over the targets of a group rewards exaggeration, the parts do not."""
    draw = np.random.default_rng(0)
    truth = draw.dirichlet(np.ones(12), size=5_000)
    items = torch.from_numpy((truth.cumsum(1) > draw.random((5_000, 1))).argmax(1))
    hot = torch.zeros(5_000, 12, dtype=torch.bool)
    hot[:, :3] = True
    honest = torch.from_numpy(truth).log()
    request, means = torch.arange(5_000), {}
    for name, scores in (("honest", honest), ("exaggerated", honest + math.log(4) * hot)):
        split = BitSplitter(scores, request, items)(hot)
        bits = split.of_side + split.within
        means[name] = (float(bits[split.side].mean()), float(split.of_side.mean()), float(split.within.mean()))
    assert means["exaggerated"][0] < means["honest"][0] - 0.3  # flattered on the targets of the group
    assert means["exaggerated"][1] > means["honest"][1] + 0.05  # worse over all
    assert means["exaggerated"][2] == pytest.approx(means["honest"][2], abs=1e-9)  # as good within the sides
