"""Tiled cross-entropy against the plain one, in value, gradient and memory."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from seasonrec.training.loss.linear_cross_entropy import CHUNK_REQUESTS, Targets, linear_cross_entropy

N, V, D, M = 230, 311, 16, 700


def inputs(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    shapes = ((N, D), (V, D), (V,))
    query, vectors, bias = (torch.randn(shape, generator=draw).requires_grad_() for shape in shapes)
    return query, vectors, bias


def some_targets(with_available: bool, seed: int = 1) -> Targets:
    """Returns unordered targets among the candidates, several for some requests and none for others."""
    draw = torch.Generator().manual_seed(seed)
    request = torch.randint(5, N, (M,), generator=draw)
    available = torch.randint(1, V + 1, (N,), generator=draw)
    limit = available[request] if with_available else torch.full((M,), V)
    column = (torch.rand(M, generator=draw) * limit).long()
    return Targets(request, column, available if with_available else None)


def plain(query: Tensor, vectors: Tensor, bias: Tensor, targets: Targets) -> Tensor:
    scores = torch.addmm(bias, query, vectors.T)
    if targets.available is not None:
        scores = scores.masked_fill(torch.arange(V) >= targets.available[:, None], float("-inf"))
    return F.cross_entropy(scores[targets.request], targets.column)


@pytest.mark.parametrize("with_available", [False, True])
@pytest.mark.parametrize("chunk_scores", [1, 100 * V, 10**9])
def test_equals_the_plain_loss_and_its_gradients(with_available: bool, chunk_scores: int) -> None:
    targets = some_targets(with_available)
    expected = plain(*(given := inputs()), targets)
    (3.0 * expected).backward()
    loss = linear_cross_entropy(*(tiled := inputs()), targets, chunk_scores)
    (3.0 * loss).backward()
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1e-6)
    for ours, theirs in zip(tiled, given, strict=True):
        assert ours.grad is not None
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-7)


def test_a_target_of_no_probability_keeps_its_true_loss() -> None:
    query, vectors, bias = torch.ones(1, 1), torch.tensor([[0.0], [400.0]]), torch.zeros(2)
    loss = linear_cross_entropy(query, vectors, bias, Targets(torch.tensor([0]), torch.tensor([0])))
    assert loss.item() == 400.0


def test_scores_are_never_held_whole() -> None:
    rows, columns = 40 * CHUNK_REQUESTS[0], 2_000
    query, vectors = torch.randn(rows, 8, requires_grad=True), torch.randn(columns, 8, requires_grad=True)
    targets = Targets(torch.arange(rows), torch.randint(columns, (rows,)))
    with torch.profiler.profile(profile_memory=True) as profile:
        linear_cross_entropy(query, vectors, torch.zeros(columns), targets, chunk_scores=1).backward()
    largest = max(event.self_cpu_memory_usage / max(event.count, 1) for event in profile.key_averages())
    assert largest <= 2 * 4 * CHUNK_REQUESTS[0] * columns < 4 * rows * columns


def test_under_autocast_products_are_bf16_and_the_loss_is_not() -> None:
    targets = some_targets(with_available=True)
    expected = plain(*inputs(), targets)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = linear_cross_entropy(*(given := inputs()), targets)
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected.item(), rel=5e-3)
    assert loss.item() != expected.item()
    assert all(tensor.grad is not None and tensor.grad.dtype == torch.float32 for tensor in given)


def test_without_gradients_nothing_is_kept() -> None:
    targets = some_targets(with_available=False)
    with torch.no_grad():
        loss = linear_cross_entropy(*inputs(), targets)
    assert not loss.requires_grad
    assert loss.item() == pytest.approx(plain(*inputs(), targets).item(), rel=1e-6)
