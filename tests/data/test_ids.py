"""Codes of ids that come in chunks."""

import numpy as np
import polars as pl
import pytest

from seasonrec.data.preparation import ids
from seasonrec.data.preparation.ids import IdCoder

CASES = {
    "numbers": [["7", "0", "7"], ["12", "0"]],
    "text": [["b", "a"], ["c", "b", "ä"]],
    "numbers, then text": [["7", "12"], ["x", "7", "12"], ["12"]],
    "other spellings of a number": [["7"], ["07", "7", "+7", " 7", "7 ", "-7", "00", "0", "\uff17"]],
    "a leading zero": [["7", "12"], ["07", "7"], ["7", "07", "12"]],
    "a sign": [["7"], ["+7", "7"]],
    "a negative number": [["-7", "7"]],
    "typed": [pl.Series([3, -5, 3]), pl.Series([-9, 3, 10**6])],
    "too wide for a table": [pl.Series([0, 10**15]), pl.Series([5, 10**15, -(2**62)])],
    "unsigned, beyond the signed": [pl.Series([2**63 + 5, 1], dtype=pl.UInt64), pl.Series([1, 2], dtype=pl.UInt64)],
    "long numbers": [["9223372036854775807"], ["9223372036854775808", "1", "12345678901234567890123"]],
    "none at first": [[], ["1"], []],
}


@pytest.mark.parametrize("parts", CASES.values(), ids=CASES)
def test_codes_stand_for_the_ids_as_they_are_written(parts):
    coder, codes, wanted = IdCoder(), [], []
    for part in parts:
        series = part if isinstance(part, pl.Series) else pl.Series(part, dtype=pl.String)
        codes += coder.code(series).tolist()
        wanted += series.cast(pl.String).to_list()
    assert coder.ids().gather(codes).to_list() == wanted
    assert len(coder.counts) == len(set(wanted))
    assert coder.counts.tolist() == [wanted.count(name) for name in coder.ids()]


def test_a_table_that_grows_in_both_directions_keeps_its_codes(monkeypatch):
    monkeypatch.setattr(ids, "_WIDEST", 1 << 12)
    random, coder = np.random.default_rng(0), IdCoder()
    for width in (10, 100, 1000, 2000, 5000):
        numbers = random.integers(-width, width, 500)
        codes = coder.code(pl.Series(numbers))
        assert coder.ids().gather(codes).to_list() == [str(number) for number in numbers]
    assert coder.ids().n_unique() == len(coder.counts)


def test_categories_are_text():
    coder = IdCoder()
    codes = coder.code(pl.Series(["b", "a", "b"], dtype=pl.Categorical))
    assert coder.ids().gather(codes).to_list() == ["b", "a", "b"]
