"""Leak audit of a run and of its further domains."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from typing import Any

import numpy as np
import polars as pl
import torch
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor

from seasonrec.batches.audit import Audited, LeakError
from seasonrec.batches.excerpt import excerpt
from seasonrec.batches.loader import LoaderOptions
from seasonrec.batches.other_future import another_future, later_births
from seasonrec.batches.requests import Requests
from seasonrec.batches.sampling import NegativeSampler
from seasonrec.config import build
from seasonrec.data.features import COLUMN
from seasonrec.models.augmentation.none import NoAugmentation
from seasonrec.runs.opening import OpenData
from seasonrec.runs.run import Run

AUDITED_EVENTS = 1 << 22
"""Limit of the events of a log of which another future is made. A longer log is reduced to every n-th user."""

SCORED_REQUESTS = 4
"""Number of requests that are scored."""

SCORED_ITEMS = 64
"""Number of drawn items that are scored."""


def audited(run: Run) -> Iterator[tuple[str, Audited]]:
    """Yields the name of each domain of a built run, empty for the main one, and what the run reads of its log."""
    with isolate_rng(), redirect_stdout(StringIO()):  # the notes of the components were printed before
        here = (
            _built(run, _excerpt) if any(one.data.log.sequences.num_events > AUDITED_EVENTS for one in run.all) else run
        )
        there = _built(here, _after_the_cut)
        _check_features(here)
        pairs = [(_made(one), _made(other)) for one, other in zip(here.all, there.all, strict=True)]
    for one, (made, again) in zip(run.all, pairs, strict=True):
        yield one.domain, _audited(one, made, again)


def _built(run: Run, change: Callable[[OpenData], OpenData]) -> Run:
    again = run.over(change)
    again.build(for_training=True)
    return again


def _excerpt(data: OpenData) -> OpenData:
    return replace(data, log=excerpt(data.log, np.empty(0, dtype=np.int64), AUDITED_EVENTS).log)


def _after_the_cut(data: OpenData) -> OpenData:
    """Returns the data with another future from the validation cut on; later items keep their order."""
    until_s = data.spec.train_until_s
    log = replace(another_future(data.log, until_s), item_first_seen_s=later_births(data.log, until_s))
    return replace(data, log=log, spec=replace(data.spec, num_events=log.num_events, num_baskets=log.num_baskets))


def _check_features(run: Run) -> None:
    """Checks that the features of items of the future change nothing that a new model keeps of other items.

    Raises:
        LeakError: If a statistic of the features, for example a mean price, reads items from the validation cut on.
    """
    if not any(one.data.spec.features for one in run.all):
        return
    for one, other in zip(run.all, _built(run, _other_features).all, strict=True):
        known = torch.from_numpy(np.asarray(one.data.log.item_first_seen_s) < one.data.spec.train_until_s)
        kept, changed = ({**dict(m.named_parameters()), **dict(m.named_buffers())} for m in (one.model, other.model))
        for name, tensor in kept.items():
            pair = [each[known] if each.shape[:1] == known.shape else each for each in (tensor, changed[name])]
            if not torch.equal(*pair):
                raise LeakError(
                    f"statistics from after the cut: model.{name} changes when the features of items that are first "
                    "seen after the validation cut are replaced; compute it from facts.item_is_known."
                )


def _other_features(data: OpenData) -> OpenData:
    """Returns the data with other features of the items that are first seen from the validation cut on."""
    later = pl.Series(np.asarray(data.log.item_first_seen_s) >= data.spec.train_until_s)
    features = [data.log.items[COLUMN + name] for name in data.spec.features]
    other = [values * -3 - 1000 if values.dtype.is_numeric() else values + ", changed" for values in features]
    changed = [after.zip_with(later, before) for before, after in zip(features, other, strict=True)]
    return replace(data, log=replace(data.log, items=data.log.items.with_columns(changed)))


def _made(run: Run) -> dict[str, Any]:
    """Returns everything that is made of the log before training, and scores, which show how the model reads it."""
    config, log = run.config, run.data.log
    return {
        "facts": run.facts,
        "model": run.model,
        "loss": build(config.loss)(facts=run.facts),
        "augmentation": build(config.augmentation)(facts=run.facts, log=log),
        "scores": _scores(run),
    }


def _scores(run: Run) -> Tensor:
    """Returns scores of some items for the users of the last training baskets, one second before the cut.

    A model may keep the first-seen times of later items, which decide what is available. Its scores must not show them.
    """
    log, model, time_s = run.data.log, run.model, run.data.spec.train_until_s - 1
    before = np.flatnonzero(log.basket_times_s < time_s)
    latest = before[np.argsort(log.basket_times_s[before], kind="stable")[-SCORED_REQUESTS:]]
    users, times_s = np.asarray(log.basket_users[latest], np.int64), np.full(len(latest), time_s)
    sampler = NegativeSampler.of(np.zeros(log.num_items), SCORED_ITEMS, 0.0)
    requests = Requests(users, times_s, times_s, np.full(len(latest), -1))
    builder = run.batches.only(model.contexts(with_tasks=False))
    batch = builder(requests, sampler=sampler, random=np.random.default_rng(0))
    training = [module for module in model.modules() if module.training]
    torch.manual_seed(0)
    model.eval()
    with torch.no_grad():
        scores = model.mask_unavailable(model(batch), batch)
    for module in training:
        module.training = True
    return scores


def _audited(run: Run, made: dict[str, Any], again: dict[str, Any]) -> Audited:
    config, data = run.config, run.data
    options: LoaderOptions = build(config.loader)()
    return Audited(
        log=data.log,
        spec=data.spec,
        split=data.split,
        max_seq_len=config.max_seq_len,
        horizon=data.horizon,
        candidates=data.protocol.candidates,
        contexts=run.model.contexts(with_unfitted=True),
        labels=run.model.labels(),
        made=made,
        made_again=again,
        options=options,
        augment=None if isinstance(made["augmentation"], NoAugmentation) else made["augmentation"],
    )
