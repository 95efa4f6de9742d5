"""Values of every key: the preflight refuses those that cannot be right, in one sentence and before any data."""

from __future__ import annotations

import re

import pytest
from made_values import settings

from seasonrec.config import Composer
from seasonrec.config.annotations import broken_limit, fits

SENTENCE = re.compile(r"\w+ = .+?: (must|each entry must) .+; (write|try|put|choose) .+", re.DOTALL)
SETTINGS = list(settings())
SLOTS = sorted({setting.slot for setting in SETTINGS})


@pytest.mark.parametrize("slot", SLOTS)
def test_an_impossible_value_is_told_in_one_sentence(slot: str) -> None:
    for setting in (setting for setting in SETTINGS if setting.slot == slot):
        for value in setting.impossible():
            found = setting.mistakes(value)
            assert len(found) == 1, f"{setting.signature.target}.{setting.name} = {value!r}: {found}"
            assert SENTENCE.fullmatch(str(found[0])), str(found[0])
            assert len(str(found[0])) < 400


def test_thousands_of_values_are_tried() -> None:
    assert sum(len(setting.impossible()) for setting in SETTINGS) > 3000


def test_every_number_has_a_range() -> None:
    """But ids that are numbers, which may be any."""
    numbers = [setting for setting in SETTINGS if setting.has_numbers and setting.name != "users"]
    assert len(numbers) > 200
    assert [f"{one.signature.target}.{one.name}" for one in numbers if one.kind == one.with_limits] == []


def test_every_default_lies_in_its_range() -> None:
    for setting in (setting for setting in SETTINGS if setting.argument.default is not None):
        default, argument = setting.argument.default_value(), setting.argument
        assert fits(default, argument.annotation, argument.module), setting
        problem = broken_limit(default, argument.annotation, argument.module, setting.others())
        assert problem is None or default == "", setting


def test_a_proposed_value_is_accepted() -> None:
    followed = 0
    for setting in SETTINGS:
        for value in setting.impossible():
            remedy = setting.mistakes(value)[0].remedy
            if remedy.startswith("try "):
                assert remedy.startswith(f"try {setting.name}=")
                assert setting.mistakes(setting.argument.default_value()) == []
                followed += 1
    assert followed > 1000


REFUSED = {
    "embedding_dim=16385": "embedding_dim = 16385: must be at most 16,384; try embedding_dim=64",
    "max_seq_len=1000000000": "max_seq_len = 1000000000: must be at most 100,000; try max_seq_len=50",
    "backbone.dropout=nan": "backbone.dropout = nan: must lie in [0, 1); try backbone.dropout=0.3",
    "head.dropout=1": "head.dropout = 1: must lie in [0, 1); try head.dropout=0.5",
    "optimizer.learning_rate=0": "optimizer.learning_rate = 0: must be above 0; try optimizer.learning_rate=0.002",
    "optimizer.pretrained_factor=inf": "optimizer.pretrained_factor = inf: must be at most 1,000,000; try",
    "optimizer.weight_decay=-1": "optimizer.weight_decay = -1: must be at least 0; try optimizer.weight_decay=0.01",
    "optimizer.betas=[0.9,1]": "optimizer.betas = [0.9, 1]: each entry must lie in [0, 1); try optimizer.betas=[0.9",
    "season.momentum.windows_days=[]": "season.momentum.windows_days = []: must have at least 1 entry; try",
    "habit.half_lives_days=[7.0,7.0]": "habit.half_lives_days = [7.0, 7.0]: must be distinct entries; try",
    "protocol.top_ks=[10,0]": "protocol.top_ks = [10, 0]: each entry must be at least 1; try protocol.top_ks=[1,5,",
    "seed=4294967296": "seed = 4294967296: must be at most 4294967295; try seed=0",
    "trainer.num_threads=100000": "trainer.num_threads = 100000: must be at most 1024; try trainer.num_threads=null",
    "protocol.horizon_days=-0.5": "protocol.horizon_days = -0.5: must be at least 0; try protocol.horizon_days=0.0",
    "cache_dir=''": "cache_dir = '': must be text, not empty; try cache_dir=null",
    "name=a/b": "name = 'a/b': is the name of a folder and must have no slash; write for example name=full",
    "split.test_fraction=0.95": "split.test_fraction = 0.95: must leave a part for training together with split.val",
}
ACCEPTED = (
    "embedding_dim=16384", "max_seq_len=1", "backbone.dropout=0", "seed=4294967295", "trainer.num_threads=null",
    "protocol.horizon_days=null", "optimizer.weight_decay=0", "protocol.top_ks=[1]",
)  # fmt: skip


def test_ends_of_ranges_through_the_grammar(composer: Composer) -> None:
    found = [str(mistake) for mistake in composer.mistakes(list(REFUSED))]
    assert len(found) == len(REFUSED)
    for message in REFUSED.values():
        assert any(one.startswith(message) for one in found), (message, found)
    assert composer.mistakes(ACCEPTED) == []


RELATIONS = {
    "a rank above another": (["backbone=minilm", "peft=adalora", "peft.target_rank=12"], "peft.target_rank = 12: must"),
    "more layers than the model has": (
        ["backbone=minilm", "backbone.num_layers=7"],
        "backbone.num_layers = 7: must be at most 6, the layers of minilm; write null for all of them",
    ),
    "more events than the model has positions": (
        ["backbone=minilm", "max_seq_len=512"],
        "max_seq_len = 512: needs 513 positions, and minilm has 512; write at most 511",
    ),
    "no operator is drawn": (
        ["augmentation=several", "augmentation.weights=[0,0,0,0,0]"],
        "augmentation.weights = [0, 0, 0, 0, 0]: must not all be 0; write [1,1,1,0,0]",
    ),
    "nothing is learned": (
        ["balancing.weights={next_item: 0}"],
        "balancing.weights = {'next_item': 0}: must not all be 0, nothing would be learned",
    ),
    "behaviours of a data set without": (
        ["behaviour=embedding", "data=synthetic"],
        "behaviour = embedding: needs events with behaviours, and data=synthetic has none; set behaviour=none, or",
    ),
    "features of a data set without": (
        ["item_encoder=features"],
        "item_encoder = features: needs items with features, and data=complete_journey has none; choose",
    ),
}


@pytest.mark.parametrize("kind", RELATIONS)
def test_values_that_do_not_go_together(composer: Composer, kind: str) -> None:
    overrides, message = RELATIONS[kind]
    assert any(str(mistake).startswith(message) for mistake in composer.mistakes(overrides)), kind


def test_the_generator_sees_base_classes_and_dataclasses() -> None:
    seen = {(setting.slot, setting.name) for setting in SETTINGS}
    assert {("mixture", "penalty"), ("adaptation", "epochs"), ("forecast", "quantiles"), ("prepare", "seed")} <= seen
