"""Reads what a finished run left in its folder, and opens the data and the model that it belongs to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from safetensors import SafetensorError
from yaml import YAMLError

from seasonrec.config import build, compose
from seasonrec.config.difference import PLACE_KEYS, differences
from seasonrec.config.schema import SLOTS_WITH_LATER_DEFAULTS
from seasonrec.data.cache import MANIFEST, CacheError
from seasonrec.data.events import open_log
from seasonrec.data.log import EventLog
from seasonrec.batches.splits import spec_of
from seasonrec.data.tables import Dataset
from seasonrec.models.recommender import SeasonalRecommender
from seasonrec.models.language.text_vectors import text_readers
from seasonrec.runs.opening import OpenData, build_model, cache_dir_of, open_data
from seasonrec.training.checkpointing.weights import load_weights


class RunFolderError(ValueError):
    """A folder that is no finished run, or whose data is gone."""


def refuse_another_run(run_dir: Path, config: dict[str, Any]) -> None:
    """Refuses to go on from the checkpoint of a run that was configured in another way.

    Raises:
        RunFolderError: If ``run_dir`` holds a checkpoint of another configuration; names every key that differs.
    """
    if not (run_dir / "checkpoints" / "last.ckpt").is_file() or not (run_dir / "config.yaml").is_file():
        return
    both = (_config_of(run_dir), json.loads(json.dumps(config, default=str)))
    changed = differences(*({key: value for key, value in one.items() if key not in PLACE_KEYS} for one in both))
    if changed:
        raise RunFolderError(
            f"run_dir {run_dir} holds the checkpoint of a run with another configuration ({'; '.join(changed)}); "
            "choose another run_dir, or delete this one to start anew."
        )


def read_config(run_dir: Path) -> dict[str, Any]:
    """The complete configuration of a run.

    Raises:
        RunFolderError: If the folder holds no trained model.
    """
    for name in ("config.yaml", "model.safetensors"):
        if not (run_dir / name).is_file():
            raise RunFolderError(
                f"checkpoint must be the folder of a finished run, got {run_dir}, which has no {name}; "
                "train first: seasonrec train run_dir=DIR."
            )
    return _config_of(run_dir)


def open_data_of(run_dir: Path, config: dict[str, Any]) -> OpenData:
    """The data of a run, read or prepared from its source again.

    Raises:
        RunFolderError: If the source gives other data than the run was trained on: its items would have other numbers.
    """
    data = open_data(config)
    digest = _record(run_dir).get("data_digest", data.log.digest)
    if data.log.digest != digest:
        raise RunFolderError(
            f"the data of {run_dir} must be what it was in training (digest {digest[:12]}), got another "
            f"({data.log.digest[:12]}); bring the files of that time back, or train again."
        )
    return data


def open_history_of(run_dir: Path, config: dict[str, Any]) -> OpenData:
    """The data of a run from the cache by its digest, so that the source may have moved on; else from its source.

    Raises:
        RunFolderError: As :func:`open_data_of`.
    """
    record = _record(run_dir)
    dataset: Dataset = build(config["data"])()
    log = _prepared(cache_dir_of(config), record.get("data_digest"), dataset.country, dataset.timezone)
    if log is None:
        return open_data_of(run_dir, config)
    split, protocol = build(config["split"])().resolve(log), build(config["protocol"])()
    return OpenData(log, split, spec_of(log, split), protocol, record["fingerprint"], cache_dir_of(config))


def trained_model(run_dir: Path, config: dict[str, Any], data: OpenData) -> SeasonalRecommender:
    """The model of a run with its trained weights.

    Raises:
        RunFolderError: If the weights are damaged or those of another model, or the texts were read by others.
    """
    model, _ = build_model(config, data)
    now = text_readers(model)
    for reader, before in _record(run_dir).get("text_readers", {}).items():
        if now.get(reader) != before:
            raise RunFolderError(
                f"{run_dir} was trained on texts as the language model {reader!r} read them, whose weights have "
                f"changed since ({before[:12]} -> {str(now.get(reader))[:12]}); bring the version of that time back, "
                "or train again."
            )
    path = run_dir / "model.safetensors"
    try:
        load_weights(path, model)
    except (SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise RunFolderError(f"{path} does not hold this run's weights ({reason}); train again.") from error
    return model


def _config_of(run_dir: Path) -> dict[str, Any]:
    path = run_dir / "config.yaml"
    try:
        config = OmegaConf.to_container(OmegaConf.load(path))
    except (OmegaConfBaseException, YAMLError, UnicodeDecodeError) as error:
        raise RunFolderError(f"{path} is not the record of a run; train again.") from error
    if not isinstance(config, dict):
        raise RunFolderError(f"{path} is not the record of a run; train again.")
    known = {str(key): value for key, value in config.items()}
    younger = [slot for slot in SLOTS_WITH_LATER_DEFAULTS if slot not in known]
    defaults = compose([]) if younger else {}
    return known | {slot: defaults[slot] for slot in younger}


def _record(run_dir: Path) -> dict[str, Any]:
    """The content of ``record.json``; empty where a run has lost it."""
    path = run_dir / "record.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _prepared(cache_dir: Path, digest: str | None, country: str | None, timezone: str) -> EventLog | None:
    """A sound prepared log with a digest, or None.

    The digest is of the events and items alone: one file counted in two time zones gives two logs of one digest.
    """
    if digest is None:
        return None
    for manifest in sorted(cache_dir.expanduser().glob(f"prepared/*/{MANIFEST}")):
        if digest in manifest.read_text(encoding="utf-8"):
            try:
                log = open_log(manifest.parent)
            except CacheError:
                continue
            if (log.digest, log.country, log.timezone) == (digest, country, timezone):
                return log
    return None
