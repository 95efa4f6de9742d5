"""Packages of others, whose classes are no components."""

from __future__ import annotations

import re
import sys
import sysconfig
from functools import cache
from importlib.metadata import packages_distributions, requires
from pathlib import Path


def owner_of(module: str, path: Path | None) -> str | None:
    """Returns whose module it is, as words for a message; None for seasonrec and the user's own modules.

    The user's own are modules on ``PYTHONPATH``, and installed packages that require seasonrec.

    Args:
        module: Dotted name.
        path: Its file; None for a module that was not found.
    """
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names:
        return "Python's standard library, which holds no components"
    installed = {Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib")}
    if top == "seasonrec" or path is None or installed.isdisjoint(path.resolve().parents):
        return None
    for package in _distributions().get(top, []):
        names = (re.split(r"[^\w.-]", line, maxsplit=1)[0].lower() for line in requires(package) or [])
        if "seasonrec" in names:
            return None
    return f"the package {top}, which does not build on seasonrec"


@cache
def _distributions() -> dict[str, list[str]]:
    return dict(packages_distributions())
