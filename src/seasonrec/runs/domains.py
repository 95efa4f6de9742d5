"""Further domains of a run: other logs, whose models share with the main model the modules that fit any catalogue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from seasonrec.batches.splits import TimeSplit
from seasonrec.config.schema import Component, RunConfig
from seasonrec.data.tables import Dataset
from seasonrec.ranges import Share, ranged

_HARD_SHARING = cast(Component, {"_target_": "seasonrec.models.sharing.hard.HardSharing"})
_NO_BEHAVIOUR = cast(Component, {"_target_": "seasonrec.models.behaviour.none.NoBehaviour"})
_ENCODERS = "seasonrec.models.item_encoder"
_FEATURES = f"{_ENCODERS}.features.FeatureItems"
_ID_TEXT, _ID = f"{_ENCODERS}.id_text.IdTextItems", f"{_ENCODERS}.id.IdItems"


@ranged("domain.table")
@dataclass(frozen=True)
class Domain:
    """A further log for training, with a model of its own that shares modules with the main model.

    Backbone, temporal module, start vector and the encoding of item texts are shared, see
    :func:`~seasonrec.models.domain_sharing.share`. Protocol, loss and sizes are the run's. The domain is evaluated on
    its own test part, with a fingerprint of its own; the best epoch is that of the main domain.

    Args:
        data: Source of the domain's event and item tables.
        split: Time cuts of the domain.
        alpha: Frequency of the domain's batches: ``(its requests / the main domain's) ** alpha`` for every batch of the
            main domain, between 0 (as many batches) and 1 (as many epochs).

    Raises:
        UserError: If ``alpha`` lies outside its range.
    """

    data: Callable[..., Dataset]
    split: Callable[..., TimeSplit]
    alpha: Share = 0.5


def domain_configs(config: RunConfig) -> dict[str, RunConfig]:
    """Returns the configuration of every further domain by name: that of the run, with other data and one task.

    A domain whose data name no behaviours or features does without the components that read them.
    """
    alone = replace(config, task=None, sharing=_HARD_SHARING, domain=None)
    nodes = (config.domain or {}).items()
    return {name: _reading(replace(alone, data=node["data"], split=node["split"])) for name, node in nodes}


def _reading(config: RunConfig) -> RunConfig:
    """Returns a configuration without what its data lack."""
    if not config.data.get("behaviour_column"):
        protocol = cast(Component, {**config.protocol, "target_behaviour": None})
        config = replace(config, protocol=protocol, behaviour=_NO_BEHAVIOUR)
    if config.item_encoder["_target_"] == _FEATURES and not config.data.get("features"):
        options = {key: config.item_encoder[key] for key in ("reader", "hidden_dim") if key in config.item_encoder}
        has_text = config.item_encoder.get("with_text", True)
        encoder = {"_target_": _ID_TEXT, **options} if has_text else {"_target_": _ID}
        config = replace(config, item_encoder=cast(Component, encoder))
    return config


def folder_of(run_dir: Path, name: str) -> Path:
    """Returns the folder of a domain within the folder of a run."""
    return run_dir / "domains" / name
