"""Models of a walk: the start, copies for updates, and the folders of those that went live."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import lightning as L
import numpy as np

from seasonrec.config.schema import Component, RunConfig
from seasonrec.digests import seal
from seasonrec.errors import UserError
from seasonrec.models.language.text_vectors import text_readers
from seasonrec.runs.adaptation.base import Adaptation
from seasonrec.runs.finished import load_models, open_finished
from seasonrec.runs.opening import OpenData
from seasonrec.runs.record import write_json, write_yaml
from seasonrec.runs.run import Run
from seasonrec.training.checkpointing.weights import save_weights
from seasonrec.training.continual.modes import set_modes

START = "start"
"""Name of the weights of the checkpoint among a walk's models."""


def model_folder(folder: Path, origin: str) -> Path:
    """Returns the folder of the weights that went live at an origin; it has the layout of a run's folder."""
    return folder / "models" / origin


def started(run: Run, adaptation: Adaptation) -> Run:
    """Returns the run with the components that an adaptation adds, whose outputs are those of the run.

    Raises:
        UserError: If a weight of the run is missing in the new model.
    """
    config = adaptation.extended(run.config)
    if config == run.config:
        return run
    made = Run(config, run.folder, run.data)
    made.build(for_training=True)
    own = run.model.state_dict()
    found = made.model.load_state_dict(own, strict=False)
    if found.unexpected_keys:
        raise UserError(
            f"the adaptation must keep every weight of {run.folder}, but its model lacks {found.unexpected_keys[0]}; "
            "let extended() add components only."
        )
    made.build_batches()
    return made


def opened(folder: Path, origin: str, allow: Sequence[str] = ()) -> Run:
    """Opens the weights that went live at an origin."""
    return load_models(open_finished(model_folder(folder, origin), allow, from_cache=True), for_training=True)


def copied(run: Run, data: OpenData, modes: Mapping[str, bool]) -> Run:
    """Returns a copy of a run, with weights of its own and the modes of a training, that reads other data."""
    again = run.over(lambda _: data)
    model = copy.deepcopy(run.model)
    set_modes(model, modes)
    again.model, again.facts, again.shared = model, run.facts, run.shared
    again.build_batches()
    return again


def save_live(folder: Path, origin: str, run: Run, origin_s: int, record: dict[str, Any]) -> None:
    """Writes the weights that go live at an origin into a folder that every command can open."""
    target = model_folder(folder, origin)
    save_weights(target / "model.safetensors", run.model)
    write_yaml(target / "config.yaml", _config_of(run, target, origin_s).as_dict())
    kept = {"name": run.config.name, "seed": run.config.seed, "fingerprint": run.data.fingerprint}
    read = {"data_digest": run.data.log.digest, "text_readers": text_readers(run.model)}
    write_json(target / "record.json", kept | read | record)
    seal(target, afresh=True)


def _config_of(run: Run, target: Path, origin_s: int) -> RunConfig:
    stage = {
        "_target_": "seasonrec.runs.stages.adapted.Adapted",
        "origin_s": origin_s,
        "statistics_until_s": run.data.spec.train_until_s,
        "after": "",
    }
    stages = {**(run.config.stage or {}), "adapted": cast(Component, stage)}
    return replace(run.config, stage=stages, run_dir=str(target))


def seeded(seed: int, place: int) -> int:
    """Returns the seed of the update at an origin and seeds torch, numpy and Python with it."""
    own = int(np.random.SeedSequence((seed, place)).generate_state(1)[0])
    L.seed_everything(own, verbose=False)
    return own
