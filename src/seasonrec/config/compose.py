"""Composition of a complete, checked configuration from overrides."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import InterpolationToMissingValueError, OmegaConfBaseException

from seasonrec.config.build import build
from seasonrec.config.check import Checker, Unresolved, complete
from seasonrec.config.errors import ConfigError, Mistake
from seasonrec.config.files import choice_mistakes
from seasonrec.config.overrides import check_overrides, for_hydra
from seasonrec.config.rules import rule_mistakes
from seasonrec.config.schema import RunConfig
from seasonrec.config.signatures import Signature, read_signature
from seasonrec.config.tree import LIST_GROUPS, ConfTree

RUN_SCHEMA = "seasonrec.config.schema.RunConfig"
PLUGINS = {"sweeper": "hydra-optuna-sweeper", "launcher": "hydra-submitit-launcher"}
"""Packages of plugins of Hydra, as examples."""


@dataclass(frozen=True)
class Composer:
    """A composer of the checked configurations of one command.

    Args:
        tree: Folders of the yaml files.
        config_name: The command's own yaml file, without its suffix.
        schema: Dotted name of the class that states its top level.
    """

    tree: ConfTree
    config_name: str = "train"
    schema: str = RUN_SCHEMA

    def compose(self, overrides: Sequence[str]) -> Any:
        """Returns the complete configuration, an instance of the schema's class.

        Raises:
            ConfigError: With every mistake at once.
        """
        node, mistakes = self.examine(overrides)
        if mistakes or node is None:
            raise ConfigError(mistakes)
        return self.accept(node)

    def mistakes(self, overrides: Sequence[str], multirun: bool = False) -> list[Mistake]:
        """Returns every mistake of a run, or of all jobs of a multirun."""
        return self.examine(overrides, multirun)[1]

    def examine(self, overrides: Sequence[str], multirun: bool = False) -> tuple[DictConfig | None, list[Mistake]]:
        """Returns the configuration that Hydra composes, of a multirun the last job's, and every mistake."""
        checked = check_overrides(overrides, self._signature, self.tree, multirun)
        mistakes = list(checked.mistakes)
        node = None
        for job in checked.jobs(self.tree):
            try:
                node = self._composed(job)
            except (HydraException, OmegaConfBaseException, yaml.YAMLError, AssertionError) as error:
                mistakes.append(_hydra_mistake(error))
                continue
            found = self._composed_mistakes(node, checked.unclear)
            mistakes += [mistake for mistake in found if _top(mistake) not in checked.unclear]
        told = [mistake.path for mistake in mistakes]
        mistakes += [mistake for key, mistake in checked.signs.items() if not _is_told(key, told)]
        return node, list(dict.fromkeys(mistakes))

    def for_hydra(self, overrides: Sequence[str]) -> list[str]:
        """Returns the accepted overrides in the form that Hydra needs."""
        checked = check_overrides(overrides, self._signature, self.tree, multirun=True)
        return [for_hydra(override, self.tree) for override in checked.accepted]

    def plain(self, node: DictConfig) -> dict[str, Any]:
        """Returns the plain values of a composed configuration, also of one with mistakes."""
        return self._plain(node)[0]

    def keys(self) -> list[str]:
        """Returns the top-level keys of the command."""
        return list(self._signature.settable)

    def accept(self, node: DictConfig) -> Any:
        """Checks a node that Hydra composed and returns it complete; see :meth:`typed`."""
        return self.typed(*self._plain(node))

    def typed(self, config: dict[str, Any], mistakes: Sequence[Mistake] = ()) -> Any:
        """Checks plain values and returns them complete, as an instance of the schema's class.

        Raises:
            ConfigError: With every mistake at once, including the given ones.
        """
        found = [*mistakes, *Checker(self.tree, {}).top_level(config, self._signature)]
        found += self._rule_mistakes(config, set(map(_top, found)))
        if found:
            raise ConfigError(found)
        return build({"_target_": self.schema, **complete(config, self._signature)}, nested=False)()

    def _composed(self, overrides: Sequence[str]) -> DictConfig:
        """Returns the configuration that Hydra composes, including Hydra's own settings."""
        search = [f"file://{root}" for root in self.tree.roots[:-1]]
        extra = [f"hydra.searchpath=[{','.join(search)}]"] if search else []
        before = GlobalHydra.instance().hydra  # a job of a multirun has one already
        GlobalHydra.instance().clear()
        try:
            with initialize_config_dir(str(self.tree.roots[-1]), version_base="1.3"):
                return hydra_compose(self.config_name, [*extra, *overrides], return_hydra_config=True)
        finally:
            GlobalHydra.instance().hydra = before

    @property
    def _signature(self) -> Signature:
        return read_signature(self.schema)

    def _composed_mistakes(self, node: DictConfig, unclear: Set[str]) -> list[Mistake]:
        choices = _choices(node)
        mistakes = [
            mistake
            for choice in dict.fromkeys(choices.values())
            for mistake in choice_mistakes(self.tree, *choice.split("/", 1))
        ]
        config, unresolved = self._plain(node)
        mistakes += unresolved + Checker(self.tree, choices).top_level(config, self._signature)
        return mistakes + self._rule_mistakes(config, {*unclear, *map(_top, mistakes)})

    def _rule_mistakes(self, config: dict[str, Any], broken: Set[str]) -> list[Mistake]:
        return rule_mistakes(config, broken) if self.schema == RUN_SCHEMA else []

    def _plain(self, node: DictConfig) -> tuple[dict[str, Any], list[Mistake]]:
        """Returns plain values with the defaults of the schema, and the mistakes of unresolved values."""
        defaults = {
            name: argument.default_value() for name, argument in self._signature.settable.items() if argument.default
        }
        whole = cast(dict[str, Any], OmegaConf.to_container(node))
        content = {key: value for key, value in whole.items() if key != "hydra"}
        merged = OmegaConf.merge(OmegaConf.create(defaults), OmegaConf.create(content))
        mistakes: list[Mistake] = []
        plain = _resolved(merged, "", mistakes)
        assert isinstance(plain, dict)
        return plain, mistakes


def compose(overrides: Sequence[str], extra: Path | None = None) -> RunConfig:
    """Returns the complete configuration of one run of ``seasonrec train``.

    Args:
        overrides: Hydra overrides, for example ``["experiment=first_season", "seed=1"]``.
        extra: Folder of the user's own yaml files; they come before the shipped ones.

    Raises:
        ConfigError: With every mistake at once.
    """
    return cast(RunConfig, Composer(ConfTree.of(extra)).compose(overrides))


def _resolved(node: Any, path: str, mistakes: list[Mistake]) -> Any:
    """Resolves value by value; OmegaConf itself would raise at the first missing value or broken ``${...}``."""
    if isinstance(node, DictConfig | ListConfig):
        keys = list(node.keys()) if isinstance(node, DictConfig) else list(range(len(node)))
        prefix = f"{path}." if path else ""
        values = {key: _resolved_child(node, key, f"{prefix}{key!s}", mistakes) for key in keys}
        return values if isinstance(node, DictConfig) else list(values.values())
    return node


def _resolved_child(node: DictConfig | ListConfig, key: Any, path: str, mistakes: list[Mistake]) -> Any:
    if OmegaConf.is_missing(node, key):
        mistakes.append(Mistake(path, "a mandatory value is missing", f"give it: {path}=...", "???"))
        return Unresolved()
    try:
        return _resolved(node[key], path, mistakes)
    except InterpolationToMissingValueError:
        return Unresolved()  # the missing value is reported where it stands
    except OmegaConfBaseException as error:
        written = OmegaConf.to_container(node)[key]  # type: ignore[index]  # a list or a dict, as node is
        problem = f"cannot be resolved ({str(error).splitlines()[0]})"
        mistakes.append(Mistake(path, problem, "name an existing key in ${...}", str(written)))
        return Unresolved()


def _choices(node: DictConfig) -> dict[str, str]:
    """Returns ``group/option`` for each yaml path, from Hydra's record of its choices."""
    chosen: dict[str, str] = {}
    for key, option in node.hydra.runtime.choices.items():
        group, _, package = str(key).partition("@")
        if isinstance(option, str) and not group.startswith("hydra/"):
            chosen[package or group] = f"{group}/{option}"
    for group in LIST_GROUPS:
        chosen.pop(group, None)
        chosen |= {f"{group}.{name}": f"{group}/{name}" for name in node.get(group) or ()}
    return chosen


def _hydra_mistake(error: Exception) -> Mistake:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    missing = next((kind for kind in ("sweeper", "launcher") if f"hydra/{kind}/" in str(error)), None)
    if missing:
        problem = f"there is no such {missing} ({' '.join(lines[1:2])})"
        remedy = f"install its plugin, for example pip install {PLUGINS[missing]}"
        return Mistake(f"hydra/{missing}", problem, remedy)
    return Mistake("conf", f"Hydra cannot compose it: {' '.join(lines)}", "correct the file or override that it names")


def _is_told(key: str, paths: Sequence[str]) -> bool:
    return any(f"{path}.".startswith(f"{key}.") for path in paths)


def _top(mistake: Mistake) -> str:
    return mistake.path.partition(".")[0]
