"""Reads what a finished run left in its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf


class RunFolderError(ValueError):
    """A folder that is no finished run."""


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
    config = OmegaConf.to_container(OmegaConf.load(run_dir / "config.yaml"))
    assert isinstance(config, dict)
    return {str(key): value for key, value in config.items()}
