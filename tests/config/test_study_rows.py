"""Rows of a study: derived names, pseudo-overrides, and what a row must not touch."""

from dataclasses import fields

import pytest

from seasonrec.config import ConfTree, compose
from seasonrec.config.rows import NO_SECTIONS, SECTIONS, changes_of, named, overrides_of, row_mistakes
from seasonrec.config.schema import RunConfig

FULL = {"season": {"momentum": {}, "calendar": {}, "text": {}}, "task": {"demand": {}}}
TREE = ConfTree.of()


def test_every_slot_is_a_section_or_known_to_be_none() -> None:
    """A new section must join the list by which rows switch sections off."""
    slots = {field.name for field in fields(RunConfig) if "Component" in str(field.type)}
    assert slots == set(SECTIONS) | NO_SECTIONS
    assert not set(SECTIONS) & NO_SECTIONS


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_can_be_switched_off(section: str) -> None:
    option = SECTIONS[section]
    assert option == "[]" or option in TREE.options(section)
    assert changes_of(f"no_{section}", TREE) == [f"{section}={option}"]


@pytest.mark.parametrize(
    ("entry", "name", "overrides"),
    [
        ("full", "full", []),
        ("no_season", "no_season", ["season=[]"]),
        ("no_season_text", "no_season_text", ["season=[momentum,calendar]"]),
        ("temporal=gru", "temporal=gru", ["temporal=gru"]),
        ("task=purchase", "task=purchase", ["task=purchase"]),
        ("task=[purchase,demand]", "task=[purchase,demand]", ["task=[purchase,demand]"]),
        ({"without": ["season", "peft"]}, "without_season_peft", ["season=[]", "peft=none"]),
        (
            {"mine": ["without=season.text", "item_encoder=id"]},
            "mine",
            ["season=[momentum,calendar]", "item_encoder=id"],
        ),
        ({"gentle": ["optimizer=gentle", "habit.hidden_dim=8"]}, "gentle", ["optimizer=gentle", "habit.hidden_dim=8"]),
    ],
)
def test_a_row_becomes_overrides(entry: object, name: str, overrides: list[str]) -> None:
    assert list(row_mistakes(entry, "rows[0]", TREE)) == []
    found, changes = named(entry)
    assert found == name
    assert overrides_of(changes_of(name, TREE) if changes is None else changes, FULL) == overrides


def test_only_keeps_the_core_and_what_it_names() -> None:
    name, changes = named({"only": ["habit"]})
    assert name == "only_habit"
    kept = {"item_encoder", "backbone", "habit"}
    assert overrides_of(changes, FULL) == [f"{s}={off}" for s, off in SECTIONS.items() if s not in kept]
    assert "backbone=sasrec" in overrides_of([*changes, "backbone=sasrec"], FULL)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("no_seson", "no such row: a name must say its change, as no_season or temporal=gru; did you mean 'no_season'"),
        (
            "temporal=gruu",
            "no such row: a name must say its change, as no_season or temporal=gru; temporal: did you mean 'gru'?",
        ),
        ({"longer": ["trainer.max_epochs=9"]}, "rows[0]: trainer.max_epochs: a row must not touch it"),
        ({"other": ["data=synthetic"]}, "rows[0]: data: a row must not touch it"),
        ({"only": ["habits"]}, "no such section in only=[habits]; did you mean 'habit'?"),
        ({"a": ["temporal=gru"], "b": []}, "a row with changes is NAME: [overrides]"),
        ({"../up": ["temporal=gru"]}, "a row's name is a folder's name"),
    ],
)
def test_a_wrong_row_is_told(entry: object, told: str) -> None:
    assert told in "\n".join(map(str, row_mistakes(entry, "rows[0]", TREE)))


def test_an_entry_that_is_not_there_cannot_go() -> None:
    with pytest.raises(
        ValueError, match=r"without=season.last_year: the full row has season=\['momentum', 'calendar', 'text'\]"
    ):
        overrides_of(["without=season.last_year"], FULL)


def test_a_derived_row_differs_in_its_slot_alone() -> None:
    base = ["experiment=first_season", "text_augmentation=synonym", "backbone=minilm", "peft=lora"]
    full = compose(base).as_dict()
    for section in set(SECTIONS) - {"backbone", "item_encoder"}:
        own = overrides_of(changes_of(f"no_{section}", TREE) or [], full)
        kept = [line for line in base if line.partition("=")[0] != own[0].partition("=")[0]]
        row = compose([*kept, *own]).as_dict()
        assert {key for key in full if full[key] != row[key]} <= {section}
