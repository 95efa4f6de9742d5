"""Matrix products in float32 on a CPU, by whichever of torch's two libraries is faster there.

torch multiplies float32 matrices by MKL, which does not use AVX-512 on processors that are not Intel's; oneDNN, which
torch brings along for convolutions, does, and takes half the time (``benchmarks/products.py``). So on such a processor
large products go to oneDNN; everywhere else, and for all other types and devices, these functions are torch's own.
``torch.backends.mkldnn.flags(enabled=False)`` keeps everything with MKL.
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
    result: Tensor = _Linear.apply(inputs, weight, bias)  # type: ignore[no-untyped-call]  # torch's own
    return result


def matmul(left: Tensor, right: Tensor) -> Tensor:
    """``left @ right`` of two matrices, ``(N, K)`` and ``(K, M)`` to ``(N, M)``; differentiable as :func:`linear`."""
    return linear(left, right.T)


def addmm(added: Tensor, left: Tensor, right: Tensor, out: Tensor) -> Tensor:
    """``added + left @ right`` written into ``out``, as ``torch.addmm``; not differentiable.

    Args:
        added: What broadcasts to ``(N, M)``; may be ``out`` itself.
        left: ``(N, K)``.
        right: ``(K, M)``.
        out: ``(N, M)``; in float32 even where the factors have fewer bits.
    """
    if left.dtype == out.dtype and not _pays(left, right.T):
        return torch.addmm(added, left, right, out=out)
    return torch.add(added, matmul(left, right), out=out)


@cache
def onednn_is_faster() -> bool:
    """Whether this is a processor with AVX-512 on which MKL does not use it, and torch was built with oneDNN."""
    wide = torch.backends.cpu.get_cpu_capability() == "AVX512"
    return wide and "GenuineIntel" not in _vendor() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


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


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        result: Tensor = torch.ops.mkldnn._linear_pointwise(inputs, weight, bias, "none", [], "")
        return result

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight = ctx.saved_tensors
        rows, columns = upstream.reshape(-1, len(weight)), inputs.reshape(-1, inputs.shape[-1])  # (N, O), (N, D)
        of_inputs = linear(upstream, weight.T) if ctx.needs_input_grad[0] else None
        of_weight = _transposed_product(rows, columns) if ctx.needs_input_grad[1] else None
        of_bias = rows.sum(0) if ctx.needs_input_grad[2] else None
        return of_inputs, of_weight, of_bias


def _transposed_product(left: Tensor, right: Tensor) -> Tensor:
    """``left.T @ right``, made from the side that is faster."""
    if left.shape[1] > right.shape[1]:
        return matmul(right.T, left).T
    return matmul(left.T, right)
