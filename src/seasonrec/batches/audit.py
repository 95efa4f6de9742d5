"""Leak audit before training.

The audit compares two worlds: the log, and another log that agrees with it up to a request and differs after it.
Everything that the model may read of the request must be equal to the bit in both worlds. This covers new components
without a further check.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from seasonrec.batches.audit_sample import sample
from seasonrec.batches.audit_windows import EVENTS, REQUESTS, chosen_users, first_of_last, views
from seasonrec.batches.candidates import Candidates
from seasonrec.batches.context.base import Context
from seasonrec.batches.equality import difference, owner
from seasonrec.batches.excerpt import excerpt, excerpt_of
from seasonrec.batches.horizon import ROLLING, Horizon
from seasonrec.batches.labels.base import Labels
from seasonrec.batches.loader import Augment, BatchBuilder, LoaderOptions, TrainingLoader
from seasonrec.batches.other_future import another_future, replace_future, same_requests
from seasonrec.batches.requests import Requests
from seasonrec.batches.splits import Split
from seasonrec.batches.user_pools import BasketSource, Period
from seasonrec.data.log import EventLog
from seasonrec.data.portions import basket_portions
from seasonrec.data.spec import SECONDS_PER_DAY, DataSpec
from seasonrec.errors import UserError

EACH_KIND = 2
"""Number of requests of each part that are tried on each weekday and near each holiday, for each of two ends."""

SAMPLED_CELLS = 1 << 20
"""Limit of requests times items in the sample of a part; with over 20,000 items, fewer requests may be tried."""

SAMPLED_EVENTS = 1 << 16
"""Limit of the events of the copied log. A longer log is reduced to every n-th user and the users of the sample."""

TRAINED = 256
"""Limit of the requests of the compared training batches; of a user with more, the last ones are compared."""

TRAINING_MOMENTS = 3
"""Number of requests at whose second the training batches are compared."""

SOME_ITEMS = 16
"""Number of items for which the contexts are also computed alone."""

EARLIER_END_S = 7 * SECONDS_PER_DAY
"""Seconds by which the history of every other request ends earlier than the protocol says."""


class LeakError(UserError):
    """Error of a run whose model could read future events."""


@dataclass(frozen=True)
class Audited:
    """Everything through which a run reads its log.

    Args:
        log: The prepared log.
        spec: Facts of the data.
        split: The cuts.
        max_seq_len: Maximal number of events of a window.
        horizon: End of the history of each request.
        candidates: Rule of the candidates.
        contexts: Contexts that the components read, by name.
        labels: Labels of the model's tasks, by name.
        made: Objects by name that were made of the log before training, for example the facts and the model.
        made_again: The same objects, made of another log that agrees with the log before the validation cut.
        options: Options of the batches.
        augment: Change of training windows; None for no change.
    """

    log: EventLog
    spec: DataSpec
    split: Split
    max_seq_len: int
    horizon: Horizon = ROLLING
    candidates: Candidates = "known"
    contexts: Mapping[str, Context] = field(default_factory=dict)
    labels: Mapping[str, Labels] = field(default_factory=dict)
    made: Mapping[str, Any] = field(default_factory=dict)
    made_again: Mapping[str, Any] = field(default_factory=dict)
    options: LoaderOptions = field(default_factory=LoaderOptions)
    augment: Augment | None = None

    def builder(self, log: EventLog) -> BatchBuilder:
        """Returns a builder of the model's batches in another world."""
        bound = {name: context.bind(log, self.spec) for name, context in self.contexts.items()}
        return BatchBuilder(log, bound, self.max_seq_len, candidates=self.candidates)

    def loader(self, log: EventLog, baskets: Any, augment: Augment | None = None) -> TrainingLoader:
        """Returns the training batches of another world."""
        return TrainingLoader(self.builder(log), baskets, self.options, self.horizon, 0, augment=augment)

    def refuse(self, what: str, place: str, requests: Requests, remedy: str) -> NoReturn:
        """Raises the error of a request that could read the future at a place."""
        user = self.log.users["user_id"][int(requests.users[0])]
        time = datetime.fromtimestamp(int(requests.times_s[0]), ZoneInfo(self.log.timezone))
        raise LeakError(
            f"{what}: {self.named(place)} of the request of user {user!r} at {time:%Y-%m-%d %H:%M:%S} changes when the "
            f"events from second {int(requests.known_until_s[0])} on are replaced; {remedy}."
        )

    def named(self, place: str) -> str:
        """Returns a place with the class of its component."""
        kind, _, rest = place.partition(".")
        if kind in self.made:
            component = owner(self.made[kind], rest)
        elif kind == "augmented":
            component = self.augment
        else:
            component = self.contexts.get(rest.partition(".")[0])
        return f"{place} ({type(component).__name__ if component is not None else 'windows'})"


def audit(run: Audited) -> list[str]:
    """Checks that no future event can reach the model.

    Returns:
        One line for each passed check.

    Raises:
        LeakError: If a training basket lies at or after the validation cut, an item's first-seen time differs from its
            first event, an object that is made before training reads events from the cut on, an input of a request
            reads events of its own second or later, or a label of a training or validation request reads events after
            the next cut.
    """
    parts = run.split.baskets_by_part(run.log)
    _check_parts(run.log, run.split, parts)
    _check_first_seen(run.log)
    _check_made(run)
    limit = max(4, SAMPLED_CELLS // run.log.num_items)
    earlier_s = (0, EARLIER_END_S)
    asked = {
        name: sample(run.log, baskets, run.horizon, earlier_s, EACH_KIND, limit) for name, baskets in parts.items()
    }
    small = excerpt(run.log, np.concatenate([requests.users for requests in asked.values()]), SAMPLED_EVENTS)
    there = replace(run, log=small.log)
    tried = {name: small.requests(requests) for name, requests in asked.items()}
    for name, requests in tried.items():
        _check_requests(there, requests, name)
    windows = _check_training(there, tried["training"])
    for name, until_s in (("training", run.split.train_until_s), ("validation", run.split.validation_until_s)):
        _check_labels(there, tried[name], name, until_s)
    return [
        f"no test or validation event among {len(parts['training']):,} training baskets",
        f"candidates exist: first-seen times of {run.log.num_items:,} items equal their first events",
        f"{sorted(run.made)} do not change with everything from the validation cut on",
        f"inputs and contexts {sorted(run.contexts)} of {sum(map(len, tried.values()))} sampled requests do not change "
        f"with what follows, each at its own second, among {small.log.num_users:,} of {run.log.num_users:,} users",
        f"training batches of {windows} sampled requests do not change with what follows",
        *([f"labels {sorted(run.labels)} end at the cut after their request"] if run.labels else []),
    ]


def _check_parts(log: EventLog, split: Split, parts: Mapping[str, NDArray[np.int64]]) -> None:
    read = Period(split.train_from_s, split.train_until_s).of_users(log, (0, log.num_users))  # as the loader does
    baskets = np.concatenate([parts["training"], read])
    late = baskets[log.basket_times_s[baskets] >= split.train_until_s]
    if len(late):
        raise LeakError(
            f"a test event in training: basket {int(late[0])} lies at second {int(log.basket_times_s[late[0]])}, the "
            f"training part ends at {split.train_until_s}; training baskets must lie before its end."
        )


def _check_first_seen(log: EventLog) -> None:
    first, read = np.full(log.num_items, np.iinfo(np.int64).max), log.sequences
    for _, events in basket_portions(read):
        np.minimum.at(first, read.event_items[events], read.event_times_s[events])
    wrong = np.flatnonzero(first != log.item_first_seen_s)
    if len(wrong):
        item = int(wrong[0])
        raise LeakError(
            f"an item ranked before it existed: item {log.items['item_id'][item]!r} has its first-seen time at second "
            f"{int(log.item_first_seen_s[item])}, but its first event is at {int(first[item])}; prepare the data again."
        )


def _check_made(run: Audited) -> None:
    until_s = run.spec.train_until_s
    if place := difference(run.made, run.made_again, "", births_from_s=until_s):
        date = datetime.fromtimestamp(until_s, ZoneInfo(run.log.timezone))
        raise LeakError(
            f"statistics from after the cut: {run.named(place)} changes when the events from {date:%Y-%m-%d} (second "
            f"{until_s}) on are replaced; compute it from events before the cut."
        )


def _check_requests(run: Audited, requests: Requests, part: str) -> None:
    """Checks that the inputs of each request do not change with the events from its own second on."""
    here = run.builder(run.log)
    for place in range(len(requests)):
        one = requests[place : place + 1]
        other = another_future(run.log, int(one.known_until_s[0]), int(one.baskets[0]))
        before, after = _inputs(run, here, one), _inputs(run, run.builder(other), same_requests(other, one))
        if where := difference(before, after, ""):
            what = f"a target visible in its own input, {part} part"
            run.refuse(what, where, one, "read events before requests.known_until_s only")


def _inputs(run: Audited, builder: BatchBuilder, requests: Requests) -> dict[str, Any]:
    """Returns the inputs of the model for requests, by name, without the truth."""
    batch = builder(requests)
    items = np.unique(np.linspace(0, builder.log.num_items - 1, SOME_ITEMS).astype(np.int64))
    inputs: dict[str, Any] = {name: getattr(batch, name) for name in (*EVENTS, *REQUESTS)}
    inputs["context"] = batch.context
    inputs["context of some items"] = {name: compute(requests, items) for name, compute in builder.contexts.items()}
    if run.augment:
        augmented = run.augment(batch, np.random.default_rng(0))
        inputs["augmented"] = {name: getattr(augmented, name) for name in (*EVENTS, *REQUESTS)}
    return inputs


def _check_training(run: Audited, requests: Requests) -> int:
    """Checks the training batches of some users; returns the number of their requests."""
    baskets = run.split.train_baskets(run.log)
    few = excerpt_of(run.log, chosen_users(run.log, baskets, requests.users, TRAINED))
    from_s = first_of_last(few.log, run.split.train_baskets(few.log), TRAINED)
    run = replace(run, log=few.log, split=replace(run.split, train_from_s=from_s))
    baskets = run.split.train_baskets(few.log)
    asked = sample(few.log, baskets, run.horizon, (0,), 1, TRAINING_MOMENTS)
    for place in range(len(asked)):
        one = asked[place : place + 1]
        _check_windows(run, one)
        if run.augment:
            _check_augmented(run, one, baskets)
    return len(baskets)


def _check_windows(run: Audited, one: Requests) -> None:
    """Checks what each request up to a given one reads of the windows of the training loader."""
    other = another_future(run.log, int(one.known_until_s[0]), int(one.baskets[0]))
    period: BasketSource = Period(run.split.train_from_s, run.split.train_until_s)
    before, after = (views(run.loader(log, period), int(one.times_s[0])) for log in (run.log, other))
    for key, view in before.items():
        is_past = key[1] < one.known_until_s[0] or key == (one.users[0], one.times_s[0])
        if is_past and (place := difference(view, after.get(key, {}), "")):
            what, remedy = "a training window that reads on after its request", "end histories at known_until_s"
            run.refuse(what, place, _request(run, key), remedy)


def _check_augmented(run: Audited, one: Requests, baskets: NDArray[np.int64]) -> None:
    """Checks that an augmentation moves no later event into the view of a request; windows keep their shape."""
    other = replace_future(run.log, int(one.known_until_s[0]), shift_s=0)
    before, after = (
        views(run.loader(log, baskets, run.augment), int(one.times_s[0]), by_position=True) for log in (run.log, other)
    )
    for key in before.keys() & after.keys():
        if place := difference(before[key], after[key], "augmented"):
            what, remedy = "an augmentation that reads on after a request", "keep events on their side of a request"
            run.refuse(what, place, _request(run, key), remedy)


def _request(run: Audited, key: tuple[int, ...]) -> Requests:
    return Requests.of_users(np.array([key[0]]), np.array([key[1]]), run.horizon)


def _check_labels(run: Audited, requests: Requests, part: str, until_s: int) -> None:
    """Checks that the labels of a part's requests do not change with events after the part."""
    other = another_future(run.log, until_s)
    for name, label in run.labels.items():
        before = label.bind(run.log, run.split.cuts)(requests)
        after = label.bind(other, run.split.cuts)(same_requests(other, requests))
        if place := difference(before, after, name):
            raise LeakError(
                f"a label reads beyond its part: {place} of {part} requests changes when the events from "
                f"second {until_s} on are replaced; read events before the next cut only."
            )
