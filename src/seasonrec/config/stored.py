"""Check that a configuration of an earlier run names trusted components only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from seasonrec.config.errors import ConfigError, Mistake, shown
from seasonrec.config.signatures import TargetError, read_class
from seasonrec.config.tree import ConfTree

TARGET = "_target_"


def check_stored(config: dict[str, Any], allow: Sequence[str] = ()) -> None:
    """Checks every ``_target_`` of a stored configuration before its modules are imported.

    A slot may name classes from the modules of its shipped options, for example ``data`` from
    ``seasonrec.data.datasets``. A component inside a slot may name classes from the modules of all slots.

    Args:
        config: The plain content of a run's ``config.yaml``.
        allow: Further trusted modules, for example ``("my_parts",)``, with their submodules.

    Raises:
        ConfigError: With every target that is not trusted.
    """
    if mistakes := list(_mistakes(config, allow)):
        raise ConfigError(mistakes)


def _mistakes(config: dict[str, Any], allow: Sequence[str]) -> Iterator[Mistake]:
    tree = ConfTree.of()
    places = {group: {_place(target) for target in tree.targets(group).values()} for group in tree.groups()}
    everywhere = set().union(*places.values())
    for path, target in _targets(config, ""):
        slot, *inside = path.split(".")
        of_list = len(inside) == 1 and TARGET not in (config[slot] or {})
        own = places.get(slot, set()) if not inside or of_list else everywhere
        problem = _problem(target, own, allow)
        if problem:
            remedy = "train again, or name its module in allow=[MODULE] if you trust it"
            yield Mistake(f"{path}.{TARGET}".removeprefix("."), problem, remedy, shown(target))


def _targets(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yields the path of every node that has a ``_target_``, and the target."""
    if isinstance(node, dict):
        if TARGET in node:
            yield path, node[TARGET]
        for key, value in node.items():
            yield from _targets(value, f"{path}.{key}".removeprefix("."))
    elif isinstance(node, list):
        for place, value in enumerate(node):
            yield from _targets(value, f"{path}.{place}")


def _place(target: str) -> str:
    """Returns the package of a class, or its module where the package holds more than a slot's options."""
    module = target.rpartition(".")[0]
    package = module.rpartition(".")[0]
    return package if package.count(".") > 1 else module


def _problem(target: Any, places: set[str], allow: Sequence[str]) -> str | None:
    trusted = {*places, *allow}
    if not isinstance(target, str) or not any(target.startswith(f"{place}.") for place in trusted):
        return f"a stored configuration may name classes of {', '.join(sorted(trusted)) or 'no module'} alone"
    try:
        owner = read_class(target)
    except TargetError as error:
        return error.problem
    if any(f"{owner}.".startswith(f"{place}.") for place in ("seasonrec", *allow)):
        return None
    return f"the class is defined in {owner}, which is not trusted"
