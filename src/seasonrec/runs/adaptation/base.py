"""Interface of an adaptation, and the fine-tuning that several share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, cast

import lightning as L
import numpy as np
from numpy.typing import NDArray

from seasonrec.batches.loader import LoaderOptions, TrainingLoader
from seasonrec.batches.user_pools import Period
from seasonrec.config import build
from seasonrec.config.schema import Component, RunConfig
from seasonrec.ranges import Count, Rate
from seasonrec.runs.run import Run
from seasonrec.runs.stages.train import module_of
from seasonrec.training.continual.ewc import trained_weights
from seasonrec.training.fit import TrainerOptions, fit
from seasonrec.training.loss.base import Loss

BYTES_PER_NUMBER = 8
"""Bytes of the number of a kept basket."""


@dataclass(frozen=True)
class UpdatePlace:
    """The environment of an update.

    Args:
        folder: Folder of its checkpoints, from which a killed update continues.
        trainer: Hardware and precision.
        seed: Seed of the update, another at each origin.
        epochs: Epochs that the run's training chose.
        past: Period whose baskets the live weights have learned.
    """

    folder: Path
    trainer: TrainerOptions
    seed: int
    epochs: int
    past: Period


@dataclass(frozen=True)
class Update:
    """Result of an update.

    Args:
        run: The run with the updated weights.
        requests: Training requests of an epoch.
        trained_bytes: Bytes of the weights that the update trained.
        kept_bytes: Bytes that the adaptation keeps besides the live weights, for example earlier baskets or weights.
        earlier_s: Seconds of the update before the last start of a killed walk.
    """

    run: Run
    requests: int
    trained_bytes: int
    kept_bytes: int = 0
    earlier_s: float = 0.0


class Adaptation(Protocol):
    """A way in which the live weights go on at an origin.

    ``is_static`` is True if they never change. ``extended`` returns the configuration of the live model, whose new
    components must start without an effect. ``__call__`` gets a copy of the live run, whose split's training part is
    the new period, and may change its model.
    """

    @property
    def is_static(self) -> bool: ...

    def extended(self, config: RunConfig) -> RunConfig: ...

    def __call__(self, run: Run, place: UpdatePlace) -> Update: ...


@dataclass(frozen=True)
class FineTuning:
    """Base of the adaptations that train the live weights on.

    Args:
        epochs: Epochs on the new period.
        learning_rate: Peak learning rate of an update; warm-up and decay are those of the run's optimiser.

    Raises:
        UserError: If a number is out of its range.
    """

    epochs: Count = 3
    learning_rate: Rate = 0.002

    is_static = False

    def extended(self, config: RunConfig) -> RunConfig:
        return config


def fine_tuned(
    run: Run,
    place: UpdatePlace,
    options: FineTuning,
    change: Callable[[Loss], Loss] = lambda loss: loss,
    replayed: NDArray[np.int64] | None = None,
    kept_bytes: int = 0,
) -> Update:
    """Trains the weights of a run that require a gradient on the training part of its split.

    Args:
        run: The run; its model holds the updated weights afterwards.
        place: Environment of the update.
        options: Epochs and learning rate.
        change: Changes the loss.
        replayed: Earlier baskets that are trained along.
        kept_bytes: See :class:`Update`.
    """
    data = run.data
    config = replace(
        run.config, optimizer=cast(Component, {**run.config.optimizer, "learning_rate": options.learning_rate})
    )
    tuned = replace(run, config=config)
    loss = change(build(config.loss)(facts=run.facts))
    baskets = data.split.train_baskets(data.log)
    if replayed is not None:
        baskets = np.union1d(baskets, replayed)
    loader_options: LoaderOptions = build(config.loader)()
    augment = build(config.augmentation)(facts=run.facts, log=data.log)
    loader = TrainingLoader(
        run.batches, baskets, loader_options, data.horizon, place.seed, loss.sampler, augment=augment
    )
    trainer = replace(place.trainer, max_epochs=options.epochs)
    trained = sum(weight.numel() * weight.element_size() for weight in trained_weights(run.model).values())
    L.seed_everything(place.seed, verbose=False)
    result = fit(module_of(tuned, loss, place.folder), loader, None, trainer, place.folder, epochs=options.epochs)
    return Update(run, loader.num_requests, trained, kept_bytes, result.earlier_s)
