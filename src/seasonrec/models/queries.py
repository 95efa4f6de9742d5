"""Search queries in words, made of the items' categories and texts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from seasonrec.data.spec import DataSpec
from seasonrec.errors import UserError

_WORD = re.compile(r"[^\W\d_]{2,}")


@dataclass(frozen=True)
class WordQueries:
    """The distinct queries and the one that each item answers.

    Args:
        texts: ``Q`` queries, in order of their words.
        of_item: ``V`` numbers of queries; -1 for an item that answers none.
        matched: ``V``, the numbers of the queries whose words an item's own begin with: more than it answers.
    """

    texts: tuple[str, ...]
    of_item: tuple[int, ...]
    matched: tuple[tuple[int, ...], ...]


def word_queries(
    categories: Sequence[str], texts: Sequence[str], is_known: Sequence[bool], max_words: int, min_items: int
) -> WordQueries:
    """The query of an item: the words of its category, then those of its type, each once.

    Words of the text follow as long as several items would still answer: the rest of a text is an item's own name, and
    would give the answer away. Queries come from the known items alone: a later item answers what could have been asked
    before.

    Args:
        categories: ``V`` names of categories, empty where there is none.
        texts: ``V`` texts.
        is_known: ``V``, whether the item was seen before the validation cut.
        max_words: Words of a query at most.
        min_items: Known items that must answer a query that goes beyond the category.

    References:
        Van Gysel et al., Learning Latent Vector Spaces for Product Search, CIKM 2016; Ai et al., Learning a
        Hierarchical Embedding Model for Personalized Product Search, SIGIR 2017, section 5.1: the words of the category
        path, without repeated words. Departure: with type words, because many data sets have one level of categories.
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


def require_words(spec: DataSpec, reader: str) -> None:
    """Refuses data whose items have neither categories nor texts.

    Args:
        spec: Facts of the data.
        reader: Who asks, for the message.

    Raises:
        ValueError: If there is nothing to make queries of.
    """
    if spec.num_categories < 2 and not spec.has_text:
        raise UserError(
            f"{reader} makes queries of the words of categories and texts, and the items have neither; name their "
            "columns (data.category_column and data.text_column of a table), or leave search out of task."
        )


def _words(text: str) -> list[str]:
    """The words of a text in their order, each once."""
    return list(dict.fromkeys(_WORD.findall(text.lower())))
