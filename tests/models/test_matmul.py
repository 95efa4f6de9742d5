"""Tests of matrix products by oneDNN against torch's own."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from seasonrec.models.kernels import matmul
from seasonrec.training.loss import linear_cross_entropy

N, D, OUT = 7, 5, 3

pytestmark = pytest.mark.skipif(
    not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="this torch was built without oneDNN"
)


@pytest.fixture(autouse=True)
def everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Uses oneDNN for every product on any processor."""
    monkeypatch.setattr(matmul, "LEAST_OPERATIONS", 1)
    monkeypatch.setattr(matmul, "onednn_is_faster", lambda: True)


def used(work: Callable[[], object]) -> int:
    """Counts the products that oneDNN computes."""
    with profile(activities=[ProfilerActivity.CPU]) as record:
        work()
    return sum(event.count for event in record.key_averages() if "_linear_pointwise" in event.key)


@pytest.mark.parametrize("shape", [(N,), (2, N), (1,), (2, 3, 4), (0,)])
@pytest.mark.parametrize("out", [OUT, D, 4 * D], ids=["narrower", "square", "wider"])
@pytest.mark.parametrize("with_bias", [True, False])
def test_equals_torch(shape: tuple[int, ...], out: int, with_bias: bool) -> None:
    torch.manual_seed(0)
    given = (torch.randn(*shape, D), torch.randn(out, D), torch.randn(out))[: 2 + with_bias]
    with torch.no_grad():
        torch.testing.assert_close(matmul.linear(*given), F.linear(*given), rtol=1e-5, atol=1e-5)


def test_strided_factors() -> None:
    inputs, weight = torch.randn(N, 2, D).transpose(0, 1), torch.randn(D, OUT).T
    with torch.no_grad():
        assert used(lambda: matmul.linear(inputs, weight))
        torch.testing.assert_close(matmul.linear(inputs, weight), F.linear(inputs, weight))


def with_gradients(job: Callable[..., Tensor], given: list[Tensor]) -> list[Tensor]:
    """Returns the output, its gradients, and the gradients of the sum of their squares."""
    leaves = [tensor.detach().clone().requires_grad_() for tensor in given]
    output = job(*leaves)
    upstream = torch.linspace(-1, 1, output.numel()).view(output.shape)
    first = torch.autograd.grad(output, leaves, upstream, retain_graph=True)
    penalty = torch.stack([g.square().sum() for g in torch.autograd.grad(output, leaves, upstream, create_graph=True)])
    second = torch.autograd.grad(penalty.sum(), leaves[:2])
    return [output.detach(), *first, *second]


@pytest.mark.parametrize("shape", [(N,), (2, N), (1,), (2, 3, 4), (matmul.ROUND_ROWS,)])
@pytest.mark.parametrize("out", [OUT, D, 4 * D], ids=["narrower", "square", "wider"])
@pytest.mark.parametrize("with_bias", [True, False])
def test_training_equals_torch(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], out: int, with_bias: bool
) -> None:
    monkeypatch.setattr(matmul, "LEAST_WIDTH", 1)
    torch.manual_seed(0)
    given = [torch.randn(*shape, D), torch.randn(out, D), torch.randn(out)][: 2 + with_bias]
    found: list[Tensor] = []
    assert used(lambda: found.extend(with_gradients(matmul.linear, given))) == 3
    for ours, theirs in zip(found, with_gradients(F.linear, given), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_training_with_gradients_of_some_factors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matmul, "LEAST_WIDTH", 1)
    inputs, weight, bias = torch.randn(N, D), torch.randn(OUT, D), torch.randn(OUT)
    assert used(lambda: matmul.linear(inputs, weight, bias.clone().requires_grad_()).sum().backward()) == 1
    assert used(lambda: matmul.linear(inputs.clone().requires_grad_(), weight, bias).sum().backward()) == 2
    leaf = weight.clone().requires_grad_()
    assert used(lambda: matmul.linear(inputs, leaf, bias).sum().backward()) == 2
    torch.testing.assert_close(leaf.grad, inputs.sum(0).expand(OUT, D))


def test_several_gradients_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matmul, "LEAST_WIDTH", 1)
    leaves = [torch.randn(N, D).requires_grad_(), torch.randn(OUT, D).requires_grad_()]
    upstream = torch.randn(4, N, OUT)
    found = torch.autograd.grad(matmul.linear(*leaves), leaves, upstream, is_grads_batched=True)
    expected = torch.autograd.grad(F.linear(*leaves), leaves, upstream, is_grads_batched=True)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_products_in_training_have_few_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks that oneDNN always gets a multiple of the round number of rows."""
    monkeypatch.setattr(matmul, "LEAST_WIDTH", 1)
    sizes: set[tuple[int, ...]] = set()
    by_onednn = matmul.by_onednn

    def noted(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        sizes.add((*inputs.shape, len(weight)))
        return by_onednn(inputs, weight, bias)

    monkeypatch.setattr(matmul, "by_onednn", noted)
    layer = matmul.Linear(D, OUT)
    for rows in (1, 2, matmul.ROUND_ROWS - 1, matmul.ROUND_ROWS):
        layer(torch.randn(rows, D).requires_grad_()).sum().backward()
    rows = matmul.ROUND_ROWS
    assert sizes == {(rows, D, OUT), (rows, OUT, D), (OUT, rows, D)}


def test_narrow_layers_train_with_torch() -> None:
    layer, inputs = (
        matmul.Linear(matmul.LEAST_WIDTH, matmul.LEAST_WIDTH - 1),
        torch.randn(N, matmul.LEAST_WIDTH),
    )
    assert isinstance(layer, nn.Linear)
    assert not used(lambda: layer(inputs).sum().backward())
    assert layer.weight.grad is not None


@pytest.mark.parametrize("recurs", [True, False])
def test_addmm(recurs: bool) -> None:
    left, right, added = torch.randn(N, D), torch.randn(D, OUT), torch.randn(N, 1)
    out = torch.empty(N, OUT)
    assert used(lambda: matmul.addmm(added, left, right, out, recurs)) == recurs
    assert matmul.addmm(added, left, right, out, recurs) is out
    torch.testing.assert_close(out, added + left @ right)
    matmul.addmm(out, left, right, out, recurs)
    torch.testing.assert_close(out, added + 2 * (left @ right))
    narrow = matmul.addmm(torch.zeros(N, 1), left.bfloat16(), right.bfloat16(), torch.empty(N, OUT), recurs)
    assert narrow.dtype == torch.float32
    torch.testing.assert_close(narrow, (left.bfloat16() @ right.bfloat16()).float())


@pytest.mark.filterwarnings("ignore:TF32 acceleration")
def test_used_only_for_large_float32_products(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, inputs = matmul.Linear(D, OUT), torch.randn(N, D)
    with torch.no_grad():
        assert used(lambda: layer(inputs))
        assert not used(lambda: matmul.linear(inputs.double(), layer.weight.double()))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert layer(inputs).dtype == torch.bfloat16
        with torch.backends.mkldnn.flags(enabled=False):
            assert not used(lambda: layer(inputs))
        monkeypatch.setattr(matmul, "LEAST_OPERATIONS", 2 * N * D * OUT + 1)
        assert not used(lambda: layer(inputs))
        monkeypatch.setattr(matmul, "LEAST_OPERATIONS", 2 * N * D * OUT)
        assert used(lambda: layer(inputs))


@pytest.mark.parametrize(
    ("requests", "tile", "times"),
    [(64, 8, 3 * 3), (64, 11, 3 * 3), (64, 16, 2 * 3), (64, 100, 3), (64, 7, 0), (63, 8, 0)],  # 8+8+8+5, 16+8+5, 24+5
)
def test_full_softmax_with_tiles_of_one_size(
    monkeypatch: pytest.MonkeyPatch, requests: int, tile: int, times: int
) -> None:
    """Expects three products for each tile of the 29 items whose size is a multiple of 8."""
    monkeypatch.setattr(linear_cross_entropy, "ROUND_ITEMS", 8)
    monkeypatch.setattr(linear_cross_entropy, "TILE_SCORES", tile * requests // torch.get_num_threads())
    torch.manual_seed(0)
    factors = [tensor.requires_grad_() for tensor in (torch.randn(requests, D), torch.randn(29, D), torch.randn(29))]
    column = torch.randint(0, 29, (requests,))
    targets = linear_cross_entropy.Targets(torch.arange(requests), column)

    def ours() -> Tensor:
        return linear_cross_entropy.linear_cross_entropy(*factors, targets)

    assert used(ours) == times
    theirs = F.cross_entropy(F.linear(*factors), column)
    torch.testing.assert_close(ours(), theirs)
    gradients = zip(torch.autograd.grad(ours(), factors), torch.autograd.grad(theirs, factors), strict=True)
    for found, expected in gradients:
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("vendor", "capability", "faster"),
    [("AuthenticAMD", "AVX512", True), ("GenuineIntel", "AVX512", False), ("AuthenticAMD", "AVX2", False)],
)
def test_processors(monkeypatch: pytest.MonkeyPatch, vendor: str, capability: str, faster: bool) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(matmul, "_vendor", lambda: vendor)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    matmul.onednn_is_faster.cache_clear()
    try:
        assert matmul.onednn_is_faster() is faster
    finally:
        matmul.onednn_is_faster.cache_clear()
