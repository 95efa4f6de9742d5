from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import pytest
from omegaconf import DictConfig

from seasonrec.config import Composer, ConfTree, conf_dir

AddFile = Callable[[str, str], Composer]


class ComposerWithMemory(Composer):
    """A composer of the shipped files that lets Hydra compose equal overrides once; no test changes those files."""

    def _composed(self, overrides: Sequence[str]) -> DictConfig:
        return _composed_once(self, tuple(overrides))


@cache
def _composed_once(composer: Composer, overrides: tuple[str, ...]) -> DictConfig:
    return Composer._composed(composer, overrides)


@pytest.fixture(scope="session")
def composer() -> Composer:
    return ComposerWithMemory(ConfTree.of())


@pytest.fixture
def add_file(tmp_path: Path) -> AddFile:
    """Puts one more yaml file on top of the shipped tree."""

    def add(name: str, content: str) -> Composer:
        path = tmp_path / "own" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        return Composer(ConfTree((tmp_path / "own", conf_dir())))

    return add
