"""Composition of overrides to a complete, checked configuration."""

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

from seasonrec.config.build import instance
from seasonrec.config.check import Checker, Unresolved, complete
from seasonrec.config.errors import ConfigError, Mistake
from seasonrec.config.files import choice_mistakes
from seasonrec.config.overrides import check_overrides, for_hydra
from seasonrec.config.rules import rule_mistakes
from seasonrec.config.schema import RunConfig
from seasonrec.config.signatures import Signature, read_signature
from seasonrec.config.tree import LIST_GROUPS, ConfTree

RUN_SCHEMA = "seasonrec.config.schema.RunConfig"


@dataclass(frozen=True)
class Composer:
    """Composes and checks the configuration of one command.

    Args:
        tree: Where the yaml files lie.
        config_name: The command's own yaml file, without its ending.
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
        node, mistakes = self._examine(overrides, multirun=False)
        if mistakes or node is None:
            raise ConfigError(mistakes)
        return self.accept(node)

    def mistakes(self, overrides: Sequence[str], multirun: bool = False) -> list[Mistake]:
        """Returns every mistake of a run, or of all jobs of a multirun, without raising."""
        return self._examine(overrides, multirun)[1]

    def for_hydra(self, overrides: Sequence[str]) -> list[str]:
        """Overrides that passed, in the form that Hydra needs."""
        checked = check_overrides(overrides, self._signature, self.tree, multirun=True)
        return [for_hydra(override, self.tree) for override in checked.accepted]

    def keys(self) -> list[str]:
        """Returns top-level keys that the command takes."""
        return list(self._signature.settable)

    def accept(self, node: DictConfig) -> Any:
        """Merges what Hydra composed into the fresh schema, checks it and completes it.

        Returns:
            An instance of the schema's class.

        Raises:
            ConfigError: With every mistake at once.
        """
        config, mistakes = self._plain(node)
        return self.typed(config, mistakes)

    def typed(self, config: dict[str, Any], mistakes: Sequence[Mistake] = ()) -> Any:
        """Checks plain values and returns them complete, as an instance of the schema's class.

        Raises:
            ConfigError: With every mistake at once, those given included.
        """
        found = [*mistakes, *Checker(self.tree, {}).top_level(config, self._signature)]
        found += self._rule_mistakes(config, set(map(_top, found)))
        if found:
            raise ConfigError(found)
        node = {"_target_": self.schema, **complete(config, self._signature)}
        return instance(node)

    def composed(self, overrides: Sequence[str]) -> DictConfig:
        """Returns what Hydra makes of overrides that passed, its own settings included."""
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

    def _examine(self, overrides: Sequence[str], multirun: bool) -> tuple[DictConfig | None, list[Mistake]]:
        checked = check_overrides(overrides, self._signature, self.tree, multirun)
        mistakes = list(checked.mistakes)
        node = None
        for job in checked.jobs(self.tree):
            try:
                node = self.composed(job)
            except (HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
                mistakes.append(_hydra_mistake(error))
                continue
            found = self._composed_mistakes(node, checked.unclear)
            mistakes += [mistake for mistake in found if _top(mistake) not in checked.unclear]
        return node, list(dict.fromkeys(mistakes))

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
        """Returns plain values with the schema's own defaults beneath them, and what could not be resolved."""
        defaults = {
            name: argument.default_value() for name, argument in self._signature.settable.items() if argument.default
        }
        # OmegaConf itself would raise at the first value that it cannot resolve
        whole = cast(dict[str, Any], OmegaConf.to_container(node))
        content = {key: value for key, value in whole.items() if key != "hydra"}
        merged = OmegaConf.merge(OmegaConf.create(defaults), OmegaConf.create(content))
        mistakes: list[Mistake] = []
        plain = _resolved(merged, "", mistakes)
        assert isinstance(plain, dict)
        return plain, mistakes


def compose(overrides: Sequence[str], extra: Path | None = None) -> RunConfig:
    """Returns the complete configuration of one training run, as ``seasonrec train`` would have it.

    Args:
        overrides: Hydra overrides, for example ``["experiment=first_season", "seed=1"]``.
        extra: A folder with yaml files of one's own, looked at before the shipped one.

    Raises:
        ConfigError: With every mistake at once.
    """
    return cast(RunConfig, Composer(ConfTree.of(extra)).compose(overrides))


def _resolved(node: Any, path: str, mistakes: list[Mistake]) -> Any:
    """Resolves value by value, so that every missing one and every broken ``${...}`` is found."""
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
    return Mistake("conf", f"Hydra cannot compose it: {' '.join(lines)}", "correct the file or override that it names")


def _top(mistake: Mistake) -> str:
    return mistake.path.partition(".")[0]
