"""The slots of a configuration, as the rules between them read them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from seasonrec.config.signatures import read_signature

MAIN_TASK = "next_item"
SERIES = ("demand",)
"""Time-series tasks; ``objective.lambda_t`` weighs them, and a balancing does not."""
OWN = "own"
"""Option of a slot whose class is the user's own; the rules know nothing about it."""


class UnclearError(Exception):
    """A missing or mistaken value that a rule reads; the mistake has been reported already."""


@dataclass(frozen=True)
class Slots:
    """The slots of a configuration, as rules read them.

    Args:
        config: Plain values of the run.
        broken: Top-level keys with a mistake.
    """

    config: Mapping[str, Any]
    broken: Collection[str]

    def option(self, slot: str) -> str:
        """Returns the option of a slot, which is the name of its class's module; :data:`OWN` for the user's class."""
        return option_of(self.node(slot))

    def node(self, slot: str) -> Any:
        """Returns the content of a slot or the value of a key.

        Raises:
            UnclearError: If it is missing or mistaken.
        """
        if slot in self.broken or slot not in self.config:
            raise UnclearError
        return self.config[slot]

    def value(self, slot: str, key: str) -> Any:
        """Returns the value or default of a slot's key; None where the chosen class does not take the key."""
        node = self.node(slot)
        if key in node:
            return node[key]
        argument = read_signature(node["_target_"]).settable.get(key)
        return None if argument is None or argument.default is None else argument.default_value()

    def tasks(self) -> dict[str, str]:
        """Returns the option of every further task by name."""
        return {name: option_of(node) for name, node in (self.node("task") or {}).items()}

    def recommendation_tasks(self) -> list[str]:
        """Returns the names of the tasks that a balancing weighs, the main task first."""
        return [MAIN_TASK, *(name for name, option in self.tasks().items() if option not in SERIES)]

    def processes(self) -> int:
        """Returns the number of processes of the run."""
        return int(self.value("trainer", "devices") * self.value("trainer", "num_nodes"))

    def shares_weights(self) -> bool:
        """Returns whether the weights are spread over processes."""
        return bool(self.value("trainer", "strategy") == "fsdp")


def option_of(node: Any) -> str:
    """Returns the option of a component: the name of its class's module; :data:`OWN` for the user's class."""
    target = str(node["_target_"])
    return target.split(".")[-2] if target.startswith("seasonrec.") else OWN
