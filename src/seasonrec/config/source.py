"""Reads Python modules without importing them, so that a check costs no import of torch."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from seasonrec.errors import UserError

_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
}


class UnreadableError(UserError):
    """An expression whose value cannot be told without running the module."""


@dataclass(frozen=True)
class Module:
    """The names that a module's top level binds.

    Args:
        name: Dotted name.
        path: Its file.
        names: Statement that binds each name: a class, function, assignment or import.
    """

    name: str
    path: Path
    names: dict[str, ast.stmt] = field(repr=False)

    def lookup(self, name: str) -> tuple[Module, ast.stmt] | None:
        """Finds what ``name`` means here, through ``from ... import`` as far as sources can be read."""
        statement = self.names.get(name)
        if not isinstance(statement, ast.ImportFrom):
            return None if statement is None else (self, statement)
        source = find_module(self._absolute(statement))
        original = next(alias.name for alias in statement.names if (alias.asname or alias.name) == name)
        return None if source is None else source.lookup(original)

    def _absolute(self, statement: ast.ImportFrom) -> str:
        if not statement.level:
            return statement.module or ""
        package = self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]
        for _ in range(statement.level - 1):
            package = package.rpartition(".")[0]
        return f"{package}.{statement.module}" if statement.module else package

    def value(self, node: ast.expr) -> Any:
        """Returns the value of a default: a literal, a constant of this or an imported module, or arithmetic on them.

        Raises:
            UnreadableError: If it is anything else.
        """
        match node:
            case ast.Constant():
                return node.value
            case ast.Tuple() | ast.List():
                return [self.value(entry) for entry in node.elts]
            case ast.Dict():
                return {
                    self.value(key): self.value(entry) for key, entry in zip(node.keys, node.values, strict=True) if key
                }
            case ast.UnaryOp(op=ast.USub()):
                return -self.value(node.operand)
            case ast.BinOp() if type(node.op) in _ARITHMETIC:
                return _ARITHMETIC[type(node.op)](self.value(node.left), self.value(node.right))
            case ast.Name():
                found = self.lookup(node.id)
                if found and isinstance(found[1], ast.Assign | ast.AnnAssign) and found[1].value is not None:
                    return found[0].value(found[1].value)
        raise UnreadableError(ast.unparse(node))


@cache
def find_module(name: str) -> Module | None:
    """Parses the module of that dotted name; None where there is no Python source for it."""
    path = _module_path(name)
    if path is None:
        return None
    return Module(name, path, _bindings(ast.parse(path.read_text(encoding="utf-8")).body))


def _module_path(name: str) -> Path | None:
    """Walks the folders by hand: the standard finder would import every parent package."""
    top, *rest = name.split(".")
    if not all(part.isidentifier() for part in (top, *rest)):
        return None
    spec = find_spec(top)
    for part in rest:
        if spec is None or spec.submodule_search_locations is None:
            return None
        spec = PathFinder.find_spec(f"{spec.name}.{part}", list(spec.submodule_search_locations))
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin)


def _bindings(body: list[ast.stmt]) -> dict[str, ast.stmt]:
    names: dict[str, ast.stmt] = {}
    for statement in body:
        match statement:
            case ast.ClassDef() | ast.FunctionDef():
                names[statement.name] = statement
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                names[name] = statement
            case ast.ImportFrom():
                names.update({alias.asname or alias.name: statement for alias in statement.names})
            case ast.If():  # if TYPE_CHECKING
                names.update(_bindings(statement.body))
    return names
