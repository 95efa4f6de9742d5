"""Tests of the differences between two configurations."""

from seasonrec.config.difference import differences

GRU = {"_target_": "seasonrec.models.temporal.gru.GRUTemporal", "num_layers": 1}
NONE = {"_target_": "seasonrec.models.temporal.none.NoTemporal"}


def test_another_option_is_one_line_with_the_options_names() -> None:
    assert differences({"temporal": NONE, "seed": 0}, {"temporal": GRU, "seed": 1}) == [
        "seed: 0 -> 1",
        "temporal: none -> gru",
    ]


def test_another_value_of_one_option_is_its_key() -> None:
    assert differences({"temporal": GRU}, {"temporal": GRU | {"num_layers": 2}}) == ["temporal.num_layers: 1 -> 2"]


def test_an_entry_of_a_list_is_absent_or_there() -> None:
    assert differences({"season": {"calendar": NONE}}, {"season": {}}) == ["season.calendar: none -> 'absent'"]
    assert differences({"season": None}, {"season": {"calendar": NONE}}) == ["season.calendar: 'absent' -> none"]
    assert differences({"season": None}, {"season": {}}) == []


def test_a_key_that_an_earlier_version_did_not_know_is_no_difference_at_its_default() -> None:
    """SASRec's ``num_heads`` has the default 2 and RunConfig's ``seed`` the default 0."""
    backbone = {"_target_": "seasonrec.models.backbone.sasrec.SASRec"}
    assert differences({"backbone": backbone}, {"backbone": backbone | {"num_heads": 2}}) == []
    assert differences({"backbone": backbone}, {"backbone": backbone | {"num_heads": 4}}) == [
        "backbone.num_heads: 'absent' -> 4"
    ]
    assert differences({}, {"seed": 0, "temporal": NONE, "season": {}, "domain": None}) == []
    assert differences({}, {"seed": 1, "temporal": GRU}) == ["seed: 'absent' -> 1", "temporal: 'absent' -> gru"]
    assert differences({"words": {}}, {"words": {"seed": 0}}) == ["words.seed: 'absent' -> 0"], "an entry is no key"
    assert differences({"seed": 0}, {}) == ["seed: 0 -> 'absent'"], "a value that was set is not forgotten"


def test_a_component_whose_source_is_gone_is_compared_by_its_values() -> None:
    gone = {"_target_": "nowhere.Gone"}
    assert differences({"backbone": gone}, {"backbone": gone | {"width": 2}}) == ["backbone.width: 'absent' -> 2"]
