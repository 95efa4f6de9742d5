"""Full ranking of every target of a part of the log against all candidates, for any scorer."""

from __future__ import annotations

import typing
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from rich.markup import escape
from rich.progress import track
from torch import Tensor

from seasonrec.batches.requests import Requests, gather_ranges
from seasonrec.batches.sharding import WHOLE, Shard
from seasonrec.batches.splits import Split
from seasonrec.data.log import EventLog
from seasonrec.evaluation import metrics
from seasonrec.evaluation.groups.columns import GroupArrays, no_columns
from seasonrec.evaluation.groups.partitions import Partitions
from seasonrec.evaluation.groups.targets import group_columns
from seasonrec.evaluation.protocol import Protocol
from seasonrec.evaluation.ranking.candidates import CandidateFilter
from seasonrec.evaluation.ranking.ranks import rank_targets, top_items
from seasonrec.evaluation.results.store import COLUMNS, TARGET_COLUMNS
from seasonrec.evaluation.slices.basket_tags import BasketTags
from seasonrec.evaluation.slices.masks import GAP_BIRTH
from seasonrec.evaluation.slices.user_groups import group_columns as attribute_columns
from seasonrec.terminal import plain

SCORES_AT_ONCE = 2**24
"""Logits held in memory at once: 64 MiB of float32, plus a copy and the scorer's own memory."""


class Scorer(typing.Protocol):
    """Scores of all items for requests, by a model, a counter, or a mixture."""

    @property
    def name(self) -> str:
        """Row of the table."""
        ...

    def score(self, requests: Requests) -> Tensor:
        """Returns logits of every item for every request, read only from events before ``known_until_s``.

        The evaluator masks items that are no candidates, so that an item of the future may have any value. A softmax
        over the candidates must give the scorer's probabilities: a counter returns the log of its smoothed counts.

        Shape:
            - output: ``(N, V)``, float, on any device; finite for every item that exists at the request. The
              evaluator does not write to it.
        """
        ...


@typing.runtime_checkable
class PassScorer(Scorer, typing.Protocol):
    """A scorer with a preparation for many calls of ``score``, such as the vectors of all items."""

    def during_pass(self) -> AbstractContextManager[None]:
        """Keeps the preparation within the context, in which nothing that ``score`` reads may change."""
        ...


def during_pass(scorer: Scorer) -> AbstractContextManager[None]:
    """Returns the scorer's context for a pass over many requests, or a context that does nothing."""
    return scorer.during_pass() if isinstance(scorer, PassScorer) else nullcontext()


def requests_at_once(num_items: int, at_most: int) -> int:
    """Returns how many requests are scored at once: ``at_most``, fewer if :data:`SCORES_AT_ONCE` would be exceeded."""
    return max(1, min(at_most, SCORES_AT_ONCE // num_items))


class Ranks(typing.NamedTuple):
    """Counts and bits of all targets, and the lists of all requests; see :mod:`seasonrec.evaluation.ranking.ranks`.

    ``groups`` has the columns of :mod:`seasonrec.evaluation.groups.columns`, or none.
    """

    greater: NDArray[np.int32]
    ties: NDArray[np.int32]
    bits: NDArray[np.float32]
    top_items: NDArray[np.int32]
    groups: GroupArrays

    @staticmethod
    def joined(pieces: list[Ranks]) -> Ranks:
        """Returns the ranks of all chunks in one, at least one."""
        groups = {name: np.concatenate([piece.groups[name] for piece in pieces]) for name in pieces[0].groups}
        return Ranks(
            greater=np.concatenate([piece.greater for piece in pieces]),
            ties=np.concatenate([piece.ties for piece in pieces]),
            bits=np.concatenate([piece.bits for piece in pieces]),
            top_items=np.concatenate([piece.top_items for piece in pieces]),
            groups=groups,
        )


def evaluate(
    scorer: Scorer,
    log: EventLog,
    split: Split,
    protocol: Protocol,
    *,
    tags: BasketTags | None = None,
    partitions: Partitions | None = None,
    chunk: int = 256,
    shard: Shard = WHOLE,
    show_progress: bool = True,
) -> pl.DataFrame:
    """Ranks all candidates for every basket of the protocol's part.

    Several processes may share the work. Each takes whole chunks at regular intervals. A chunk then holds the same
    requests as with one process, and gives the same bits (on the same device, with as many threads).

    Args:
        scorer: Scorer to evaluate.
        log: The prepared log.
        split: The cuts.
        protocol: Part, horizon, candidates and tags.
        tags: Tagged baskets of the part, if several scorers share them.
        partitions: Partitions at which the bits are split; None splits none.
        chunk: Largest number of requests scored at once; see :func:`requests_at_once`.
        shard: Shard of this process; :func:`~seasonrec.evaluation.ranking.gathering.gather` merges the shards.
        show_progress: Whether to show a progress bar.

    Returns:
        A results frame of the shard's baskets, in their order; see :mod:`seasonrec.evaluation.results.store`.

    Raises:
        ValueError: If the part holds no basket, or a candidate's score is not finite.
    """
    tags = tags or BasketTags.of(log, split, protocol)
    chunk = requests_at_once(log.num_items, chunk)
    tags = tags.where(np.arange(len(tags.baskets)) // chunk % shard.world_size == shard.rank)
    length = min(protocol.list_length, log.num_items)
    requests = Requests.of_baskets(log, tags.baskets, protocol.horizon(split, log.timezone))
    ranks = _rank_all(scorer, log, protocol, partitions, requests, chunk, length, show_progress)
    counted = {"greater": ranks.greater, "ties": ranks.ties, "bits": ranks.bits, **ranks.groups}
    events = tags.events.with_columns(pl.Series(name, values) for name, values in counted.items())
    further = (*ranks.groups, *({GAP_BIRTH} & set(events.columns)))
    listed = (*TARGET_COLUMNS, *further)
    lists = events.group_by("request", maintain_order=True).agg(pl.col(listed)).drop("request")
    best = ranks.top_items
    top_items = pl.Series("top_items", best).cast(pl.List(pl.Int32)).list.eval(pl.element().filter(pl.element() >= 0))
    whole = pl.concat([tags.requests, lists, top_items.to_frame()], how="horizontal")
    return whole.select(*COLUMNS, *attribute_columns(whole), *further)


def quick_metrics(
    scorer: Scorer, log: EventLog, requests: Requests, protocol: Protocol, chunk: int = 256
) -> dict[str, float]:
    """Returns a few means over the baskets of some requests, for early stopping and the choice of weights.

    Args:
        scorer: Scorer to evaluate.
        log: The prepared log.
        requests: Requests with baskets, at least one.
        protocol: Gives the rule of the candidates.
        chunk: Largest number of requests scored at once; see :func:`requests_at_once`.

    Returns:
        ``hr@10``, ``ndcg@10``, ``mrr`` and ``bits``, means over the targets; ``bits`` over those that are candidates.
    """
    chunk = requests_at_once(log.num_items, chunk)
    ranks = _rank_all(scorer, log, protocol, None, requests, chunk, list_length=0, show_progress=False)
    return {
        "hr@10": float(metrics.hit_rate(ranks.greater, ranks.ties, 10).mean()),
        "ndcg@10": float(metrics.ndcg(ranks.greater, ranks.ties, 10).mean()),
        "mrr": float(metrics.reciprocal_rank(ranks.greater, ranks.ties).mean()),
        "bits": float(np.nanmean(ranks.bits, dtype=np.float64)),
    }


def _rank_all(
    scorer: Scorer,
    log: EventLog,
    protocol: Protocol,
    partitions: Partitions | None,
    requests: Requests,
    chunk: int,
    list_length: int,
    show_progress: bool,
) -> Ranks:
    steps = track(range(0, len(requests), chunk), f"evaluate {escape(plain(scorer.name))}", disable=not show_progress)
    candidates = CandidateFilter(protocol.candidates, log)
    pieces = [_no_ranks(list_length, no_columns(partitions.names) if partitions else {})]
    # not inference_mode: tensors that a scorer caches may be trained on later
    with torch.no_grad(), during_pass(scorer):
        for start in steps:
            some = requests[slice(start, start + chunk)]
            pieces.append(_rank_chunk(scorer, log, some, candidates, partitions, list_length))
    return Ranks.joined(pieces)


def _no_ranks(list_length: int, groups: GroupArrays) -> Ranks:
    counts = np.empty(0, dtype=np.int32)
    return Ranks(counts, counts, np.empty(0, dtype=np.float32), np.empty((0, list_length), dtype=np.int32), groups)


def _rank_chunk(
    scorer: Scorer,
    log: EventLog,
    requests: Requests,
    candidates: CandidateFilter,
    partitions: Partitions | None,
    list_length: int,
) -> Ranks:
    owner, position = gather_ranges(log.basket_offsets[requests.baskets], log.basket_offsets[requests.baskets + 1])
    targets = np.asarray(log.event_items[position], dtype=np.int64)
    scores = candidates(scorer.name, scorer.score(requests), requests)  # (N, V)
    target_request, target_items = (torch.from_numpy(array).to(scores.device) for array in (owner, targets))
    greater, ties, bits = rank_targets(scores, target_request, target_items)
    best = top_items(scores, list_length).cpu().numpy()
    groups: GroupArrays = {}
    if partitions:
        groups = group_columns(scores, partitions(requests), target_request, target_items, greater, ties)
    return Ranks(greater.cpu().numpy(), ties.cpu().numpy(), bits.cpu().numpy(), best, groups)
