"""Python modules that are read without being imported, so that a check does not import torch."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib.machinery import PathFinder
from importlib.util import find_spec, resolve_name
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
    """An expression whose value is known only by running the module."""


@dataclass(frozen=True)
class Module:
    """A module with the names that its top level binds.

    Args:
        name: Dotted name.
        path: Its file.
        names: Statements by name: classes, functions, assignments and imports.
    """

    name: str
    path: Path
    names: dict[str, ast.stmt] = field(repr=False)

    def lookup(self, name: str) -> tuple[Module, ast.stmt] | None:
        """Returns the statement that binds a name, and its module; follows ``from ... import`` to readable sources."""
        statement = self.names.get(name)
        if not isinstance(statement, ast.ImportFrom):
            return None if statement is None else (self, statement)
        source = find_module(self._absolute(statement))
        original = next(alias.name for alias in statement.names if (alias.asname or alias.name) == name)
        return None if source is None else source.lookup(original)

    def _absolute(self, statement: ast.ImportFrom) -> str:
        package = self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]
        return resolve_name("." * statement.level + (statement.module or ""), package)

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
    """Returns the parsed module of a dotted name, or None where it has no Python source."""
    path = _module_path(name)
    if path is None:
        return None
    return Module(name, path, _bindings(ast.parse(path.read_text(encoding="utf-8")).body))


def _module_path(name: str) -> Path | None:
    """Returns a module's file; ``find_spec`` of a dotted name would import every parent package."""
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


def name_of(node: ast.expr) -> str:
    """Returns ``x`` for ``x``, ``m.x``, ``x(...)`` and ``x[...]``; the source of any other expression."""
    match node:
        case ast.Name():
            return node.id
        case ast.Attribute():
            return node.attr
        case ast.Call():
            return name_of(node.func)
        case ast.Subscript():
            return name_of(node.value)
    return ast.unparse(node)
