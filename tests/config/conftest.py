from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from seasonrec.config import Composer, ConfTree, conf_dir

AddFile = Callable[[str, str], Composer]


@pytest.fixture(scope="session")
def composer() -> Composer:
    return Composer(ConfTree.of())


@pytest.fixture
def add_file(tmp_path: Path) -> AddFile:
    """Puts one more yaml file on top of the shipped tree."""

    def add(name: str, content: str) -> Composer:
        path = tmp_path / "own" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        return Composer(ConfTree((tmp_path / "own", conf_dir())))

    return add
