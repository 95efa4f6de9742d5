"""Our dropout against what dropout has to be, and against torch's own where it draws nothing."""

import pytest
import torch
from torch import Tensor, nn

from seasonrec.models.kernels.dropout import LEVELS, Dropout

COUNT = 400_003
"""Elements, no multiple of what one draw serves."""
PROBABILITIES = (0.0005, 0.1, 0.3, 0.5, 0.999)


def kept(probability: float, shape: tuple[int, ...] = (COUNT,), kind: torch.dtype = torch.float32) -> Tensor:
    torch.manual_seed(3)
    return Dropout(probability)(torch.ones(shape, dtype=kind))


@pytest.mark.parametrize("probability", PROBABILITIES)
def test_as_many_are_dropped_as_asked_for(probability: float) -> None:
    share = (kept(probability) == 0).double().mean().item()
    error = (probability * (1 - probability) / COUNT) ** 0.5
    assert abs(share - probability) < 4 * error + 0.5 / LEVELS


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("probability", PROBABILITIES)
def test_the_rest_is_scaled_by_the_share_that_is_kept(probability: float, kind: torch.dtype) -> None:
    output = kept(probability, kind=kind)
    assert output.dtype == kind
    scale = LEVELS / (LEVELS - round(probability * LEVELS))
    assert set(output.unique().tolist()) == {0.0, torch.tensor(scale, dtype=kind).item()}


def test_elements_of_one_draw_are_dropped_independently() -> None:
    """Four elements share a draw of 64 bits: no two of them may know of each other."""
    mask = (kept(0.3, (250_000, 4)) == 0).double()
    correlation = torch.corrcoef(mask.T) - torch.eye(4)
    assert correlation.abs().max() < 4 / 250_000**0.5
    assert (mask.mean(dim=0) - 0.3).abs().max() < 4 * (0.21 / 250_000) ** 0.5


def test_the_gradient_is_dropped_where_the_output_is() -> None:
    given = torch.full((33, 17), 1.7, requires_grad=True)
    output = Dropout(0.3)(given)
    output.sum().backward()
    assert given.grad is not None
    torch.testing.assert_close(given.grad * 1.7, output)
    assert 0 < (output == 0).sum() < output.numel()


def test_a_seed_repeats_it_and_its_absence_does_not() -> None:
    assert torch.equal(kept(0.3), kept(0.3))
    assert not torch.equal(kept(0.3), Dropout(0.3)(torch.ones(COUNT)))


@pytest.mark.parametrize("shape", [(), (1,), (0, 4), (5, 6, 16)])
def test_every_shape_is_kept(shape: tuple[int, ...]) -> None:
    assert kept(0.5, shape).shape == shape


def test_a_view_that_is_not_contiguous_is_dropped_like_any_other() -> None:
    given = torch.ones(40, 30).t()
    output = Dropout(0.5)(given)
    assert output.shape == (30, 40)
    assert set(output.unique().tolist()) == {0.0, 2.0}


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_nothing_and_everything_are_those_of_torch(probability: float) -> None:
    given = torch.randn(7, 5)
    state = torch.get_rng_state()
    found = Dropout(probability)(given)
    torch.set_rng_state(state)
    assert torch.equal(found, nn.Dropout(probability)(given))


def test_evaluation_drops_nothing_and_draws_nothing() -> None:
    given, state = torch.randn(7, 5), torch.get_rng_state()
    assert torch.equal(Dropout(0.5).eval()(given), given)
    assert torch.equal(torch.get_rng_state(), state)
