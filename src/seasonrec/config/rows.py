"""Rows of a study as overrides; the changes of most rows follow from their names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from seasonrec.config.errors import Mistake, nearest, shown
from seasonrec.config.overrides import override_key
from seasonrec.config.schema import ABLATION_MAY_SET
from seasonrec.config.tree import LIST_GROUPS, ConfTree

REFERENCE_ROW = "full"
"""The row without a change."""

SECTIONS = {
    "item_encoder": "id",
    "behaviour": "none",
    "backbone": "none",
    "peft": "none",
    "temporal": "none",
    "season": "[]",
    "demand": "none",
    "habit": "none",
    "mixture": "none",
    "task": "[]",
    "domain": "[]",
    "adversarial": "none",
    "augmentation": "none",
    "text_augmentation": "none",
}
"""Sections of the method with the option that switches each off."""

CORE = ("item_encoder", "backbone")
"""Sections that ``only`` keeps, because every model needs them."""

NO_SECTIONS = frozenset(
    {
        "data", "split", "protocol", "loader", "head", "sharing", "objective", "balancing", "loss", "optimizer",
        "stage", "trainer", "logger",
    }
)  # fmt: skip
"""Slots that no row switches off."""

PSEUDO = ("only", "without")
"""Keys of a row that stand for several overrides."""


def named(entry: object) -> tuple[str, list[str] | None]:
    """Returns the name of a row and its changes, or None as changes where :func:`changes_of` derives them.

    Args:
        entry: ``name``, ``{name: [overrides]}``, ``{only: [sections]}`` or ``{without: [sections]}``.
    """
    if not isinstance(entry, Mapping):
        return str(entry), None
    (name, changes), *_ = entry.items()
    changes = [str(change) for change in changes]
    if name in PSEUDO:
        return "_".join([str(name), *changes]).replace(".", "_"), [f"{name}=[{','.join(changes)}]"]
    return str(name), changes


def changes_of(name: str, tree: ConfTree) -> list[str] | None:
    """Returns the changes that a row's name stands for, or None where the name is unknown.

    Names are ``full``, ``no_SECTION``, ``no_SECTION_ENTRY`` for an entry of a list, ``slot=option``, and the names of
    the files in ``conf/ablation``.
    """
    if name == REFERENCE_ROW:
        return []
    if name in tree.options("ablation"):
        return [f"ablation={name}"]
    slot, equals, options = name.partition("=")
    if equals and slot in tree.groups() and slot in ABLATION_MAY_SET:
        chosen = options.strip("[]").split(",") if slot in LIST_GROUPS else [options]
        return [name] if all(option in tree.options(slot) for option in chosen) or options == "[]" else None
    section = name.removeprefix("no_")
    if section == name:
        return None
    if section in SECTIONS:
        return [f"{section}={SECTIONS[section]}"]
    whole, entry = next(
        ((s, section[len(s) + 1 :]) for s in LIST_GROUPS if section.startswith(f"{s}_") and s in ABLATION_MAY_SET),
        ("", ""),
    )
    return [f"without=[{whole}.{entry}]"] if entry in tree.options(whole) else None


def row_mistakes(entry: object, place: str, tree: ConfTree) -> Iterator[Mistake]:
    """Yields the mistakes in a row of a study file."""
    if isinstance(entry, Mapping) and (len(entry) != 1 or not isinstance(next(iter(entry.values())), list)):
        yield Mistake(place, "a row with changes is NAME: [overrides]", "write - NAME: [slot=option]", shown(entry))
        return
    name, changes = named(entry)
    if "/" in name or name.startswith("."):
        yield Mistake(place, "a row's name is a folder's name", "take '/' and a leading '.' out", shown(name))
    if changes is None and changes_of(name, tree) is None:
        known = [REFERENCE_ROW, *(f"no_{section}" for section in SECTIONS), *tree.options("ablation")]
        problem = "no such row: a name must say its change, as no_season or temporal=gru"
        group, _, option = name.partition("=")
        remedy = f"{nearest(name, known)} or write {name}: [slot=option]"
        if tree.options(group):
            remedy = f"{group}: {nearest(option, tree.options(group))}"
        yield Mistake(place, problem, remedy, shown(name))
    for change in changes or ():
        key, top = override_key(change), override_key(change).partition(".")[0]
        if key in PSEUDO:
            for section in _listed(change):
                if section.partition(".")[0] not in SECTIONS:
                    yield Mistake(place, f"no such section in {change}", nearest(section, SECTIONS), shown(section))
        elif top not in ABLATION_MAY_SET:
            problem = "a row must not touch it, or the rows of a table could not be compared"
            yield Mistake(f"{place}: {key}", problem, f"a row may set {', '.join(sorted(ABLATION_MAY_SET))}")


def overrides_of(changes: Sequence[str], full: Mapping[str, Any]) -> list[str]:
    """Returns a row's changes as Hydra overrides.

    ``only`` and ``without`` become overrides of single sections; an override of the same key beside them wins.

    Args:
        changes: Changes from :func:`named` or :func:`changes_of`.
        full: The plain configuration of the study's full row.

    Raises:
        ValueError: If ``without`` names an entry that the full row does not have.
    """
    written: dict[str, str] = {}
    for change in changes:
        key = override_key(change)
        if key == "only":
            gone = [section for section in SECTIONS if section not in (*CORE, *_listed(change))]
            written |= {section: f"{section}={SECTIONS[section]}" for section in gone}
        elif key == "without":
            written |= {override_key(line): line for line in _without(_listed(change), full)}
    plain = {override_key(change): change for change in changes if override_key(change) not in PSEUDO}
    return list((written | plain).values())


def _without(sections: Sequence[str], full: Mapping[str, Any]) -> Iterator[str]:
    gone: dict[str, list[str]] = {}
    for section in sections:
        slot, _, entry = section.partition(".")
        gone.setdefault(slot, []).append(entry)
    for slot, entries in gone.items():
        had = list(full.get(slot) or {}) if slot in LIST_GROUPS else []
        for entry in entries:
            if entry and entry not in had:
                raise ValueError(f"without={slot}.{entry}: the full row has {slot}={had}; name one of its entries.")
        kept = [name for name in had if name not in entries]
        yield f"{slot}={SECTIONS[slot]}" if "" in entries else f"{slot}=[{','.join(kept)}]"


def _listed(change: str) -> list[str]:
    return [entry.strip() for entry in change.partition("=")[2].strip("[]").split(",") if entry.strip()]
