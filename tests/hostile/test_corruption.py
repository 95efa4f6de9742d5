"""Corrupted files of every kind: each is refused by name, or told and made again; none is read in silence."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from random import Random

import pytest
from made import KINDS, READERS, Made, make, outcome

ALL = [(name, kind) for name, kind in product(READERS, KINDS)]
SAMPLE = 40


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("corrupted") / "root")


def sample() -> list[tuple[str, str]]:
    """Returns every kind of file once, and further cases up to the size of the sample."""
    random = Random(0)
    first = [(name, KINDS[place % len(KINDS)]) for place, name in enumerate(READERS)]
    return first + random.sample([case for case in ALL if case not in first], SAMPLE - len(first))


def test_a_sample_of_corruptions_is_told_or_refused(made: Made) -> None:
    found = {f"{kind} of {name}": outcome(made, name, kind, seed) for seed, (name, kind) in enumerate(sample())}
    assert {case: text for case, text in found.items() if text not in ("refused", "told")} == {}


def test_a_finished_walk_without_its_record_is_no_walk_that_is_still_going(made: Made) -> None:
    """Its digests say that there was a record; without them a walk without a record is not finished."""
    assert outcome(made, "record.json of a walk", "gone", seed=0) == "refused"


@pytest.mark.soak
def test_three_hundred_corruptions_are_told_or_refused(made: Made) -> None:
    flips = [(name, kind) for name, kind in ALL if kind in ("flip", "cut")]
    cases = [*ALL, *flips, *flips, *flips][:300]
    assert len(cases) == 300
    found = [outcome(made, name, kind, seed) for seed, (name, kind) in enumerate(cases, start=1000)]
    assert [text for text in found if text not in ("refused", "told")] == []


def test_the_files_are_read_as_they_were_written(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    for name, (read, _) in READERS.items():
        assert read(made) is not ..., name
    assert "damaged" not in capsys.readouterr().out
    assert not list(Path(made.root).rglob(".seasonrec-*"))
