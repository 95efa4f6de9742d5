"""Float32 matrix products on a CPU, by the faster of torch's two libraries.

torch multiplies float32 matrices with MKL, which uses AVX-512 on Intel processors only. oneDNN, torch's library for
convolutions, uses AVX-512 on all processors, and on those of other vendors it takes half the time
(``benchmarks/matmul.py``). There, large products go to oneDNN; in all other cases these functions call torch's own.
``torch.backends.mkldnn.flags(enabled=False)`` selects MKL everywhere.

oneDNN compiles a kernel for each new combination of sizes, which takes longer than the product, and caches it with 0.7
MB each. It is therefore used only if sizes recur: outside training, if a caller says so, and in trained layers. The
number of rows of a trained layer changes per step; if the layer is wide enough to pay for the copy, the rows are padded
to a multiple of :data:`ROUND_ROWS`.
"""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEAST_OPERATIONS = 2**22
"""Minimum number of floating-point operations of a product that is worth oneDNN's start-up cost."""
ROUND_ROWS = 256
"""Rows in training are padded to a multiple of this number, so that few sizes recur often."""
LEAST_WIDTH = 128
"""Minimum input and output width of a trained layer that is worth the padding."""


class Linear(nn.Linear):
    """``nn.Linear`` with :func:`linear`."""

    def forward(self, inputs: Tensor) -> Tensor:
        return linear(inputs, self.weight, self.bias)


def zeroed(layer: Linear) -> Linear:
    """Sets the weight and the bias of a layer to 0, so that its output starts at 0."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def linear(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Computes ``inputs @ weight.T + bias`` like ``F.linear``; can be differentiated repeatedly.

    Args:
        inputs: ``(..., D)``.
        weight: ``(O, D)``.
        bias: ``(O,)`` or None.

    Returns:
        ``(..., O)``.
    """
    if not _pays(inputs, weight):
        return F.linear(inputs, weight, bias)
    if not torch.is_grad_enabled():
        return by_onednn(inputs, weight, bias)
    if min(weight.shape) < LEAST_WIDTH:
        return F.linear(inputs, weight, bias)
    return linear_of_round_rows(inputs, weight, bias)


def linear_of_round_rows(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Computes :func:`linear` with oneDNN for any size, with rows padded to a multiple of :data:`ROUND_ROWS`."""
    rows = inputs.reshape(-1, inputs.shape[-1])
    spare = -len(rows) % ROUND_ROWS
    filled = F.pad(rows, (0, 0, 0, spare)) if spare else rows
    outputs: Tensor = _Linear.apply(filled, weight, bias)  # type: ignore[no-untyped-call]  # torch's own
    kept = outputs[: len(rows)] if spare else outputs
    return kept.view(*inputs.shape[:-1], len(weight))


def addmm(added: Tensor, left: Tensor, right: Tensor, out: Tensor, recurs: bool) -> Tensor:
    """Writes ``added + left @ right`` into ``out`` like ``torch.addmm``; is not differentiable.

    Args:
        added: Broadcasts to ``(N, M)``; may be ``out`` itself.
        left: ``(N, K)``.
        right: ``(K, M)``.
        out: ``(N, M)``; may be float32 if the factors have lower precision.
        recurs: True if products of these sizes recur often.
    """
    if recurs and _pays(left, right.T):
        return torch.add(added, by_onednn(left, right.T), out=out)
    if left.dtype == out.dtype:
        return torch.addmm(added, left, right, out=out)
    return torch.add(added, left @ right, out=out)


@cache
def onednn_is_faster() -> bool:
    """Returns True if MKL does not use the processor's AVX-512 and torch was built with oneDNN."""
    wide = torch.backends.cpu.get_cpu_capability() == "AVX512"
    return wide and "GenuineIntel" not in _vendor() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def by_onednn(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Computes :func:`linear` with oneDNN for any size; is not differentiable and needs a torch with oneDNN."""
    result: Tensor = torch.ops.mkldnn._linear_pointwise(inputs, weight, bias, "none", [], "")
    return result


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        return by_onednn(inputs, weight, bias)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight = ctx.saved_tensors  # (N, D), (O, D)
        product = torch.mm if torch.is_grad_enabled() else _product  # torch.mm can be differentiated again
        of_inputs = product(upstream, weight) if ctx.needs_input_grad[0] else None
        of_weight = None
        if ctx.needs_input_grad[1]:
            wide = len(weight) > weight.shape[1]  # decides which of two equal products is faster
            of_weight = product(inputs.T, upstream).T if wide else product(upstream.T, inputs)
        of_bias = upstream.sum(0) if ctx.needs_input_grad[2] else None
        return of_inputs, of_weight, of_bias


def _product(left: Tensor, right: Tensor) -> Tensor:
    return by_onednn(left, right.T)


def _pays(inputs: Tensor, weight: Tensor) -> bool:
    if not (inputs.dtype == weight.dtype == torch.float32 and inputs.device.type == weight.device.type == "cpu"):
        return False
    if 2 * inputs.numel() * len(weight) < LEAST_OPERATIONS or not onednn_is_faster():
        return False
    elsewhere = torch.is_autocast_enabled("cpu") or torch.compiler.is_compiling()
    return not elsewhere and bool(torch.backends.mkldnn.enabled)


def _vendor() -> str:
    """Returns the processor's vendor, for example ``GenuineIntel``."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("vendor_id")), "")
