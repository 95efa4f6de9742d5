"""Hydra's grammar of overrides: quoting, texts that it cannot read, ``glob(...)``, and signs that it would take."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override
from hydra.errors import HydraException

from seasonrec.config.errors import Mistake, nearest, shown
from seasonrec.config.tree import ConfTree

WANDB = "in a sweep of W&B, write ${args_no_hyphens} instead of ${args}"
"""Remedy for keys with dashes, which a sweep of W&B writes by default."""

_KEY = re.compile(r"[~+]*[\w./@]+")
_OPEN = ("'", '"', "[", "{")
"""Beginnings of values that have an end of their own, which may be missing."""


@dataclass(frozen=True)
class Signed:
    """An override without a sign that the user wrote before it.

    Args:
        line: The override without ``+``, ``++`` or ``--``.
        mistake: The mistake of the sign, or None without one.
    """

    line: str
    mistake: Mistake | None = None

    @classmethod
    def of(cls, line: str) -> Signed:
        """Separates the sign of an override."""
        bare = line.lstrip("+-")
        if line.startswith("--"):
            return cls(bare, Mistake(line, "a key is written without dashes", f"write {_shell(bare)}; {WANDB}"))
        if line.startswith("+") and not bare.startswith(("hydra.", "hydra/")):
            return cls(bare, Mistake(line, "'+' adds keys that no signature knows", f"write {_shell(bare)}"))
        return cls(line)


def quoted(value: str) -> str:
    """Returns any text in quotes, as Hydra's grammar of overrides reads it.

    Inside quotes, a backslash is an escape only in a row of backslashes that ends at a quote.
    """
    return "'" + re.sub(r"(\\*)('|\Z)", lambda met: 2 * met[1] + ("\\'" if met[2] else ""), value) + "'"


def as_text(override: Override) -> str:
    """Returns an override as a shell takes it, with its value in quotes, so that Hydra reads it as one text."""
    key, _, value = str(override.input_line).partition("=")
    return _shell(f"{key}={quoted(value)}")


def parse(line: str, tree: ConfTree) -> tuple[Override | None, list[Mistake]]:
    """Parses an override and replaces ``glob(...)`` by the options that it matches.

    A value that Hydra's grammar cannot read, such as a path with blanks or letters beyond ASCII, is a text; without a
    quote or bracket at its beginning it can be nothing else.
    """
    try:
        override = _parsed(line)
        glob = override.value()
        if not isinstance(glob, Glob):
            return override, []
        key = str(override.key_or_group)
        options = glob.filter(tree.options(key))
        if options:
            return _parsed(f"{override.get_key_element()}={','.join(options)}"), []
        remedy = nearest("", tree.options(key)) if tree.options(key) else f"write {key}=VALUE,VALUE"
        return None, [Mistake(key, "a glob that matches no option", remedy, shown_value(override))]
    except HydraException as error:
        reason = " ".join(str(error).partition("\n")[0].split())
        return None, [Mistake(line, f"not a Hydra override ({reason})", _remedy(line))]


def _parsed(line: str) -> Override:
    parser = OverridesParser.create()
    try:
        return parser.parse_override(line)
    except HydraException:
        key, equals, value = line.partition("=")
        if not equals or not _KEY.fullmatch(key) or value.lstrip().startswith(_OPEN):
            raise
        return parser.parse_override(f"{key}={quoted(value)}")


def _remedy(line: str) -> str:
    key, equals, value = line.partition("=")
    if not equals or not _KEY.fullmatch(key):
        return "write key=value or group=option"
    return f"for a text, write {_shell(f'{key}={quoted(value)}')}; for a list, close every bracket and quote"


def _shell(line: str) -> str:
    """Returns an override as a shell takes it."""
    key, _, value = line.partition("=")
    if not re.search(r"[^\w.,=/@:+\-\[\]]", line):
        return line
    return shlex.quote(line) if re.search(r'["$`\\!]', value) else f'{key}="{value}"'


def shown_value(override: Override) -> str:
    """Returns the value of an override as written."""
    text = str(override.input_line).partition("=")[2]
    return text if override.is_sweep_override() or isinstance(override.value(), str) else shown(override.value())
