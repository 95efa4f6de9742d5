"""Ways to rank targets and to find the best items, side by side.

``python benchmarks/ranking.py [--items 1567 13278 200000] [--targets 1 9] [--requests 64] [--repeats 7]``

Every way gives the same counts (checked here), so only time decides. The ways take turns, A B C A B C, and each is
given by the median of its ratios to the first: a neighbour on the machine then disturbs all alike. The defaults that
follow from it stand in ``seasonrec.evaluation.ranking.counting`` and ``seasonrec.evaluation.ranking.ranks``.
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
Way = Callable[[], Any]


def seconds(way: Way) -> float:
    """One run, in processor time of this process: a busy neighbour counts less than on the clock."""
    start = time.process_time()
    way()
    return time.process_time() - start


def compare(title: str, ways: Mapping[str, Way], requests: int, repeats: int) -> None:
    """Prints microseconds a request, and ratios to the first way (above 1 is faster)."""
    for way in ways.values():
        way()  # warm
    taken = [{name: seconds(way) for name, way in ways.items()} for _ in range(repeats)]
    print(f"\n{title}")
    first = next(iter(ways))
    for name in ways:
        ratios = sorted(turn[first] / max(turn[name], 1e-9) for turn in taken)
        median_us = statistics.median(turn[name] for turn in taken) / requests * 1e6
        spread = f"({ratios[0]:.2f} .. {ratios[-1]:.2f})"
        print(f"  {name:<34} {median_us:>10.1f} us   {statistics.median(ratios):>7.2f} x {spread}")


def always(items_a_comparison: int, scores: Tensor, request: Tensor, own: Tensor) -> list[Tensor]:
    """The counts with one way for all requests."""
    before = counting.ITEMS_A_COMPARISON
    counting.ITEMS_A_COMPARISON = items_a_comparison
    try:
        return list(count_above_and_level(scores, request, own))
    finally:
        counting.ITEMS_A_COMPARISON = before


def counts(scores: Tensor, targets: int, repeats: int) -> None:
    """Ranks of ``targets`` items a request."""
    requests, items = scores.shape
    request = torch.arange(requests).repeat_interleave(targets)
    own = scores[request, torch.randint(0, items, (len(request),))]
    ways: dict[str, Way] = {
        "a row copied for every target": lambda: list(count_gathered(scores, request, own)),
        "each row compared where it lies": lambda: always(0, scores, request, own),
        "each row sorted once": lambda: always(10**9, scores, request, own),
        "the default: by targets and items": lambda: list(count_above_and_level(scores, request, own)),
    }
    first, *others = (way() for way in ways.values())
    assert all(torch.equal(torch.stack(first), torch.stack(other)) for other in others)
    compare(f"{items:,} items, {targets} targets a request: counts above and level", ways, requests, repeats)


def lists(scores: Tensor, length: int, repeats: int) -> None:
    """The best items of every request."""
    requests, items = scores.shape
    ways: dict[str, Way] = {
        "torch.topk": lambda: torch.topk(scores, length, dim=1),
        "torch.sort": lambda: torch.sort(scores, dim=1, descending=True),
        "numpy.argpartition": lambda: np.argpartition(scores.numpy(), items - length, axis=1),
    }
    for block in (8, 16, 32, 64):
        if 2 * length * block <= items:
            ways[f"blocks of {block}, then topk"] = partial(best_by_blocks, scores, length, block)
    compare(f"{items:,} items: the best {length}", ways, requests, repeats)


def sums(scores: Tensor, repeats: int) -> None:
    """What a softmax needs."""
    ways = {
        "torch.log_softmax": lambda: torch.log_softmax(scores, dim=1),
        "torch.logsumexp": lambda: torch.logsumexp(scores, dim=1),
        "torch.logsumexp, a few rows at once": lambda: log_partition(scores),
    }
    compare(f"{scores.shape[1]:,} items: the sum over the catalogue", ways, len(scores), repeats)


def chunks(items: int, requests: int, repeats: int) -> None:
    """A product with all item vectors, a check, a sum, a list: by how many requests at once."""
    queries, vectors = torch.randn(requests, WIDTH), torch.randn(items, WIDTH)

    def by(chunk: int) -> None:
        for some in torch.split(queries, chunk):
            scores = some @ vectors.T
            scores.sum().isfinite().item()
            log_partition(scores)
            best(scores, LIST_LENGTH)

    ways = {f"{chunk} requests at once": partial(by, chunk) for chunk in (256, 64, 16, 4) if chunk <= requests}
    compare(f"{items:,} items of width {WIDTH}: scored and searched in chunks", ways, requests, repeats)


def main() -> None:
    """Compares all ways at every size asked for."""
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
        "time a request, ratio to the first way (least .. greatest)"
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
