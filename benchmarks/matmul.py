"""Time of float32 matrix products and training steps with MKL and with oneDNN.

Run:  python -m benchmarks.matmul

The benchmark prints how many times faster oneDNN is: the median and the quartiles over the rounds. It prints one line
for each matrix size, each trained layer (with a new number of rows in each round), each work of ``benchmarks.limit``,
and each training on successive batches of different sizes. The rules in ``seasonrec.models.kernels.matmul`` are based
on these results.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.limit import basket_loader, plain_model, training_step, works
from benchmarks.timing import in_turns, ratio
from seasonrec.models.kernels import matmul

SIZES = (
    ("a layer, few tokens", 128, 64, 64),
    ("a layer", 3200, 64, 64),
    ("queries, keys and values", 3200, 64, 192),
    ("a wide layer", 3200, 256, 256),
    ("scores of few items", 256, 64, 1567),
    ("scores of many items", 256, 64, 13278),
    ("a square one", 1024, 1024, 1024),
)
"""Description, rows, columns, and columns of the result."""


def main() -> None:
    """Prints how many times faster oneDNN is."""
    options = _options()
    torch.set_num_threads(options.threads)
    if not matmul.onednn_is_faster():
        print("nothing to compare: this processor has no AVX-512, or MKL uses it")
        return
    for name, rows, inner, columns in SIZES:
        left, right = torch.randn(rows, inner), torch.randn(columns, inner)
        jobs = {"mkl": partial(F.linear, left, right), "onednn": partial(matmul.by_onednn, left, right)}
        _print(f"{name}, {rows} x {inner} x {columns}", jobs, options.rounds)
    for width in options.widths:
        left, right = _trained_layer(width, F.linear), _trained_layer(width, matmul.linear_of_round_rows)
        _print(f"a trained layer, width {width}", {"mkl": left, "onednn": right}, options.rounds)
    for level in options.levels:
        for width in options.widths:
            _print(f"train, {level}, width {width}, batch after batch", _epochs(level, width), options.rounds)
            for work in works(level, width, length=50, evaluated=1024):
                _print(work.name, {"mkl": _without_onednn(work.run), "onednn": work.run}, options.steps)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--levels", nargs="*", default=["product_id", "product_type"], help="items of Complete Journey")
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--steps", type=int, default=15, help="rounds of the training steps and evaluations")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    return parser.parse_args()


def _trained_layer(width: int, linear: Callable[[Tensor, Tensor], Tensor]) -> Callable[[], object]:
    """Returns a forward and backward pass with the number of rows of a random training batch."""
    rows = torch.randint(1_500, 3_500, (1_000,), generator=torch.Generator().manual_seed(0)).tolist()
    weight = torch.randn(width, width, requires_grad=True)
    inputs = torch.randn(max(rows), width, requires_grad=True)
    turns = iter(rows)

    def run() -> object:
        return linear(inputs[: next(turns)], weight).sum().backward()

    return run


def _epochs(level: str, width: int) -> dict[str, Callable[[], object]]:
    """Returns the steps of two trainings on the same batches, which are built before the timing."""
    config, data, builder = plain_model(level, width, length=50)
    batches = list(basket_loader(data, builder))

    def training() -> Callable[[], object]:
        (_, step), turns = training_step(config, data), iter(batches)
        return lambda: step(next(turns))

    return {"mkl": _without_onednn(training()), "onednn": training()}


def _without_onednn(job: Callable[[], object]) -> Callable[[], object]:
    def run() -> object:
        with torch.backends.mkldnn.flags(enabled=False):
            return job()

    return run


def _print(name: str, jobs: dict[str, Callable[[], object]], rounds: int) -> None:
    seconds = in_turns(jobs, rounds)
    found = ratio(seconds["mkl"], seconds["onednn"])
    print(f"{name:72} {found['ratio']:.2f} times ({found['ratio_low']:.2f} to {found['ratio_high']:.2f})", flush=True)


if __name__ == "__main__":
    main()
