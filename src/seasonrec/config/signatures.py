"""Signatures of classes and functions, read from their source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from seasonrec.config.errors import nearest
from seasonrec.config.foreign import owner_of
from seasonrec.config.source import Module, find_module, name_of
from seasonrec.errors import UserError

UNKNOWN = "give _target_ as package.module.Class of something that is installed or on PYTHONPATH"
"""Remedy where no package has such a name."""


@dataclass(frozen=True)
class Argument:
    """One argument of a signature.

    Args:
        name: Its name.
        module: Module in which its annotation and default are read.
        annotation: Its annotation, or None.
        default: Its default, or None.
        at_run_time: Whether code gives it instead of yaml: it stands after a bare ``*`` and has no default.
    """

    name: str
    module: Module
    annotation: ast.expr | None
    default: ast.expr | None
    at_run_time: bool = False

    @property
    def is_required(self) -> bool:
        return self.default is None and not self.at_run_time

    def default_value(self) -> Any:
        """Returns the default as yaml holds it, with tuples as lists; see :meth:`Module.value` for its error."""
        assert self.default is not None
        return self.module.value(self.default)


@dataclass(frozen=True)
class Signature:
    """The arguments of a class or function, in order."""

    target: str
    arguments: dict[str, Argument]

    @property
    def settable(self) -> dict[str, Argument]:
        """The arguments that yaml may set."""
        return {name: argument for name, argument in self.arguments.items() if not argument.at_run_time}


class TargetError(UserError):
    """A ``_target_`` that does not exist; ``problem`` and ``remedy`` are parts of a message."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}; {remedy}")
        self.problem, self.remedy = problem, remedy


@cache
def read_signature(target: str) -> Signature:
    """Reads the signature of ``package.module.Class`` (or a function) without importing it.

    Raises:
        TargetError: If the module or the name in it does not exist, or belongs to Python's standard library.
    """
    owner, statement = _definition(target)
    if isinstance(statement, ast.ClassDef):
        arguments = _class_arguments(owner, statement) or []
    else:
        arguments = list(_function_arguments(owner, statement))
    return Signature(target, {argument.name: argument for argument in arguments})


def read_class(target: str) -> str:
    """Returns the name of the module that defines the class ``target``.

    Raises:
        TargetError: As :func:`read_signature`, and if the target is a function.
    """
    owner, statement = _definition(target)
    if not isinstance(statement, ast.ClassDef):
        raise TargetError("must name a class, not a function", "name a class")
    return owner.name


def _definition(target: str) -> tuple[Module, ast.ClassDef | ast.FunctionDef]:
    module_name, _, name = target.rpartition(".")
    _refuse_foreign(module_name, None)
    module = find_module(module_name) if module_name else None
    if module is None:
        raise TargetError(f"there is no module {module_name!r}", _nearest_module(module_name))
    owner, statement = module.lookup(name) or (module, None)
    _refuse_foreign(owner.name, owner.path)
    if not isinstance(statement, ast.ClassDef | ast.FunctionDef):
        own = [key for key, bound in module.names.items() if isinstance(bound, ast.ClassDef | ast.FunctionDef)]
        raise TargetError(f"module {module_name!r} has no class or function {name!r}", nearest(name, own))
    return owner, statement


def _refuse_foreign(module: str, path: Path | None) -> None:
    if owner := owner_of(module, path):
        raise TargetError(f"{module!r} belongs to {owner}", "name a class of seasonrec or of a module of your own")


def _nearest_module(name: str) -> str:
    package_name = name.rpartition(".")[0]
    package = find_module(package_name) if package_name else None
    if package is None:
        return UNKNOWN
    paths = [path for path in package.path.parent.iterdir() if path.suffix == ".py" or path.is_dir()]
    siblings = [f"{package_name}.{path.stem}" for path in paths if not path.stem.startswith("_")]
    return nearest(name, siblings) if siblings else UNKNOWN


def _function_arguments(module: Module, function: ast.FunctionDef) -> Iterator[Argument]:
    spec = function.args
    positional = [*spec.posonlyargs, *spec.args]
    defaults = [None] * (len(positional) - len(spec.defaults)) + list(spec.defaults)
    for argument, default in zip(positional, defaults, strict=True):
        yield Argument(argument.arg, module, argument.annotation, default)
    for argument, keyword_default in zip(spec.kwonlyargs, spec.kw_defaults, strict=True):
        yield Argument(argument.arg, module, argument.annotation, keyword_default, keyword_default is None)


def _class_arguments(module: Module, node: ast.ClassDef) -> list[Argument] | None:
    """Returns the arguments of a class's ``__init__``, dataclass fields or bases; None where it has none of these."""
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            return list(_function_arguments(module, statement))[1:]
    inherited = [arguments for base in node.bases if (arguments := _base_arguments(module, base)) is not None]
    decorator = next((entry for entry in node.decorator_list if name_of(entry) == "dataclass"), None)
    if decorator is None:
        return inherited[0] if inherited else None
    merged = {argument.name: argument for arguments in reversed(inherited) for argument in arguments}
    merged.update({argument.name: argument for argument in _fields(module, node, _flag(decorator, "kw_only", False))})
    return list(merged.values())


def _base_arguments(module: Module, base: ast.expr) -> list[Argument] | None:
    name = base.value if isinstance(base, ast.Subscript) else base  # Base[T]
    found = module.lookup(name.id) if isinstance(name, ast.Name) else None
    if found is None or not isinstance(found[1], ast.ClassDef):
        return None
    return _class_arguments(found[0], found[1])


def _fields(module: Module, node: ast.ClassDef, keyword_only: bool) -> Iterator[Argument]:
    for statement in node.body:
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
            continue
        kind = name_of(statement.annotation)
        if kind == "KW_ONLY":
            keyword_only = True
        elif kind != "ClassVar" and _flag(statement.value, "init", True):
            default = _field_default(statement.value)
            by_keyword = _flag(statement.value, "kw_only", keyword_only)
            name = statement.target.id
            yield Argument(name, module, statement.annotation, default, by_keyword and default is None)


def _field_default(value: ast.expr | None) -> ast.expr | None:
    if not isinstance(value, ast.Call) or name_of(value) != "field":
        return value
    given = {keyword.arg: keyword.value for keyword in value.keywords}
    factory = given.get("default_factory")
    if isinstance(factory, ast.Lambda):
        return factory.body
    if isinstance(factory, ast.Name) and factory.id in {"list", "tuple", "dict"}:
        return ast.Dict([], []) if factory.id == "dict" else ast.List([])
    return factory or given.get("default")


def _flag(call: ast.expr | None, name: str, default: bool) -> bool:
    """Returns the literal keyword ``name`` of ``dataclass(...)`` or ``field(...)``."""
    if isinstance(call, ast.Call) and name_of(call) in {"dataclass", "field"}:
        for keyword in call.keywords:
            if keyword.arg == name and isinstance(keyword.value, ast.Constant):
                return bool(keyword.value.value)
    return default
