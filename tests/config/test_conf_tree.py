"""The shipped yaml files: all compose, say what they are, and ablations touch what they name."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import zip_longest
from pathlib import Path
from shutil import copy, copytree
from typing import Any

import pytest

import seasonrec.config
from seasonrec.cli.commands import COMMANDS
from seasonrec.config import Composer, ConfigError, conf_dir
from seasonrec.config.files import overridden_groups
from seasonrec.config.schema import ABLATION_MAY_SET
from seasonrec.config.tree import GLOBAL_GROUPS, LIST_GROUPS, ConfTree, read_yaml, summary

FILES = sorted(conf_dir().rglob("*.yaml"))
OPTIONS = [path for path in FILES if path.parent != conf_dir()]
OF_OTHER_COMMANDS = {"adaptation": "adapt", "forecaster": "forecast", "series": "forecast"}
"""Groups that are no slots of a run, and their commands."""
OF_RUNS = [path for path in OPTIONS if path.parent.name not in OF_OTHER_COMMANDS]
ABLATIONS = [path for path in OPTIONS if path.parent.name == "ablation"]
TABLE = [
    "data=table", "data.events=E.csv", "data.items=I.csv", "data.features=[p]", "data.behaviour_column=kind",
]  # fmt: skip
NEEDED = {
    "data/table.yaml": TABLE,
    "data/flickr.yaml": ["data.path=V.parquet"],
    "data/online_retail_ii.yaml": ["data.path=R.xlsx"],
    "data/hot100.yaml": ["data.path=C.parquet"],
    "data/open_ecommerce.yaml": ["data.path=P.csv"],
    "domain/table.yaml": ["domain.table.data.events=E.csv"],
    "domain/flickr.yaml": ["domain.flickr.data.path=V.parquet"],
    "item_encoder/features.yaml": TABLE,
    "behaviour/embedding.yaml": TABLE,
    "demand/multinomial.yaml": ["mixture=fixed"],
    "habit/seasonal.yaml": ["habit.demand=false"],
    "season/years.yaml": ["season.years.young_by_text=false"],
    "stage/refit.yaml": ["stage=[train,refit]"],
    "peft/": ["backbone=minilm"],
    "balancing/": ["task=[purchase]"],
}
"""Overrides that an option, or every option of a group, needs."""

ALTERNATIVES = (
    ("adversarial", "balancing", "task", "trainer"),
    ("backbone", "peft"),
    ("demand", "mixture"),
    ("behaviour", "data", "item_encoder", "text_augmentation"),
)
"""Groups with options that exclude each other, by a rule or by what they need."""


def _rows() -> list[list[Path]]:
    """Returns all options in few rows, each of which can be composed at once."""
    groups = sorted({path.parent.name for path in OF_RUNS} - set(GLOBAL_GROUPS))
    others = [(group,) for group in groups if not any(group in several for several in ALTERNATIVES)]
    columns = [
        [path for group in several for path in OF_RUNS if path.parent.name == group]
        for several in (*ALTERNATIVES, *others)
    ]
    return [[path for path in row if path is not None] for row in zip_longest(*columns)]


def _name(path: Path) -> str:
    return str(path.relative_to(conf_dir()))


def _flat(node: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(node, dict):
        return {prefix: node}
    return {key: value for name, child in node.items() for key, value in _flat(child, f"{prefix}.{name}").items()}


Experiments = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def experiments(composer: Composer) -> Experiments:
    return {name: composer.compose([f"experiment={name}"]).as_dict() for name in composer.tree.options("experiment")}


@pytest.fixture(scope="module")
def full(experiments: Experiments) -> dict[str, Any]:
    return experiments["first_season"]


def test_all_options_are_composed() -> None:
    composed = [path for row in _rows() for path in row]
    assert sorted(composed) == [path for path in OF_RUNS if path.parent.name not in GLOBAL_GROUPS]


@pytest.mark.parametrize("row", _rows(), ids=lambda row: row[0].stem)
def test_options_compose(composer: Composer, row: list[Path]) -> None:
    """Together with one option of each other group; experiments and ablations are composed below."""
    needed = [
        override for path in row for override in NEEDED.get(_name(path)) or NEEDED.get(f"{path.parent.name}/", [])
    ]
    replaced = {override.partition("=")[0] for override in needed}
    chosen = [f"{path.parent.name}={path.stem}" for path in row if path.parent.name not in replaced]
    config = composer.compose([*chosen, *needed])
    for path in row:
        component = getattr(config, path.parent.name)
        if path.parent.name in LIST_GROUPS:
            assert path.stem in component
        else:
            assert component.get("_target_") == read_yaml(path).get("_target_")


@pytest.mark.parametrize(("group", "command"), OF_OTHER_COMMANDS.items())
def test_options_of_another_command_compose_there_alone(composer: Composer, group: str, command: str) -> None:
    options = composer.tree.options(group)
    assert options
    assert composer.mistakes([f"{group}={options[0]}"]), "no key of a run"
    other = COMMANDS[command].composer()
    needed = ["checkpoint=DIR"] if command == "adapt" else ["forecaster=[theta]", "run_dir=runs/f"]
    for option in options:
        chosen = f"{group}=[{option}]" if group in LIST_GROUPS else f"{group}={option}"
        assert other.mistakes([*(one for one in needed if not one.startswith(group)), chosen]) == []


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_file_is_small_and_says_what_it_is(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    first_comment = 1 if path.parent.name in GLOBAL_GROUPS else 0
    assert lines[first_comment] == f"# {summary(path)}"
    assert summary(path).endswith(".")
    assert len(lines) <= 40  # train.yaml has a line for every slot
    if path.parent != conf_dir() and path.parent.name not in GLOBAL_GROUPS:
        assert path.stem in ConfTree.of().targets(path.parent.name)


@pytest.mark.parametrize("path", ABLATIONS, ids=_name)
def test_ablation_differs_in_the_named_slots_alone(composer: Composer, experiments: Experiments, path: Path) -> None:
    """In the experiments that have what the ablation switches."""
    needed = ["domain.flickr.data.path=V.parquet"] if path.stem == "flickr_domain" else []
    packages = {group.rpartition("@")[2] for group in overridden_groups(path)}
    assert packages, "an ablation names what it switches"
    switched: set[str] = set()
    for experiment, full in experiments.items():
        overrides = [f"experiment={experiment}", f"ablation={path.stem}", *needed]
        try:
            ablated = composer.compose(overrides).as_dict()
        except ConfigError:
            continue
        assert ablated["name"] == path.stem
        before, after = _flat(full), _flat(ablated)
        changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
        strays = {key for key in changed if not any(f"{key}.".startswith(f".{package}.") for package in packages)}
        assert strays == {".name", ".run_dir"}, "the row's name, and the folder called after it"
        switched |= {one for one in packages if any(f"{key}.".startswith(f".{one}.") for key in changed)}
    assert switched == packages, "a slot that it names is the same in every experiment"


def test_the_full_experiment(full: dict[str, Any]) -> None:
    assert full["name"] == "full"
    assert full["group"] == "first_season"
    split = full["split"]
    cuts = [split[key] for key in ("train_from", "validation_from", "test_from")]
    assert cuts == ["2017-01-02", "2017-10-02", "2017-11-06"]
    classes = {"data": "CompleteJourney", "item_encoder": "IdTextItems", "backbone": "SASRec"}
    classes |= {"habit": "ReplenishmentHabit"}
    assert list(full["season"]) == ["momentum", "calendar", "text"]
    assert {slot: full[slot]["_target_"].rpartition(".")[2] for slot in classes} == classes


def test_the_complete_configuration_holds_signature_defaults(composer: Composer) -> None:
    config = composer.compose(["seed=3"])
    assert (config.seed, config.embedding_dim, config.run_dir) == (3, 64, "runs/full")
    assert config.backbone["num_layers"] == 2
    assert config.season["momentum"]["windows_days"] == [7, 28]
    assert "facts" not in config.backbone
    assert type(config.season["momentum"]) is dict, "no DictConfig leaves the configuration"


def test_every_slot_and_group_match(composer: Composer) -> None:
    config = composer.compose([])
    slots = {key for key, value in config.as_dict().items() if isinstance(value, dict)}
    taken = composer.tree.groups_of(composer.keys())
    assert slots | set(GLOBAL_GROUPS) | {group for group in LIST_GROUPS if group in taken} == set(taken)
    assert set(composer.tree.groups()) - set(taken) == set(OF_OTHER_COMMANDS)
    assert {"data", "split", "protocol", "loader", "trainer"}.isdisjoint(ABLATION_MAY_SET)


def test_a_folder_of_ones_own_is_looked_at_first(tmp_path: Path) -> None:
    own = tmp_path / "ablation" / "loud.yaml"
    own.parent.mkdir()
    own.write_text("# @package _global_\n# Mine.\ndefaults:\n  - override /season: []\nname: loud\n")
    config = seasonrec.config.compose(["ablation=loud"], extra=tmp_path)
    assert config.name == "loud"
    assert not config.season


def test_conf_is_found_inside_an_installed_package(tmp_path: Path) -> None:
    """Lays the files out as the wheel does, away from the repository."""
    source = Path(seasonrec.config.__file__).parent
    copytree(source, tmp_path / "seasonrec" / "config")
    copytree(conf_dir(), tmp_path / "seasonrec" / "conf")
    (tmp_path / "seasonrec" / "__init__.py").touch()
    for name in ("errors.py", "ranges.py"):
        copy(source.parent / name, tmp_path / "seasonrec")
    code = "from seasonrec.config import conf_dir; print(conf_dir())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert Path(done.stdout.strip()) == (tmp_path / "seasonrec" / "conf").resolve()


@pytest.mark.parametrize(
    ("habit", "expected"),
    [
        (["habit=replenishment", "habit.half_lives_days=[5.0]"], [5.0]),
        (["habit=replenishment"], [7.0, 28.0, 90.0]),
        (["habit=none"], [7.0, 28.0, 90.0]),
    ],
)
def test_heads_that_count_a_users_past_take_the_half_lives_of_the_habit(
    composer: Composer, habit: list[str], expected: list[float]
) -> None:
    tasks = composer.compose(["data=synthetic", "task=[category,user_match]", *habit]).task
    assert [tasks[name]["half_lives_days"] for name in ("category", "user_match")] == [expected, expected]
