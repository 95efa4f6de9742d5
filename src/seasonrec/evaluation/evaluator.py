"""Ranks every target of a part of the log against all candidates, for any scorer."""

from __future__ import annotations

import math
import typing
from collections.abc import Iterator

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor

from seasonrec.data.log import EventLog
from seasonrec.data.requests import Requests, gather_ranges
from seasonrec.data.splits import Split
from seasonrec.evaluation import metrics
from seasonrec.evaluation.labels import Part, RequestLabels
from seasonrec.evaluation.protocol import Protocol
from seasonrec.evaluation.ranking import are_candidates, rank_targets, top_items
from seasonrec.evaluation.results import COLUMNS, TARGET_COLUMNS


class Scorer(typing.Protocol):
    """Anything that scores all items for requests: a model, a counter, a mix.

    Attributes:
        name: Row of the table.
    """

    @property
    def name(self) -> str: ...

    def score(self, requests: Requests) -> Tensor:
        """Logits of every item for every request, read from events before ``known_until_s`` alone.

        Candidates are masked by the evaluator, so an item of the future may get any value. A softmax over the
        candidates must give the scorer's probabilities: a counter returns the logarithm of its smoothed counts.

        Shape:
            - output: ``(N, V)``, float, on any device; finite for every item that exists at the request.
        """
        ...


class Ranks(typing.NamedTuple):
    """Counts and bits of all targets, and the lists of all requests; see :mod:`seasonrec.evaluation.ranking`."""

    greater: NDArray[np.int32]
    ties: NDArray[np.int32]
    bits: NDArray[np.float32]
    top_items: NDArray[np.int32]


def evaluate(
    scorer: Scorer,
    log: EventLog,
    split: Split,
    protocol: Protocol,
    *,
    part: Part = "test",
    labels: RequestLabels | None = None,
    chunk: int = 256,
    show_progress: bool = True,
) -> pl.DataFrame:
    """Full ranking of the candidates for every basket of a part.

    Args:
        scorer: What is evaluated.
        log: The prepared log.
        split: The cuts.
        protocol: Horizon, candidates and labels.
        part: Which part of the split to evaluate.
        labels: The labelled baskets of a part, where several scorers share them; they decide over ``part``.
        chunk: Requests scored at once.
        show_progress: Show a bar.

    Returns:
        A results frame; see :mod:`seasonrec.evaluation.results`.

    Raises:
        ValueError: If the part holds no basket, or a candidate's score is not finite.
    """
    labels = labels or RequestLabels.of(log, split, protocol, part)
    ranks = _rank_all(scorer, log, protocol, labels.baskets, chunk, show_progress)
    lists = (
        labels.events.with_columns(
            greater=pl.Series(ranks.greater), ties=pl.Series(ranks.ties), bits=pl.Series(ranks.bits)
        )
        .group_by("request", maintain_order=True)
        .agg(pl.col(TARGET_COLUMNS))
    )
    best = (
        pl.Series("top_items", ranks.top_items)
        .cast(pl.List(pl.Int32))
        .list.eval(pl.element().filter(pl.element() >= 0))
    )
    return pl.concat([labels.requests, lists.drop("request"), best.to_frame()], how="horizontal").select(COLUMNS)


def quick_metrics(
    scorer: Scorer, log: EventLog, baskets: NDArray[np.int64], protocol: Protocol, chunk: int = 256
) -> dict[str, float]:
    """A few means over some baskets, for early stopping and for choosing weights.

    Args:
        scorer: What is evaluated.
        log: The prepared log.
        baskets: ``(Q,)`` basket numbers, at least one.
        protocol: Horizon and candidates.
        chunk: Requests scored at once.

    Returns:
        ``hr@10``, ``ndcg@10``, ``mrr`` and ``bits``, means over the targets.
    """
    ranks = _rank_all(scorer, log, protocol, np.asarray(baskets, dtype=np.int64), chunk, show_progress=False)
    return {
        "hr@10": float(metrics.hit_rate(ranks.greater, ranks.ties, 10).mean()),
        "ndcg@10": float(metrics.ndcg(ranks.greater, ranks.ties, 10).mean()),
        "mrr": float(metrics.reciprocal_rank(ranks.greater, ranks.ties).mean()),
        "bits": float(ranks.bits.mean(dtype=np.float64)),
    }


def _rank_all(
    scorer: Scorer, log: EventLog, protocol: Protocol, baskets: NDArray[np.int64], chunk: int, show_progress: bool
) -> Ranks:
    starts = range(0, len(baskets), chunk)
    steps: Iterator[int] = iter(track(starts, f"evaluate {scorer.name}", disable=not show_progress))
    first_seen_s = torch.from_numpy(np.array(log.item_first_seen_s))
    parts = []
    with torch.no_grad():  # not inference_mode: what a scorer caches here may be trained on later
        for start in steps:
            parts.append(_rank_chunk(scorer, log, protocol, baskets[start : start + chunk], first_seen_s))
    return Ranks(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _rank_chunk(
    scorer: Scorer, log: EventLog, protocol: Protocol, baskets: NDArray[np.int64], first_seen_s: Tensor
) -> Ranks:
    requests = Requests.of_baskets(log, baskets, protocol.horizon_s)
    owner, position = gather_ranges(log.basket_offsets[baskets], log.basket_offsets[baskets + 1])
    targets = np.asarray(log.event_items[position], dtype=np.int64)
    scores = scorer.score(requests)  # (N, V)
    _refuse_shape(scorer, scores, (len(requests), log.num_items))
    times_s = torch.from_numpy(requests.times_s)
    candidates = are_candidates(protocol.candidates, first_seen_s, times_s).to(scores.device)  # (N, V)
    _refuse_non_finite(scorer, log, requests, scores, candidates)
    scores = scores.masked_fill(~candidates, -math.inf)
    target_request = torch.from_numpy(owner).to(scores.device)
    greater, ties, bits = rank_targets(scores, target_request, torch.from_numpy(targets).to(scores.device))
    best = top_items(scores, protocol.list_length)
    return Ranks(*(part.cpu().numpy() for part in (greater, ties, bits, best)))


def _refuse_shape(scorer: Scorer, scores: Tensor, expected: tuple[int, int]) -> None:
    if tuple(scores.shape) != expected:
        raise ValueError(
            f"{scorer.name}.score must give (requests, items) = {expected}, got {tuple(scores.shape)}; "
            "score every item of the catalogue, the evaluator masks those that are no candidates."
        )


def _refuse_non_finite(scorer: Scorer, log: EventLog, requests: Requests, scores: Tensor, candidates: Tensor) -> None:
    broken = candidates & ~torch.isfinite(scores)
    if bool(broken.any()):
        row, item = (int(place) for place in broken.nonzero()[0])
        user = log.users["user_id"][int(requests.users[row])]
        raise ValueError(
            f"{scorer.name}.score must be finite for every candidate, got {float(scores[row, item])} for user {user} "
            f"at second {int(requests.times_s[row])}, item {log.items['item_id'][item]}; look for the logarithm of "
            "zero, a division by zero or an overflow."
        )
