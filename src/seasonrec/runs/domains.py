"""Further domains of a run: other logs, whose models share with the main one what fits any catalogue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from seasonrec.batches.splits import TimeSplit
from seasonrec.config.schema import Component, RunConfig
from seasonrec.data.tables import Dataset
from seasonrec.errors import UserError

_HARD_SHARING = cast(Component, {"_target_": "seasonrec.models.sharing.hard.HardSharing"})


@dataclass(frozen=True)
class Domain:
    """A log that is trained on beside the main one, by a model of its own that shares modules with the main model.

    Backbone, temporal module, start vector and the reading of item texts are shared, see
    :func:`~seasonrec.models.domain_sharing.share`. Protocol, loss and sizes are the run's. The domain is evaluated by
    itself, on its own test part and with a fingerprint of its own; the best epoch is that of the main domain.

    Args:
        data: Source of its event and item tables.
        split: Its time cuts.
        alpha: Frequency of its batches: ``(its requests / the main domain's) ** alpha`` for every batch of the main
            domain, between 0 (as many batches) and 1 (as many epochs).

    Raises:
        UserError: If ``alpha`` lies outside its range.
    """

    data: Callable[..., Dataset]
    split: Callable[..., TimeSplit]
    alpha: float = 0.5

    def __post_init__(self) -> None:
        if not 0.0 <= self.alpha <= 1.0:
            raise UserError(
                f"alpha must lie in [0, 1], got {self.alpha}; 1 reads the domain as often as the main one, 0.5 a "
                "smaller one more often."
            )


def domain_configs(config: RunConfig) -> dict[str, RunConfig]:
    """Returns the configuration of every further domain by name: the run's own, with other data and one task."""
    alone = replace(config, task=None, sharing=_HARD_SHARING, domain=None)
    nodes = (config.domain or {}).items()
    return {name: replace(alone, data=node["data"], split=node["split"]) for name, node in nodes}


def folder_of(run_dir: Path, name: str) -> Path:
    """Returns the folder of a run that belongs to a domain."""
    return run_dir / "domains" / name
