"""Configurations with one value that cannot be right, made from the signatures of all components and commands."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from seasonrec.cli.commands import COMMANDS
from seasonrec.config import ConfTree
from seasonrec.config.annotations import described, wants_component, wants_components
from seasonrec.config.check import Checker
from seasonrec.config.errors import Mistake
from seasonrec.config.signatures import Argument, Signature, read_signature
from seasonrec.config.tree import GLOBAL_GROUPS

TREE = ConfTree.of()
NEVER_A_NUMBER = (-1, -(10**12), 10**12, 2**70, math.nan, math.inf, -math.inf, 1e300, "word", "", True, {}, [])
"""Values that no number of a shipped component may have."""
NEVER_A_LIST = (*([value] for value in (-1, 10**12, math.nan, math.inf, "word", None, True)), 5, "word", "")
NEVER_A_TEXT = ("", " ", "a\0b", 7, 0.5, True, {}, math.nan)


@dataclass(frozen=True)
class Setting:
    """A value that yaml may set.

    Args:
        slot: Group or command that it belongs to.
        signature: Signature with the argument.
        name: Name of the argument.
    """

    slot: str
    signature: Signature
    name: str

    @property
    def argument(self) -> Argument:
        return self.signature.arguments[self.name]

    @property
    def kind(self) -> str:
        """Its type, for example ``int or null``."""
        return described(self.argument.annotation, self.argument.module)

    @property
    def with_limits(self) -> str:
        """Its type with its range, as ``--help`` shows it."""
        return described(self.argument.annotation, self.argument.module, limits=True)

    @property
    def has_numbers(self) -> bool:
        return bool(re.search(r"\b(int|float)\b", self.kind))

    def others(self) -> dict[str, Any]:
        """Returns the defaults of the signature's numbers, which a limit may name."""
        arguments = self.signature.settable.items()
        values = {name: one.default_value() for name, one in arguments if one.default is not None}
        return {name: value for name, value in values.items() if isinstance(value, int | float)}

    def mistakes(self, value: object) -> list[Mistake]:
        """Returns the mistakes of the preflight about the argument if it has a value."""
        given = {name: "x" for name, one in self.signature.settable.items() if one.is_required}
        found = Checker(TREE, {}).top_level({**given, self.name: value}, self.signature)
        return [mistake for mistake in found if mistake.path == self.name]

    def impossible(self) -> tuple[Any, ...]:
        """Returns values that it can never have."""
        if self.kind in ("int", "float", "int or null", "float or null"):
            return NEVER_A_NUMBER
        if self.has_numbers and self.kind.startswith("tuple"):
            return NEVER_A_LIST
        default = None if self.argument.default is None else self.argument.default_value()
        return tuple(text for text in NEVER_A_TEXT if text != default) if self.kind in ("str", "str or null") else ()


def settings() -> Iterator[Setting]:
    """Yields every value of every component and command, those of one class once."""
    groups = [group for group in TREE.groups() if group not in GLOBAL_GROUPS]
    targets = {target: group for group in groups for target in TREE.targets(group).values()}
    targets |= {command.schema: command.name for command in reversed(COMMANDS.values())}
    for target, slot in targets.items():
        signature = read_signature(target)
        for name, argument in signature.settable.items():
            annotation, module = argument.annotation, argument.module
            if not (wants_component(annotation, module) or wants_components(annotation, module)):
                yield Setting(slot, signature, name)
