"""Evaluation of every further task of a model on a part of the log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.loader import BatchBuilder
from seasonrec.batches.requests import Requests
from seasonrec.batches.sharding import WHOLE, Shard
from seasonrec.data.calendar import local_days
from seasonrec.evaluation.ranking.evaluator import requests_at_once
from seasonrec.evaluation.ranking.gathering import gather_rows
from seasonrec.evaluation.tasks.metrics import no_samples, samples, task_metrics
from seasonrec.models.recommender import SeasonalRecommender
from seasonrec.models.task.base import Kind

MATCHED_USERS = 1024
"""Largest number of users that are compared with each other; of more users, an evenly spaced selection."""

Chunk = NDArray[np.int64]
"""Rows of the requests of one batch."""


def evaluate_tasks(
    model: SeasonalRecommender,
    builder: BatchBuilder,
    requests: Requests,
    batch_size: int,
    device: torch.device | str,
    shard: Shard = WHOLE,
) -> dict[str, dict[str, float]]:
    """Returns the metrics of the further tasks.

    A task predicts at every request. A time series predicts once per local day, because it does not depend on the user.
    A task that compares users predicts once per user, at the user's first request, with all users in one batch (at most
    :data:`MATCHED_USERS`).

    Several processes may share the work. Each takes whole batches at regular intervals, and all return the metrics of
    all samples in the order of one process. Nothing is random.

    Args:
        model: The trained model; it is set to evaluation mode and moved to the device.
        builder: Makes its batches, with the labels of its tasks.
        requests: The requests with their baskets, in the order of the log.
        batch_size: Largest number of requests at once; fewer with a large catalogue.
        device: Device of the evaluation.
        shard: Shard of this process.

    Returns:
        Metrics by task, see :func:`~seasonrec.evaluation.tasks.metrics.task_metrics`; the same in every process.
    """
    model.to(device).eval()
    found = {}
    with torch.no_grad(), model.frozen_items():
        for names, chunks in _passes(model, builder, requests, batch_size):
            kinds: dict[str, Kind] = {name: cast(Any, model.task[name]).kind for name in names}
            frames = {name: [_numbered(no_samples(kind), 0)] for name, kind in kinds.items()}
            for number in range(shard.rank, len(chunks), shard.world_size):
                for name, frame in _samples(model, builder(requests[chunks[number]]).to(device), kinds).items():
                    frames[name].append(_numbered(frame, number))
            for name, kind in kinds.items():
                whole = gather_rows(pl.concat(frames[name]), shard).sort("chunk", maintain_order=True)
                found[name] = task_metrics(kind, whole.drop("chunk").rechunk())  # pieces would round their own sums
    return {name: found[name] for name in model.task}


def _passes(
    model: SeasonalRecommender, builder: BatchBuilder, requests: Requests, batch_size: int
) -> Iterator[tuple[list[str], list[Chunk]]]:
    """Yields the tasks that predict at the same requests, with the batches of these requests."""
    step = requests_at_once(builder.log.num_items, batch_size)
    days = local_days(requests.times_s, builder.log.timezone)
    matched = np.sort(np.unique(requests.users, return_index=True)[1])
    if len(matched) > MATCHED_USERS:
        matched = matched[np.linspace(0, len(matched) - 1, MATCHED_USERS).astype(np.int64)]
    ways: dict[str, tuple[list[str], list[Chunk]]] = {
        "request": ([], _cut(np.arange(len(requests)), step)),
        "day": ([], _cut(np.unique(days, return_index=True)[1], step)),
        "user": ([], [matched]),
    }
    for name, head in model.task.items():
        way = "user" if head.compares_users else "day" if head.is_series else "request"
        ways[way][0].append(name)
    return (tasks_and_chunks for tasks_and_chunks in ways.values() if tasks_and_chunks[0])


def _cut(rows: Chunk, step: int) -> list[Chunk]:
    return [rows[start : start + step] for start in range(0, len(rows), step)]


def _samples(model: SeasonalRecommender, batch: SequenceBatch, kinds: Mapping[str, Kind]) -> dict[str, pl.DataFrame]:
    outputs = model.tasks_of(model.read(batch), batch, kinds)
    return {name: samples(kind, outputs[name]) for name, kind in kinds.items()}


def _numbered(frame: pl.DataFrame, chunk: int) -> pl.DataFrame:
    return frame.with_columns(pl.lit(chunk, pl.Int64).alias("chunk"))
