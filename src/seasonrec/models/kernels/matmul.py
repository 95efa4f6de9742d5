"""Matrix products in float32 on a CPU, by whichever of torch's two libraries is faster there.

torch multiplies float32 matrices by MKL, which does not use AVX-512 on processors that are not Intel's; oneDNN, which
torch brings along for convolutions, does, and takes half the time (``benchmarks/matmul.py``). So on such a processor
large products go to oneDNN; everywhere else, and for all other types and devices, these functions are torch's own.
``torch.backends.mkldnn.flags(enabled=False)`` keeps everything with MKL.

oneDNN compiles a product of sizes that it has not met, which takes longer than to compute it, and keeps it, 0.7 MB
each. So it is asked only where sizes recur: outside training, where batches are of one size and sequences of few; where
a caller says so; and in the layers of training, which have another number of rows at each step, by empty rows up to a
multiple of :data:`ROUND_ROWS`, if the layer is wide enough to pay for this copy.
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
"""Floating-point operations of a product from which oneDNN's start is paid for."""
ROUND_ROWS = 256
"""A layer of training has a multiple of so many rows: that is few sizes, which come again and again."""
LEAST_WIDTH = 128
"""Width in and out of a layer of training from which its faster products outweigh the copies to round rows."""


class Linear(nn.Linear):
    """``nn.Linear`` by :func:`linear`."""

    def forward(self, inputs: Tensor) -> Tensor:
        return linear(inputs, self.weight, self.bias)


def linear(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``inputs @ weight.T + bias``, as ``F.linear``; differentiable any number of times.

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
    """:func:`linear` by oneDNN, whatever its size: rows are filled up to a multiple of :data:`ROUND_ROWS`."""
    rows = inputs.reshape(-1, inputs.shape[-1])
    spare = -len(rows) % ROUND_ROWS
    filled = F.pad(rows, (0, 0, 0, spare)) if spare else rows
    outputs: Tensor = _Linear.apply(filled, weight, bias)  # type: ignore[no-untyped-call]  # torch's own
    kept = outputs[: len(rows)] if spare else outputs
    return kept.view(*inputs.shape[:-1], len(weight))


def addmm(added: Tensor, left: Tensor, right: Tensor, out: Tensor, recurs: bool) -> Tensor:
    """``added + left @ right`` written into ``out``, as ``torch.addmm``; not differentiable.

    Args:
        added: What broadcasts to ``(N, M)``; may be ``out`` itself.
        left: ``(N, K)``.
        right: ``(K, M)``.
        out: ``(N, M)``; in float32 even where the factors have fewer bits.
        recurs: Whether products of these sizes come again and again.
    """
    if recurs and _pays(left, right.T):
        return torch.add(added, by_onednn(left, right.T), out=out)
    if left.dtype == out.dtype:
        return torch.addmm(added, left, right, out=out)
    return torch.add(added, left @ right, out=out)


@cache
def onednn_is_faster() -> bool:
    """Whether this is a processor with AVX-512 on which MKL does not use it, and torch was built with oneDNN."""
    wide = torch.backends.cpu.get_cpu_capability() == "AVX512"
    return wide and "GenuineIntel" not in _vendor() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def by_onednn(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """:func:`linear` by oneDNN, whatever its size; not differentiable, and only where torch was built with oneDNN."""
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
        product = torch.mm if torch.is_grad_enabled() else _product  # the gradient is itself differentiated
        of_inputs = product(upstream, weight) if ctx.needs_input_grad[0] else None
        of_weight = None
        if ctx.needs_input_grad[1]:  # from the side that is faster
            wide = len(weight) > weight.shape[1]
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
    """Who made the processor, in the words of its ``cpuid`` instruction."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not a Linux
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("vendor_id")), "")
