"""Tests of the fast dropout against the properties of dropout, and against torch where nothing is random."""

import pytest
import torch
from torch import Tensor, nn

from seasonrec.models.kernels.dropout import LEVELS, Dropout

COUNT = 400_003
"""Number of elements; not a multiple of the four that share a draw."""
PROBABILITIES = (0.0005, 0.1, 0.3, 0.5, 0.999)


def kept(probability: float, shape: tuple[int, ...] = (COUNT,), kind: torch.dtype = torch.float32) -> Tensor:
    torch.manual_seed(3)
    return Dropout(probability)(torch.ones(shape, dtype=kind))


@pytest.mark.parametrize("probability", PROBABILITIES)
def test_the_share_of_dropped_elements_is_the_probability(probability: float) -> None:
    share = (kept(probability) == 0).double().mean().item()
    error = (probability * (1 - probability) / COUNT) ** 0.5
    assert abs(share - probability) < 4 * error + 0.5 / LEVELS


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("probability", PROBABILITIES)
def test_kept_elements_are_scaled_by_the_kept_share(probability: float, kind: torch.dtype) -> None:
    output = kept(probability, kind=kind)
    assert output.dtype == kind
    scale = LEVELS / (LEVELS - round(probability * LEVELS))
    assert set(output.unique().tolist()) == {0.0, torch.tensor(scale, dtype=kind).item()}


def test_elements_of_one_draw_are_dropped_independently() -> None:
    """Checks the correlation of the four elements that share a draw of 64 bits."""
    mask = (kept(0.3, (250_000, 4)) == 0).double()
    correlation = torch.corrcoef(mask.T) - torch.eye(4)
    assert correlation.abs().max() < 4 / 250_000**0.5
    assert (mask.mean(dim=0) - 0.3).abs().max() < 4 * (0.21 / 250_000) ** 0.5


def test_output_and_gradient_are_dropped_together() -> None:
    given = torch.full((33, 17), 1.7, requires_grad=True)
    output = Dropout(0.3)(given)
    output.sum().backward()
    assert given.grad is not None
    torch.testing.assert_close(given.grad * 1.7, output)
    assert 0 < (output == 0).sum() < output.numel()


def test_the_same_seed_repeats_the_mask() -> None:
    assert torch.equal(kept(0.3), kept(0.3))
    assert not torch.equal(kept(0.3), Dropout(0.3)(torch.ones(COUNT)))


@pytest.mark.parametrize("shape", [(), (1,), (0, 4), (5, 6, 16)])
def test_every_shape_is_kept(shape: tuple[int, ...]) -> None:
    assert kept(0.5, shape).shape == shape


def test_a_view_that_is_not_contiguous() -> None:
    given = torch.ones(40, 30).t()
    output = Dropout(0.5)(given)
    assert output.shape == (30, 40)
    assert set(output.unique().tolist()) == {0.0, 2.0}


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_probabilities_of_zero_and_one_equal_torch(probability: float) -> None:
    given = torch.randn(7, 5)
    state = torch.get_rng_state()
    found = Dropout(probability)(given)
    torch.set_rng_state(state)
    assert torch.equal(found, nn.Dropout(probability)(given))


def test_evaluation_drops_nothing_and_draws_no_random_numbers() -> None:
    given, state = torch.randn(7, 5), torch.get_rng_state()
    assert torch.equal(Dropout(0.5).eval()(given), given)
    assert torch.equal(torch.get_rng_state(), state)
