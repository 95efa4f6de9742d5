"""Search queries built from the words of the items' categories and texts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

_WORD = re.compile(r"[^\W\d_]{2,}")


@dataclass(frozen=True)
class WordQueries:
    """Distinct queries, with the query that finds each item.

    Args:
        texts: ``Q`` queries in alphabetical order.
        of_item: ``V``, the number of each item's query; -1 for an item without one.
        matched: ``V``, the numbers of all queries with which an item's words begin.
    """

    texts: tuple[str, ...]
    of_item: tuple[int, ...]
    matched: tuple[tuple[int, ...], ...]


def word_queries(
    categories: Sequence[str], texts: Sequence[str], is_known: Sequence[bool], max_words: int, min_items: int
) -> WordQueries:
    """Builds the query of each item from the distinct words of its category and its text.

    Words of the text are added as long as several items still match. The rest of a text is the item's own name and
    would reveal the answer. Queries come from known items only; a later item may match one of them.

    Args:
        categories: ``V`` names of categories, empty for an item without one.
        texts: ``V`` texts.
        is_known: ``V``, True for an item seen before the validation cut.
        max_words: Maximum number of words of a query.
        min_items: Minimum number of known items that match a query longer than the category.

    References:
        Van Gysel et al., Learning Latent Vector Spaces for Product Search, CIKM 2016; Ai et al., Learning a
        Hierarchical Embedding Model for Personalized Product Search, SIGIR 2017, section 5.1: the words of the category
        path, without repeated words. Departure: with words of the text, because many data sets have one category level.
    """
    words = [_words(f"{name} {text}")[:max_words] for name, text in zip(categories, texts, strict=True)]
    answers = Counter(query for own, known in zip(words, is_known, strict=True) if known for query in _beginnings(own))
    asked = []
    for own, category in zip(words, categories, strict=True):
        enough = [query for query in _beginnings(own) if answers[query] >= min_items]
        path = " ".join(own[: len(_words(category))])
        asked.append(enough[-1] if enough and len(enough[-1]) >= len(path) else path if answers[path] else "")
    queries = sorted({query for query, known in zip(asked, is_known, strict=True) if known and query})
    number = {query: place for place, query in enumerate(queries)}
    matched = tuple(tuple(number[query] for query in _beginnings(own) if query in number) for own in words)
    return WordQueries(tuple(queries), tuple(number.get(query, -1) for query in asked), matched)


def _beginnings(words: list[str]) -> list[str]:
    return [" ".join(words[:length]) for length in range(1, len(words) + 1)]


def _words(text: str) -> list[str]:
    """Returns the distinct words of a text in order."""
    return list(dict.fromkeys(_WORD.findall(text.lower())))
