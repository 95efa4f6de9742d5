"""Overrides as users and other tools write them: paths, signs, synonyms, sweeps."""

from __future__ import annotations

import shlex

import pytest

from seasonrec.config import Composer
from seasonrec.config.meant import SYNONYMS, _keys
from seasonrec.config.overrides import CheckedOverrides, check_overrides
from seasonrec.config.signatures import read_signature

FILES = (
    "E (1).csv",
    "é.csv",
    "a=b.csv",
    "a#b.csv",
    "日本.csv",
    "it's.csv",
    "50% off, new.csv",
    "C:\\d\\e.csv",
    "a b.csv",
)


@pytest.mark.parametrize("file", FILES)
def test_a_path_works_or_its_quoting_is_printed(composer: Composer, file: str) -> None:
    """Whoever follows the printed line has the path as it is."""
    line = f"data.events={file}"
    checked = _checked(composer, line)
    if checked.mistakes:
        remedy = checked.mistakes[0].remedy
        line, *rest = shlex.split(remedy[remedy.index("write ") + len("write ") :].partition(";")[0])
        assert rest == []
        checked = _checked(composer, line)
    assert checked.mistakes == ()
    override = checked.accepted[-1]
    assert override.value() == file or override.value().text == file


def _checked(composer: Composer, line: str) -> CheckedOverrides:
    return check_overrides(["data=table", line], read_signature(composer.schema), composer.tree)


def test_an_unreadable_path_is_one_mistake(composer: Composer) -> None:
    found = composer.mistakes(["data=table", "data.events=[a].csv"])
    assert len(found) == 1, "a missing data.events would be false"
    assert "for a text, write data.events=\"'[a].csv'\"" in str(found[0])


SIGNS = {
    "+trainer.max_epochs=2": [
        "+trainer.max_epochs=2: '+' adds keys that no signature knows; write trainer.max_epochs=2"
    ],
    "+trainer.accumulate_grad_batches=2": [
        "trainer.accumulate_grad_batches = 2: unknown key of seasonrec.training.fit.TrainerOptions; did you mean "
        "'accumulate_batches'?"
    ],
    "--optimizer.learning_rate=0.001": [
        "--optimizer.learning_rate=0.001: a key is written without dashes; write optimizer.learning_rate=0.001; in a "
        "sweep of W&B, write ${args_no_hyphens} instead of ${args}"
    ],
    "--lr=0.001": [
        "lr = 0.001: unknown key, neither a value nor a group; did you mean 'optimizer.learning_rate'?",
    ],
}


@pytest.mark.parametrize("line", SIGNS)
def test_a_sign_is_told_only_if_the_key_is_right(composer: Composer, line: str) -> None:
    assert [str(mistake) for mistake in composer.mistakes([line])] == SIGNS[line]


MEANT = {
    "lr=1": "'optimizer.learning_rate'",
    "model=sasrec": "'backbone'",
    "epochs=3": "'trainer.max_epochs'",
    "batch_size=64": "'loader.batch_size'",
    "max_len=9": "'max_seq_len'",
    "dataset=table": "'data'",
    "num_layers=2": "'backbone.num_layers' or 'peft.num_layers' or 'temporal.num_layers'",
    "num_headz=2": "'backbone.num_heads'",
    "gradient_clip_norn=1": "'trainer.gradient_clip_norm'",
    "sead=1": "'seed'",
    "trainer.lr=1": "'optimizer.learning_rate'",
    "loader.batchsize=1": "'batch_size'",
}


def test_synonyms_and_keys_of_all_groups_are_found(composer: Composer) -> None:
    found = [str(mistake) for mistake in composer.mistakes(list(MEANT))]
    assert len(found) == len(MEANT)
    for line, meant in MEANT.items():
        key = line.partition("=")[0]
        assert any(one.startswith(f"{key} = ") and one.endswith(f"did you mean {meant}?") for one in found), line


def test_every_synonym_is_a_key_or_a_group(composer: Composer) -> None:
    known = {*composer.keys(), *_keys(composer.tree, composer.keys())}
    assert set(SYNONYMS.values()) <= known
    assert not set(SYNONYMS) & set(composer.keys()), "a synonym that is a key would never be looked up"


SWEEPS = {
    "optimizer.learning_rate=interval(1e-4,1e-2)": "an interval needs a sweeper that searches; write values",
    "optimizer.learning_rate=tag(log,interval(1e-4,1e-2))": "an interval needs a sweeper that searches",
    "hydra.sweeper.params.embedding_dim=choice(16,32)": "needs a sweeper that searches, and none is chosen",
    "+hydra.sweeper.params.seed=1": "needs a sweeper that searches, and none is chosen",
    "hydra/sweeper=optuna": "there is no such sweeper",
}


@pytest.mark.parametrize("line", SWEEPS)
def test_a_search_without_its_sweeper_is_one_sentence(composer: Composer, line: str) -> None:
    found = composer.mistakes([line], multirun=True)
    assert len(found) == 1
    assert SWEEPS[line] in str(found[0])


def test_an_interval_is_left_to_a_sweeper_that_is_chosen(composer: Composer) -> None:
    lines = ["hydra/sweeper=mine", "optimizer.learning_rate=interval(1e-4,1e-2)"]
    checked = check_overrides(lines, read_signature(composer.schema), composer.tree, multirun=True)
    assert checked.mistakes == ()
    assert checked.jobs(composer.tree)[0][-1] == "++optimizer.learning_rate=0.0001", "its start is checked"
