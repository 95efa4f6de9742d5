"""A stored configuration names trusted components alone."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from seasonrec.config import Composer, ConfigError, check_stored

DATA = "seasonrec.data.datasets.synthetic.Synthetic"
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "standard library": (
        {"data": {"_target_": "subprocess.run", "args": ["true"]}},
        "data._target_ = 'subprocess.run': a stored configuration may name classes of seasonrec.data.datasets alone; "
        "train again, or name its module in allow=[MODULE] if you trust it",
    ),
    "other package": ({"season": {"_target_": "torch.nn.Linear"}}, "season._target_ = 'torch.nn.Linear': "),
    "other slot": ({"data": {"_target_": "seasonrec.models.season.text.TextSeason"}}, "data._target_ = "),
    "inside a list": ({"a": [{"b": {"_target_": "os.system"}}]}, "a.0.b._target_ = 'os.system': "),
    "of a list of components": ({"task": {"x": {"_target_": DATA}}}, f"task.x._target_ = '{DATA}': "),
    "whole configuration": ({"_target_": "os.system"}, "_target_ = 'os.system': "),
    "no text": ({"data": {"_target_": 3}}, "data._target_ = 3: "),
    "function": (
        {"season": {"_target_": "seasonrec.models.season.base.abstractmethod"}},
        "season._target_ = 'seasonrec.models.season.base.abstractmethod': ",
    ),
    "imported class": (
        {"data": {"_target_": "seasonrec.data.datasets.table.Path"}},
        "data._target_ = 'seasonrec.data.datasets.table.Path': 'pathlib",
    ),
    "unknown class": ({"data": {"_target_": f"{DATA}s"}}, f"data._target_ = '{DATA}s': "),
}


@pytest.mark.parametrize(("config", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        check_stored(config)
    assert message in str(raised.value)


def test_what_a_run_stores_is_accepted(composer: Composer) -> None:
    for overrides in ([], ["task=[purchase,demand]"], ["domain=[flickr]", "domain.flickr.data.path=V.parquet"]):
        check_stored(composer.compose(overrides).as_dict())


def test_modules_that_the_caller_names_are_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stored_parts.py").write_text("raise RuntimeError('imported')\nclass Mine:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    config = {"season": {"_target_": "stored_parts.Mine"}}
    with pytest.raises(ConfigError, match=r"season\._target_ = 'stored_parts\.Mine': .* allow="):
        check_stored(config)
    check_stored(config, ["stored_parts"])
    assert "stored_parts" not in sys.modules
