"""Time of several methods that rank targets and find the best items.

``python benchmarks/ranking.py [--items 1567 13278 200000] [--targets 1 9] [--requests 64] [--repeats 7]``

All methods return the same counts, which is checked here. They alternate, A B C A B C, so that other processes slow
them equally. The result of a method is the median of its ratios to the first. The defaults in
``seasonrec.evaluation.ranking.counting`` and ``seasonrec.evaluation.ranking.ranks`` are based on these results.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seasonrec.evaluation.ranking import counting
from seasonrec.evaluation.ranking.counting import count_above_and_level, count_gathered
from seasonrec.evaluation.ranking.ranks import best, best_by_blocks, log_partition

LIST_LENGTH = 50
WIDTH = 64
Method = Callable[[], Any]


def seconds(method: Method) -> float:
    """Returns the processor time of one run, which other processes disturb less than elapsed time."""
    start = time.process_time()
    method()
    return time.process_time() - start


def compare(title: str, methods: Mapping[str, Method], requests: int, repeats: int) -> None:
    """Prints microseconds per request, and ratios to the first method (above 1 is faster)."""
    for method in methods.values():
        method()  # warm-up
    taken = [{name: seconds(method) for name, method in methods.items()} for _ in range(repeats)]
    print(f"\n{title}")
    first = next(iter(methods))
    for name in methods:
        ratios = sorted(turn[first] / max(turn[name], 1e-9) for turn in taken)
        median_us = statistics.median(turn[name] for turn in taken) / requests * 1e6
        spread = f"({ratios[0]:.2f} .. {ratios[-1]:.2f})"
        print(f"  {name:<34} {median_us:>10.1f} us   {statistics.median(ratios):>7.2f} x {spread}")


def by_one_method(items_a_comparison: int, scores: Tensor, request: Tensor, own: Tensor) -> list[Tensor]:
    """Returns the counts with another ``ITEMS_A_COMPARISON``, which selects one method for all requests."""
    before = counting.ITEMS_A_COMPARISON
    counting.ITEMS_A_COMPARISON = items_a_comparison
    try:
        return list(count_above_and_level(scores, request, own))
    finally:
        counting.ITEMS_A_COMPARISON = before


def counts(scores: Tensor, targets: int, repeats: int) -> None:
    """Compares methods that rank ``targets`` items per request."""
    requests, items = scores.shape
    request = torch.arange(requests).repeat_interleave(targets)
    own = scores[request, torch.randint(0, items, (len(request),))]
    methods: dict[str, Method] = {
        "a copied row for each target": lambda: list(count_gathered(scores, request, own)),
        "each row compared in place": lambda: by_one_method(0, scores, request, own),
        "each row sorted once": lambda: by_one_method(10**9, scores, request, own),
        "the default: by targets and items": lambda: list(count_above_and_level(scores, request, own)),
    }
    first, *others = (method() for method in methods.values())
    assert all(torch.equal(torch.stack(first), torch.stack(other)) for other in others)
    compare(f"{items:,} items, {targets} targets per request: counts above and level", methods, requests, repeats)


def lists(scores: Tensor, length: int, repeats: int) -> None:
    """Compares methods that find the best items of each request."""
    requests, items = scores.shape
    methods: dict[str, Method] = {
        "torch.topk": lambda: torch.topk(scores, length, dim=1),
        "torch.sort": lambda: torch.sort(scores, dim=1, descending=True),
        "numpy.argpartition": lambda: np.argpartition(scores.numpy(), items - length, axis=1),
    }
    for block in (8, 16, 32, 64):
        if 2 * length * block <= items:
            methods[f"blocks of {block}, then topk"] = partial(best_by_blocks, scores, length, block)
    compare(f"{items:,} items: the best {length}", methods, requests, repeats)


def sums(scores: Tensor, repeats: int) -> None:
    """Compares methods that compute the denominator of a softmax."""
    methods = {
        "torch.log_softmax": lambda: torch.log_softmax(scores, dim=1),
        "torch.logsumexp": lambda: torch.logsumexp(scores, dim=1),
        "torch.logsumexp, a few rows at once": lambda: log_partition(scores),
    }
    compare(f"{scores.shape[1]:,} items: the sum over the catalogue", methods, len(scores), repeats)


def chunks(items: int, requests: int, repeats: int) -> None:
    """Compares numbers of requests that are scored and ranked together."""
    queries, vectors = torch.randn(requests, WIDTH), torch.randn(items, WIDTH)

    def by(chunk: int) -> None:
        for some in torch.split(queries, chunk):
            scores = some @ vectors.T
            scores.sum().isfinite().item()
            log_partition(scores)
            best(scores, LIST_LENGTH)

    methods = {f"{chunk} requests at once": partial(by, chunk) for chunk in (256, 64, 16, 4) if chunk <= requests}
    compare(f"{items:,} items of width {WIDTH}: scored and searched in chunks", methods, requests, repeats)


def main() -> None:
    """Compares all methods at each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=[1_567, 13_278, 200_000])
    parser.add_argument("--targets", type=int, nargs="+", default=[1, 9])
    parser.add_argument("--requests", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    print(
        f"torch {torch.__version__}, numpy {np.__version__}, {options.threads} threads; "
        "time per request, ratio to the first method (minimum .. maximum)"
    )
    for items in options.items:
        scores = torch.randn(options.requests, items)
        for targets in options.targets:
            counts(scores, targets, options.repeats)
        for length in (10, LIST_LENGTH):
            lists(scores, length, options.repeats)
        sums(scores, options.repeats)
        chunks(items, options.requests, options.repeats)


if __name__ == "__main__":
    main()
