"""Matrix products by oneDNN against torch's own."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from seasonrec.models import products

N, D, OUT = 7, 5, 3

pytestmark = pytest.mark.skipif(
    not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="this torch was built without oneDNN"
)


@pytest.fixture(autouse=True)
def everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """oneDNN for every product, on whatever processor the tests run."""
    monkeypatch.setattr(products, "LEAST_OPERATIONS", 1)
    monkeypatch.setattr(products, "onednn_is_faster", lambda: True)


def used(work: Callable[[], object]) -> bool:
    """Whether oneDNN multiplies."""
    with profile(activities=[ProfilerActivity.CPU]) as record:
        work()
    return any("_linear_pointwise" in event.key for event in record.key_averages())


def factors(*shape: int, out: int = OUT) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    made = torch.randn(*shape, D), torch.randn(out, D), torch.randn(out)
    return tuple(tensor.requires_grad_() for tensor in made)  # type: ignore[return-value]


@pytest.mark.parametrize("shape", [(N,), (2, N), (1,), (2, 3, 4), (0,)])
@pytest.mark.parametrize("out", [OUT, D, 4 * D], ids=["narrower", "square", "wider"])
@pytest.mark.parametrize("with_bias", [True, False])
def test_equals_torch_with_gradients(shape: tuple[int, ...], out: int, with_bias: bool) -> None:
    inputs, weight, bias = factors(*shape, out=out)
    given = (inputs, weight, bias) if with_bias else (inputs, weight)
    expected, found = F.linear(*given), products.linear(*given)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    upstream = torch.randn(expected.shape)
    ours, theirs = (torch.autograd.grad(result, given, upstream) for result in (found, expected))
    for gradient, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(gradient, other, rtol=1e-5, atol=1e-5)


def test_strided_inputs_and_expanded_upstreams() -> None:
    inputs, weight, _ = factors(2, N)
    given = inputs.detach().transpose(0, 1).requires_grad_()
    expected = torch.autograd.grad(F.linear(given, weight).sum(), (given, weight))
    for ours, theirs in zip(
        torch.autograd.grad(products.linear(given, weight).sum(), (given, weight)), expected, strict=True
    ):
        torch.testing.assert_close(ours, theirs)


def test_differentiable_twice() -> None:
    """As penalties on gradients need it: the gradient of a gradient's square."""

    def penalty(way: Callable[..., Tensor]) -> list[Tensor]:
        inputs, weight, bias = factors(N)
        (gradient,) = torch.autograd.grad(way(inputs, weight, bias).exp().sum(), inputs, create_graph=True)
        return list(torch.autograd.grad(gradient.square().sum(), (inputs, weight, bias)))

    for ours, theirs in zip(penalty(products.linear), penalty(F.linear), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-3)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_several_upstreams_at_once() -> None:
    """As gradients of many tasks are taken together."""
    inputs, weight, _ = factors(N)
    upstreams = torch.randn(4, N, OUT)

    def batched(way: Callable[..., Tensor]) -> tuple[Tensor, ...]:
        return torch.autograd.grad(way(inputs, weight), (inputs, weight), upstreams, is_grads_batched=True)

    for ours, theirs in zip(batched(products.linear), batched(F.linear), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_matmul_and_addmm() -> None:
    left, right, added = torch.randn(N, D), torch.randn(D, OUT), torch.randn(N, 1)
    torch.testing.assert_close(products.matmul(left, right), left @ right)
    out = torch.empty(N, OUT)
    assert products.addmm(added, left, right, out=out) is out
    torch.testing.assert_close(out, added + left @ right)
    products.addmm(out, left, right, out=out)
    torch.testing.assert_close(out, added + 2 * (left @ right))
    narrow = products.addmm(torch.zeros(N, 1), left.bfloat16(), right.bfloat16(), out=torch.empty(N, OUT))
    assert narrow.dtype == torch.float32
    torch.testing.assert_close(narrow, (left.bfloat16() @ right.bfloat16()).float())


def test_used_for_large_float32_products_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, weight, bias = factors(N)
    layer = products.Linear(D, OUT)
    assert isinstance(layer, nn.Linear)
    assert used(lambda: products.linear(inputs, weight, bias))
    assert used(lambda: layer(inputs))
    assert used(lambda: products.addmm(torch.zeros(1), inputs.detach(), weight.detach().T, out=torch.empty(N, OUT)))
    assert not used(lambda: products.linear(inputs.double(), weight.double()))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(inputs).dtype == torch.bfloat16
    with torch.backends.mkldnn.flags(enabled=False):
        assert not used(lambda: layer(inputs))
    monkeypatch.setattr(products, "LEAST_OPERATIONS", 2 * N * D * OUT + 1)
    assert not used(lambda: layer(inputs))
    monkeypatch.setattr(products, "LEAST_OPERATIONS", 2 * N * D * OUT)
    assert used(lambda: layer(inputs))


@pytest.mark.parametrize(
    ("vendor", "capability", "faster"),
    [("AuthenticAMD", "AVX512", True), ("GenuineIntel", "AVX512", False), ("AuthenticAMD", "AVX2", False)],
)
def test_processors(monkeypatch: pytest.MonkeyPatch, vendor: str, capability: str, faster: bool) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(products, "_vendor", lambda: vendor)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    products.onednn_is_faster.cache_clear()
    try:
        assert products.onednn_is_faster() is faster
    finally:
        products.onednn_is_faster.cache_clear()
