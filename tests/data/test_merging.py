"""Sorting by packed keys of all widths, and the shuffle within baskets."""

import numpy as np
import pytest

from seasonrec.data.preparation.merging import _order_by_draw, merged, stable_order

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("width", [3, 20, 25, 40, 62], ids=lambda width: f"{width} digits")
def test_the_order_is_that_of_lexsort_at_every_width(width):
    """Keys of 3 and 20 digits leave room for the row number, 25 leave none, and 40 and 62 are too many."""
    first, second = RANDOM.integers(0, 1 << width, (2, 20_000)) & ~0b11  # so that rows repeat
    first[:5000] = second[:5000] = 4
    first[0] = second[0] = (1 << width) - 1
    assert stable_order(first, second).tolist() == np.lexsort((second, first)).tolist()


@pytest.mark.parametrize("close", [0, 1, 2**20], ids=["far apart", "equal to the last digit but one", "equal in front"])
def test_draws_order_a_basket_even_where_their_leading_digits_agree(close):
    basket = np.cumsum(RANDOM.random(30_000) < 0.002)
    basket -= basket[0]
    first = np.flatnonzero(np.diff(basket, prepend=-1))
    draws = RANDOM.random(len(basket))
    if close:
        draws = np.floor(draws * 8) / 8 + RANDOM.integers(0, 2 * close, len(basket)) * 2.0**-53
    assert _order_by_draw(basket, first, draws).tolist() == np.lexsort((draws, basket)).tolist()


def test_a_sum_does_not_depend_on_the_order_of_its_rows():
    value = np.array([1e16, 1.0, -1e16, 1.0, 3.0])
    zeros = np.zeros(5, np.int64)
    orders = (np.random.default_rng(seed).permutation(5) for seed in range(20))
    assert len({merged(zeros, zeros, zeros, value[order]).value.tobytes() for order in orders}) == 1


def test_rows_of_one_event_are_one_with_the_sum_of_the_known_values():
    user, item = np.array([1, 0, 1, 1, 1]), np.array([2, 3, 2, 2, 5])
    value = np.array([1.5, np.nan, np.nan, 2.0, np.nan], np.float32)
    events = merged(user, item, np.array([9, 8, 9, 9, 9]), value)
    assert events.user.tolist() == [0, 1, 1]
    assert events.item.tolist() == [3, 2, 5]
    np.testing.assert_array_equal(events.value, np.array([np.nan, 3.5, np.nan], np.float32))
    assert events.first.tolist() == [0, 1]


def test_unknown_values_are_all_of_the_same_bits():
    odd = np.array([0xFFC00001], np.uint32).view(np.float32)
    events = merged(np.array([0]), np.array([0]), np.array([5]), odd)
    assert events.value.tobytes() == np.array([np.nan], np.float32).tobytes()
