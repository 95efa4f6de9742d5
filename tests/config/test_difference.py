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
