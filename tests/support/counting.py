"""Counts of work instead of times: operators, arithmetic of matrix products, bytes, and lines of Python."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

PRODUCTS = {"mm": (0, 1), "addmm": (1, 2), "addmm_": (1, 2), "bmm": (0, 1), "baddbmm": (1, 2), "baddbmm_": (1, 2)}
"""Operators that multiply matrices, with the positions of the two matrices in their arguments."""
PRODUCTS |= {"_linear_pointwise": (0, 1)}  # of oneDNN; the second matrix is transposed
COPIES = frozenset(
    ["clone", "copy_", "_to_copy", "cat", "stack", "index", "index_select", "embedding", "gather", "index_copy_"]
)
"""Operators that only copy bytes."""


@dataclass
class Counts:
    """Counts of a run.

    Args:
        calls: Operators by name; views are none.
        product_flops: Multiplications and additions in matrix products, two per pair of numbers.
        allocated: Bytes of all new tensors.
        copied: Bytes written by the operators that copy.
        sizes: Number of new tensors by their number of elements.
    """

    calls: Counter[str] = field(default_factory=Counter)
    product_flops: int = 0
    allocated: int = 0
    copied: int = 0
    sizes: Counter[int] = field(default_factory=Counter)


class CountedWork(TorchDispatchMode):
    """Counts the operators that run inside it, backward passes and autograd functions included."""

    def __init__(self) -> None:
        super().__init__()
        self.counts = Counts()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if not func.is_view and name not in ("detach", "_unsafe_view"):
            self._note(name, args, [*_tensors(args), *_tensors(kwargs)], _tensors(result))
        return result

    def _note(self, name: str, args: Any, given: list[Tensor], made: list[Tensor]) -> None:
        counts = self.counts
        counts.calls[name] += 1
        if name in PRODUCTS:
            left, right = (args[place] for place in PRODUCTS[name])
            counts.product_flops += 2 * left.numel() * right.shape[0 if name == "_linear_pointwise" else -1]
        if name in COPIES:
            counts.copied += sum(tensor.nbytes for tensor in made)
        known = {tensor.untyped_storage().data_ptr() for tensor in given}
        for tensor in made:
            if tensor.untyped_storage().data_ptr() not in known:
                counts.allocated += tensor.nbytes
                counts.sizes[tensor.numel()] += 1


def counted(work: Callable[[], object]) -> Counts:
    """Returns the counts of the second run of ``work``, because the first may also prepare something."""
    work()
    with CountedWork() as mode:
        work()
    return mode.counts


def python_lines(work: Callable[[], object]) -> int:
    """Returns the lines of Python that the second run executes; the lines of a loop count each time."""
    work()
    lines = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return lines


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        return [tensor for entry in value.values() for tensor in _tensors(entry)]
    if isinstance(value, list | tuple):
        return [tensor for entry in value for tensor in _tensors(entry)]
    return []
