"""Check of all overrides of a command line at once; Hydra itself would stop at the first mistake."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, product

from hydra.core.override_parser.types import Override, OverrideType, QuotedString

from seasonrec.config.errors import Mistake, nearest
from seasonrec.config.files import choice_mistakes, overridden_groups
from seasonrec.config.grammar import Signed, as_text, parse, shown_value
from seasonrec.config.meant import meant
from seasonrec.config.signatures import Signature
from seasonrec.config.tree import GLOBAL_GROUPS, LIST_GROUPS, ConfTree

MAX_CHECKED_JOBS = 256
"""Jobs of a multirun that are checked before the first starts; each is checked again as it starts."""

SEVERAL = "several values need --multirun"
"""Problem of an override with several values outside of a multirun."""

STUDY_KEYS = ("experiment", "ablation", "seed", "name", "group", "run_dir", "baselines")
"""Keys of a run that a study sets for each of its cells."""

SWEEPER_PARAMS = "hydra.sweeper.params"
"""Key of the values that a sweeper tries."""

NEEDED_LISTS = {"stage": "train", "forecaster": "seasonal_naive"}
"""Lists that may not be empty, with an entry to name."""


def override_key(override: str) -> str:
    """Returns the key or group that an override sets."""
    return override.partition("=")[0].lstrip("+~-").strip()


@dataclass(frozen=True)
class CheckedOverrides:
    """Accepted overrides, and the mistakes in the others.

    Args:
        accepted: Overrides without a mistake.
        mistakes: Mistakes in the other overrides.
        signs: Mistakes of signs before overrides by key; a further mistake of the key is told instead of its sign.
        unclear: Top-level keys of refused overrides; the keys below them cannot be checked.
    """

    accepted: tuple[Override, ...]
    mistakes: tuple[Mistake, ...]
    unclear: frozenset[str]
    signs: dict[str, Mistake] = field(default_factory=dict)

    def jobs(self, tree: ConfTree) -> list[list[str]]:
        """Returns the override lists of all jobs for Hydra; a multirun has a job for each combination of values."""
        choices = [_variants(override, tree) for override in self.accepted]
        return [list(job) for job in islice(product(*choices), MAX_CHECKED_JOBS)]


def check_overrides(
    lines: Sequence[str], schema: Signature, tree: ConfTree, multirun: bool = False
) -> CheckedOverrides:
    """Checks each override by itself, then that no two set the same key.

    Args:
        lines: Overrides as written on the command line, also with dashes before the key.
        schema: Signature of the command's top level.
        tree: Groups and options.
        multirun: Whether one key may take several values.
    """
    accepted: list[Override] = []
    mistakes: list[Mistake] = []
    unclear: set[str] = set()
    signs: dict[str, Mistake] = {}
    for signed in map(Signed.of, lines):
        override, found = parse(signed.line, tree)
        if override is not None:
            found += _override_mistakes(override, schema, tree, multirun)
        mistakes += found
        if override is not None and not found:
            accepted.append(override)
            signs |= {str(override.key_or_group): signed.mistake} if signed.mistake else {}
        else:
            unclear.add(override_key(signed.line).partition(".")[0])
    mistakes += [*_twice(accepted, tree), *_without_sweeper(lines, accepted, multirun)]
    unclear |= {"hydra"} if any(mistake.path.startswith(SWEEPER_PARAMS) for mistake in mistakes) else set()
    kept = [override for override in accepted if override.key_or_group.partition(".")[0] not in unclear]
    return CheckedOverrides(tuple(kept), tuple(mistakes), frozenset(unclear), signs)


def for_hydra(override: Override, tree: ConfTree) -> str:
    """Returns the override in the form that Hydra needs.

    Defaults stand in signatures and not in yaml, so Hydra does not know all keys; ``++`` sets a key in any case, and
    the preflight has checked that it exists. Hydra refuses ``ablation=null`` and takes an empty list of options.
    """
    values = _values(override) if override.key_or_group in GLOBAL_GROUPS else []
    if None in values:
        return f"{override.key_or_group}={','.join('[]' if value is None else str(value) for value in values)}"
    return f"{_plus(override, tree)}{override.input_line}"


def _plus(override: Override, tree: ConfTree) -> str:
    is_key = override.type == OverrideType.CHANGE and not _is_hydra(override) and not _is_group(override, tree)
    return "++" if is_key else ""


def _is_hydra(override: Override) -> bool:
    return str(override.key_or_group).startswith(("hydra.", "hydra/"))


def _override_mistakes(override: Override, schema: Signature, tree: ConfTree, multirun: bool) -> list[Mistake]:
    if _is_hydra(override):
        return []
    key, line = str(override.key_or_group), str(override.input_line)
    mistakes = [*_sign_mistakes(override, tree), *_sweep_mistakes(override, multirun)]
    groups = tree.groups_of(schema.arguments)
    if key in groups:
        return mistakes + list(_option_mistakes(override, tree))
    slots = [group for group in groups if group in schema.arguments]
    top = key.partition(".")[0]
    if "/" in key or override.package is not None:
        mistakes.append(Mistake(line, f"there is no group {key!r}", nearest(key, groups)))
    elif top not in schema.arguments:
        names = {*schema.arguments, *groups}
        problem = "unknown key, neither a value nor a group"
        mistakes.append(Mistake(key, problem, meant(key, names, tree), shown_value(override)))
    elif "." in key and top not in slots:
        problem = f"{top!r} is a single value without keys of its own"
        mistakes.append(Mistake(key, problem, f"write {top}=...", shown_value(override)))
    return mistakes


def _sign_mistakes(override: Override, tree: ConfTree) -> Iterator[Mistake]:
    key, line = str(override.key_or_group), str(override.input_line)
    if override.type == OverrideType.DEL:
        top, _, entry = key.partition(".")
        remedy = f"write {top}=[A,B] without {entry}" if top in LIST_GROUPS else f"write {key}=..., or take it out"
        options = tree.options(key)
        yield Mistake(line, "'~' is not supported", _off(key, options) if options else remedy)


def _without_sweeper(lines: Sequence[str], overrides: list[Override], multirun: bool) -> Iterator[Mistake]:
    """Yields what Hydra's own sweeper cannot do, where no other sweeper is chosen."""
    if any(override_key(line) == "hydra/sweeper" for line in lines):
        return
    remedy = "write values with commas, or choose a sweeper that searches, for example hydra/sweeper=optuna"
    for override in overrides:
        key = str(override.key_or_group)
        if key.startswith(SWEEPER_PARAMS):
            yield Mistake(key, "needs a sweeper that searches, and none is chosen", remedy, shown_value(override))
        elif multirun and override.is_sweep_override() and not override.is_discrete_sweep():
            yield Mistake(key, "an interval needs a sweeper that searches", remedy, shown_value(override))


def _sweep_mistakes(override: Override, multirun: bool) -> Iterator[Mistake]:
    if override.is_sweep_override() and override.key_or_group == "run_dir":
        remedy = "give one; each job gets a folder in it, or write run_dir='DIR/${name}/${seed}'"
        yield Mistake("run_dir", "cannot take several values", remedy, shown_value(override))
    elif override.is_sweep_override() and not multirun:
        key = str(override.key_or_group)
        remedy = f"add --multirun, or for a text with a comma write {as_text(override)}"
        if key in LIST_GROUPS:
            remedy = f"write {key}=[{shown_value(override)}] for all of them, or add --multirun for one each"
        yield Mistake(key, SEVERAL, remedy, shown_value(override))


def _option_mistakes(override: Override, tree: ConfTree) -> Iterator[Mistake]:
    group = str(override.key_or_group)
    options = tree.options(group)
    if override.type == OverrideType.DEL:
        return
    if override.is_sweep_override() and not override.is_discrete_sweep():
        yield Mistake(group, "takes options, not an interval", nearest("", options), shown_value(override))
    for value in _values(override):
        if value is None and group in GLOBAL_GROUPS:
            continue
        if value is None:
            yield Mistake(group, "a slot cannot be null", _off(group, options), "null")
        elif group in LIST_GROUPS:
            yield from _list_mistakes(group, value if isinstance(value, list) else [value], tree)
        elif not isinstance(value, str) or value not in options:
            yield Mistake(group, "unknown option", nearest(str(value), options), str(value))
        else:
            yield from choice_mistakes(tree, group, value)


def _list_mistakes(group: str, entries: list[object], tree: ConfTree) -> Iterator[Mistake]:
    options = tree.options(group)
    names = ["null" if entry is None else str(_unquoted(entry)) for entry in entries]
    for name, count in Counter(names).items():
        if name not in options:
            yield Mistake(group, "unknown option", f"{nearest(name, options)}; {_off(group, options)}", name)
        elif count > 1:
            yield Mistake(group, f"names {name!r} {count} times", "name each once", str(names))
        else:
            yield from choice_mistakes(tree, group, name)


def _off(group: str, options: list[str]) -> str:
    """Returns the remedy for a slot that cannot be removed or null."""
    if group in NEEDED_LISTS:
        return f"write {group}=[{NEEDED_LISTS[group]}] at least"
    if group in LIST_GROUPS:
        return f"write {group}=[] for none"
    if group in GLOBAL_GROUPS:
        return f"write {group}=null for none"
    return f"write {group}=none to switch it off" if "none" in options else f"choose one of {', '.join(options)}"


def _unquoted(value: object) -> object:
    return value.text if isinstance(value, QuotedString) else value


def _values(override: Override) -> list[object]:
    if override.is_sweep_override():
        if not override.is_discrete_sweep():
            return []
        values: Iterable[object] = override.sweep_iterator()
    else:
        values = [override.value()]
    return [_unquoted(value) for value in values]


def _variants(override: Override, tree: ConfTree) -> list[str]:
    """Returns one line for each value of a sweep; a continuous sweep is checked at its start alone."""
    if not override.is_sweep_override():
        return [for_hydra(override, tree)]
    if override.key_or_group in GLOBAL_GROUPS:
        return [f"{override.key_or_group}={'[]' if value is None else value}" for value in _values(override)]
    key = f"{_plus(override, tree)}{override.get_key_element()}"
    if override.is_discrete_sweep():
        return [f"{key}={value}" for value in override.sweep_string_iterator()]
    return [f"{key}={override.value().start}"]


def _twice(overrides: list[Override], tree: ConfTree) -> Iterator[Mistake]:
    """Yields keys that are set twice, and slots that a chosen ablation sets too: the command line would win over it."""
    for key, count in Counter(_full_key(override) for override in overrides).items():
        if count > 1:
            values = ", ".join(shown_value(override) for override in overrides if _full_key(override) == key)
            yield Mistake(key, f"set {count} times", "keep one of them", values)
    named = {_full_key(override): override for override in overrides}
    for override in overrides:
        if override.key_or_group != "ablation":
            continue
        for value in _values(override):
            path = tree.file("ablation", str(value))
            for key in sorted((overridden_groups(path) if path else set()) & set(named)):
                problem = f"ablation={value} sets this slot already, and the command line would win over it"
                yield Mistake(key, problem, "take one of the two out", shown_value(named[key]))


def _full_key(override: Override) -> str:
    package = f"@{override.package}" if override.package is not None else ""
    return f"{override.key_or_group}{package}"


def _is_group(override: Override, tree: ConfTree) -> bool:
    return str(override.key_or_group) in tree.groups()
