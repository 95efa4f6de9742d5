"""Finished runs: their stored configuration, data and trained model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from safetensors import SafetensorError
from yaml import YAMLError

from seasonrec.batches.splits import spec_of
from seasonrec.config import Composer, ConfTree, build, compose
from seasonrec.config.difference import PLACE_KEYS, differences
from seasonrec.config.schema import SLOTS_WITH_LATER_DEFAULTS, RunConfig
from seasonrec.config.stored import check_stored
from seasonrec.config.yaml_size import check_size
from seasonrec.data.behaviours import with_target
from seasonrec.data.cache import MANIFEST, CacheError
from seasonrec.data.events import open_log
from seasonrec.data.log import EventLog
from seasonrec.data.tables import Dataset
from seasonrec.digests import is_expected
from seasonrec.errors import UserError
from seasonrec.evaluation.protocol import Protocol
from seasonrec.models.language.text_vectors import text_readers
from seasonrec.runs.domains import domain_configs, folder_of
from seasonrec.runs.intact import check_config, check_model, read_record
from seasonrec.runs.older import upgraded
from seasonrec.runs.opening import OpenData, cache_dir_of, open_data
from seasonrec.runs.run import Run
from seasonrec.runs.stages.base import stages_of
from seasonrec.training.checkpointing.weights import load_weights


class RunFolderError(UserError):
    """Folder that holds no finished run, another run, or a run whose data have changed."""


def refuse_another_run(run_dir: Path, config: RunConfig) -> None:
    """Checks that a folder holds no checkpoint or finished stage of a run with another configuration.

    Raises:
        RunFolderError: If it does; the message names every key that differs.
        DamagedError: If its configuration is missing or damaged.
    """
    if not any(any(run_dir.glob(f"stages/*/{one}")) for one in ("checkpoints/*", "record.json")):
        return
    check_config(run_dir)
    both = (_stored(run_dir), json.loads(json.dumps(config.as_dict(), default=str)))
    changed = differences(*({key: value for key, value in one.items() if key not in PLACE_KEYS} for one in both))
    if changed:
        raise RunFolderError(
            f"run_dir {run_dir} holds the checkpoint of a run with another configuration ({'; '.join(changed)}); "
            "give the values of then to go on, choose another run_dir, or delete this one to start again."
        )


def read_config(run_dir: Path, allow: Sequence[str] = ()) -> RunConfig:
    """Returns the complete configuration of a finished run.

    Args:
        run_dir: The run's folder.
        allow: Modules outside seasonrec whose components the configuration may name.

    Raises:
        RunFolderError: If the folder holds no trained model.
        DamagedError: If ``config.yaml`` differs from its digest.
        ConfigError: If the configuration is invalid or names a component that is not allowed.
    """
    if run_dir.is_file():
        raise RunFolderError(f"checkpoint must be the folder of a run, got the file {run_dir}; give {run_dir.parent}.")
    if (run_dir / "study.json").is_file():
        raise RunFolderError(f"{run_dir} is the folder of a study; give one of its runs: {run_dir}/cells/ROW/seed_N.")
    for name in ("config.yaml", "model.safetensors"):
        if not is_expected(run_dir / name):
            raise RunFolderError(
                f"checkpoint must be the folder of a finished run, got {run_dir}, which has no {name}; "
                "train first: seasonrec train run_dir=DIR."
            )
    check_config(run_dir)
    stored = _stored(run_dir)
    check_stored(stored, allow)
    config: RunConfig = Composer(ConfTree.of()).typed(stored)
    return config


def open_finished(run_dir: Path, allow: Sequence[str] = (), *, from_cache: bool = False) -> Run:
    """Opens a finished run with its data, further domains included; :func:`load_models` adds the models.

    Args:
        run_dir: The run's folder.
        allow: Modules outside seasonrec whose components the configuration may name.
        from_cache: Whether to look for the prepared data first, without the source, and to leave out further domains.

    Raises:
        RunFolderError: If the folder holds no finished run, or the data are not those of the training.
        DamagedError: If a file of the run is damaged, or its ``record.json`` is missing.
    """
    config = read_config(run_dir, allow)
    for folder in (run_dir, *(() if from_cache else (folder_of(run_dir, name) for name in config.domain or ()))):
        check_model(folder)
    run = Run(config, run_dir, _cached_data_of(run_dir, config) if from_cache else _data_of(run_dir, config))
    for name, own in {} if from_cache else domain_configs(config).items():
        folder = folder_of(run_dir, name)
        run.domains += (Run(own, folder, _data_of(folder, own), name),)
    for stage in stages_of(config).values():
        run = run.over(stage.known)
    return run


def load_models(run: Run, for_training: bool = False) -> Run:
    """Builds the models of an opened run and loads their trained weights; returns the run.

    Args:
        run: The opened run.
        for_training: Whether the weights are trained on, see :meth:`~seasonrec.runs.run.Run.build`.

    Raises:
        RunFolderError: If the weights do not fit the configuration, or a language model has changed.
    """
    run.build(for_training)
    for one in run.all:
        _load(one)
    return run


def _load(run: Run) -> None:
    now = text_readers(run.model)
    for reader, before in read_record(run.folder).get("text_readers", {}).items():
        if now.get(reader) != before:
            raise RunFolderError(
                f"{run.folder} was trained with the language model {reader!r}, whose weights have changed since "
                f"({before[:12]} -> {str(now.get(reader))[:12]}); install the version of that time, or train again."
            )
    path = run.folder / "model.safetensors"
    try:
        load_weights(path, run.model)
        if run.model.mixture.reads:  # a fitted mixture reads more than the new model
            run.build_batches()
    except (SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise RunFolderError(f"{path} does not hold this run's weights ({reason}); train again.") from error


def _data_of(run_dir: Path, config: RunConfig) -> OpenData:
    """Returns the data of a run, from the cache or prepared again.

    Raises:
        RunFolderError: If the source gives other data than in training, because the items would have other numbers.
    """
    data = open_data(config)
    digest = read_record(run_dir).get("data_digest", data.log.digest)
    if data.log.digest != digest:
        raise RunFolderError(
            f"the data of {run_dir} must be what it was in training (digest {digest[:12]}), got another "
            f"({data.log.digest[:12]}); bring the files of that time back, or train again."
        )
    return data


def _cached_data_of(run_dir: Path, config: RunConfig) -> OpenData:
    """Returns the data of a run from the cache, even if the source has changed, else as :func:`_data_of` does."""
    record = read_record(run_dir)
    dataset: Dataset = build(config.data)()
    log = _prepared(cache_dir_of(config), record.get("data_digest"), dataset.country, dataset.timezone)
    if log is None:
        return _data_of(run_dir, config)
    protocol: Protocol = build(config.protocol)()
    log = with_target(log, protocol.target_behaviour)
    split = build(config.split)().resolve(log)
    return OpenData(log, split, spec_of(log, split), protocol, record["fingerprint"], cache_dir_of(config))


def _stored(run_dir: Path) -> dict[str, Any]:
    """Returns the stored configuration of a run in today's form, unchecked."""
    path = run_dir / "config.yaml"
    try:
        config = OmegaConf.to_container(OmegaConf.load(check_size(path)))
    except (OmegaConfBaseException, YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise RunFolderError(f"{path} is not the record of a run; train again.") from error
    if not isinstance(config, dict):
        raise RunFolderError(f"{path} is not the record of a run; train again.")
    known = upgraded({str(key): value for key, value in config.items()})
    missing = [slot for slot in SLOTS_WITH_LATER_DEFAULTS if slot not in known]
    defaults = compose([]).as_dict() if missing else {}
    return known | {slot: defaults[slot] for slot in missing}


def _prepared(cache_dir: Path, digest: str | None, country: str | None, timezone: str) -> EventLog | None:
    """Returns the intact prepared log with this digest, country and time zone, or None.

    The digest covers events and items only, so that logs in two time zones may have the same digest.
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
