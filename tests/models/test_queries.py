"""Tests of queries in words against results by hand."""

from small_shop import Shop

from seasonrec.models.queries import word_queries

CATEGORIES = ["Salads & Dips", "salads & dips", "salads & dips", "cakes", "cakes", "", "toys"]
TEXTS = ["green salad 12", "green salad", "bean salad", "bean cake cake", "bean pie", "green thing", "toy duck"]


def test_a_query_is_the_category_and_the_next_words_that_several_items_share() -> None:
    known = [True] * 6 + [False]
    queries = word_queries(CATEGORIES, TEXTS, known, max_words=6, min_items=2)
    expected = ["salads dips green salad"] * 2 + ["salads dips"] + ["cakes bean"] * 2
    assert [queries.texts[number] for number in queries.of_item[:5]] == expected
    assert queries.texts == tuple(sorted(set(expected)))
    assert queries.of_item[5] == -1, "it has no category, and no other item begins with its words"
    assert queries.of_item[6] == -1, "no toy is known, so no query asks for toys"


def test_the_query_of_a_category_with_one_item_is_its_path() -> None:
    queries = word_queries(["boats", "cups", "cups"], ["anchor", "red", "red"], [True] * 3, max_words=6, min_items=2)
    assert queries.texts == ("boats", "cups red")
    assert queries.of_item == (0, 1, 1)


def test_every_item_whose_words_begin_with_a_query_matches_it() -> None:
    texts = ["red wine", "red wine", "red wine", "red beer", "blue"]
    found = word_queries(["drink"] * 5, texts, [True] * 5, 3, 3)
    drink, red, wine = (found.texts.index(text) for text in ("drink", "drink red", "drink red wine"))
    assert found.of_item == (wine, wine, wine, red, drink)
    assert found.matched == ((drink, red, wine),) * 3 + ((drink, red), (drink,))


def test_words_of_a_single_item_are_no_query() -> None:
    queries = word_queries(["", "", ""], ["red ball", "red cup", "anchor"], [True] * 3, max_words=6, min_items=2)
    assert queries.texts == ("red",)
    assert queries.of_item == (0, 0, -1)


def test_later_items_add_no_queries() -> None:
    before = word_queries(["cake", "cake"], ["plum", "plum"], [True, True], 6, 2)
    later = word_queries(["cake"] * 5, ["plum", "plum", "plum pie", "pie", "pie"], [True, True, *[False] * 3], 6, 2)
    assert before.texts == later.texts == ("cake plum",)
    assert later.of_item == (0, 0, 0, -1, -1), "'cake' alone is no query, because all known cakes are plum cakes"


def test_words_are_limited_and_distinct() -> None:
    queries = word_queries(["Cake cake pie"], ["tea cake"], [True], max_words=2, min_items=1)
    assert queries.texts == ("cake pie",)
    assert word_queries(["Cake"], ["tea 7 a cake"], [True], max_words=9, min_items=1).texts == ("cake tea",)


def test_categories_are_numbered_as_in_the_log(shop: Shop) -> None:
    facts = shop.facts()
    assert facts.item_categories.tolist() == shop.log.item_categories.tolist()
    assert facts.item_category_names == tuple(shop.log.items["category"].to_list())
    assert len(set(facts.item_category_names)) == shop.spec.num_categories > 2
