"""Jobs of Hydra, each of which runs a subcommand once."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial, update_wrapper
from pathlib import Path
from typing import Any

import hydra
from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import run_job
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf

from seasonrec.cli.commands import Command
from seasonrec.config import conf_dir
from seasonrec.config.overrides import override_key
from seasonrec.disk import ONLY_WRITING, WriteError, check_folder, failure, reason_of
from seasonrec.errors import UserError

HYDRA_FULL_ERROR = "HYDRA_FULL_ERROR"


class Refused(UserError):
    """A refusal by one of several jobs; its message is plain text, which another process can return."""


class RefusedAlone(BaseException):
    """A refusal by the only job of a command; Hydra would print a line of its own about an ``Exception``."""

    exit_code = 2


def failed(error: OSError) -> WriteError | None:
    """Returns the sentence for an error of the system outside of the files that are written with care."""
    number = reason_of(error, numbers=ONLY_WRITING)
    return None if number is None else WriteError(failure(error.filename or "a file", number))


def is_plain(flags: Namespace, node: DictConfig) -> bool:
    """Returns whether a command is one job: no flag, no setting and no file asks Hydra for anything else."""
    given = {name for name, value in vars(flags).items() if value} - {"overrides", "config_dir"}
    settings = [override for override in flags.overrides if override_key(override).startswith("hydra")]
    return not given and not settings and node.hydra.mode is None


def check_run_dir(node: DictConfig, multirun: bool) -> None:
    """Checks that Hydra can make the folder of a job or of a multirun, where the results go as well.

    Raises:
        UserError: If it cannot.
    """
    if node.get("run_dir") == node.hydra.run.dir:
        check_folder(Path(node.hydra.sweep.dir if multirun else node.hydra.run.dir), "run_dir")


def run_alone(command: Command, node: DictConfig) -> None:
    """Runs one job with the configuration that was checked; :func:`hydra.main` would compose it twice more."""
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        context = HydraContext(GlobalHydra.instance().config_loader(), Callbacks(node))
        node.hydra.mode = RunMode.RUN
        context.callbacks.on_run_start(config=node, config_name=command.config_name)
        done = run_job(partial(_job, command), node, "hydra.run.dir", None, context)
        context.callbacks.on_run_end(config=node, config_name=command.config_name, job_return=done)
    _ = done.return_value  # raises the error of the job


def run_hydra(command: Command, arguments: list[str]) -> None:
    """Lets Hydra read its flags and run the jobs."""
    under_hydra = hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=command.config_name)
    with _called_as([f"seasonrec {command.name}", *arguments]):
        # a partial of a function at the top level, because a launcher sends it to other processes
        under_hydra(update_wrapper(partial(_job, command), _job))()


@contextmanager
def _called_as(arguments: list[str]) -> Iterator[None]:
    """Gives Hydra its command line, and makes it raise errors instead of ending the process."""
    argv, full_error = sys.argv, os.environ.get(HYDRA_FULL_ERROR)
    sys.argv, os.environ[HYDRA_FULL_ERROR] = arguments, "1"
    try:
        yield
    finally:
        sys.argv = argv
        os.environ.pop(HYDRA_FULL_ERROR)
        if full_error is not None:
            os.environ[HYDRA_FULL_ERROR] = full_error


def _job(command: Command, node: DictConfig) -> Any:
    """Runs one job under Hydra and returns its value for Hydra's sweepers."""
    try:
        config = command.composer().accept(node)
        if hasattr(config, "run_dir") and _shares_run_dir():
            config = replace(config, run_dir=HydraConfig.get().runtime.output_dir)
        return command.run(config)
    except (UserError, OSError) as error:
        told = error if isinstance(error, UserError) else failed(error)
        if told is None:
            raise
        alone = HydraConfig.get().mode == RunMode.RUN
        refusal = (RefusedAlone if alone else Refused)(str(told))
        refusal.exit_code = told.exit_code
        raise refusal from None


def _shares_run_dir() -> bool:
    """Returns whether the jobs of a multirun would all have the same run_dir."""
    settings = HydraConfig.get()
    written = OmegaConf.to_yaml(settings.overrides.task, resolve=False).splitlines()
    own_folder = any("++run_dir=" in line and "${" in line for line in written)
    return settings.mode == RunMode.MULTIRUN and not own_folder
