"""Search task: the bought item, given a query in words and the user."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.facts import Facts
from seasonrec.errors import UserError
from seasonrec.models.components import ContextValues
from seasonrec.models.kernels.matmul import Linear
from seasonrec.models.language.text_vectors import TextReader
from seasonrec.models.queries import word_queries
from seasonrec.models.scoring import ScoredItems
from seasonrec.models.task.base import TaskFeatures, TaskHead, TaskOutput
from seasonrec.models.task.candidates import Correction, mean_of, set_cross_entropy, targets_of
from seasonrec.models.task.draws import target_uniform
from seasonrec.ranges import Count, Length, ranged

MATCH = 5.0
"""Bonus of an item whose words match the query, at the start of training."""
AHEAD = 1e4
"""The same bonus in the baseline, which ranks matching items first."""


@ranged("task.search")
class SearchHead(TaskHead):
    """A ranking of the items for a query in words and a user, whose vectors are added.

    The ranking is personal: it starts from the next item's scores with season and habit, so a user who searches for
    milk finds the usual brand first. Items whose words begin with those of the query have a learned bonus.

    Public data has no log of queries, so they are made from the bought items, see
    :func:`~seasonrec.models.queries.word_queries`. Each basket has the query of one of its items, which is drawn again
    at every training step and hashed from the basket in evaluation. The basket's items with that query are relevant. A
    frozen language model embeds the queries once, and the result is cached.

    The default weight is 0.03: at 1 the task cost the next item 0.020 bits on the validation weeks of Complete Journey
    in one seed, at 0.03 no more than seeds differ, and its own ranking was as good.

    Args:
        reader: Language model, see :func:`~seasonrec.models.language.pretrained.resolve`.
        max_words: Largest number of words of a query.
        min_items: Minimum number of items that match a query longer than the category.

    Raises:
        ValueError: If the items have neither categories nor texts, or fewer than two queries.

    References:
        Ai et al., Learning a Hierarchical Embedding Model for Personalized Product Search, SIGIR 2017: query and user
        are added and meet the item in one space. Departure: the user is the sequence model's query at the request time.
    """

    kind = "ranking"
    default_weight = 0.03
    text_vectors: Tensor
    query_of_item: Tensor
    matched: Tensor

    def __init__(self, reader: str = "minilm", max_words: Length = 6, min_items: Count = 3, *, facts: Facts) -> None:
        super().__init__()
        if facts.spec.num_categories < 2 and not facts.spec.has_text:
            raise UserError(
                "task=search builds queries from the words of categories and texts, and the items have neither; name "
                "their columns (data.category_column and data.text_column of a table), or remove search from task."
            )
        is_known = facts.item_is_known.tolist()
        texts = facts.item_texts if facts.spec.has_text else [""] * len(is_known)
        queries = word_queries(facts.item_category_names, texts, is_known, max_words, min_items)
        if len(queries.texts) < 2:
            raise UserError(
                f"task=search needs at least 2 queries before the validation cut, got {list(queries.texts)} from the "
                f"items' words; lower task.search.min_items ({min_items}), or leave search out of task."
            )
        self.reader = reader
        vectors = TextReader(reader, facts.cache_dir)(queries.texts)
        vectors = vectors - vectors.mean(0)
        self.register_buffer("text_vectors", vectors / vectors.std(), persistent=False)
        self.register_buffer("query_of_item", torch.tensor(queries.of_item), persistent=False)
        self.words = Linear(vectors.shape[1], facts.embedding_dim)
        nn.init.normal_(self.words.weight, std=0.1 * (vectors.shape[1] * facts.embedding_dim) ** -0.5)
        width = max(1, *(len(own) for own in queries.matched))
        matched = [[*own, *([-1] * (width - len(own)))] for own in queries.matched]
        self.register_buffer("matched", torch.tensor(matched), persistent=False)
        self.match = nn.Parameter(torch.tensor(MATCH))
        self.correction = Correction(facts)

    def forward(self, features: TaskFeatures, batch: SequenceBatch, context: ContextValues) -> TaskOutput:
        asked = self._asked(batch)  # (N,)
        rows = (asked >= 0).nonzero().squeeze(1)
        words = self.words(self.text_vectors[asked[rows]])
        own, match = features.scores()[rows], self._matches(features.items, asked[rows])
        scores = self.correction(own + self.match * match, features.query[rows], features.items, words)
        start = own + AHEAD * match  # matches first, ordered by the next item's scores
        answers = features.items.of(self.query_of_item) == asked[rows, None]  # (P, C)
        truth = targets_of(batch, scores.shape[1])[rows] & answers
        losses = set_cross_entropy(scores, truth, batch)
        return TaskOutput(mean_of(losses), scores.detach(), truth, start=start.detach())

    def _matches(self, items: ScoredItems, asked: Tensor) -> Tensor:
        """Returns ``(P, C)`` bool, True if the item's words begin with those of the query."""
        found = torch.zeros(len(asked), len(items.vectors), dtype=torch.bool, device=asked.device)
        for column in items.of(self.matched).unbind(1):
            found |= column == asked[:, None]
        return found

    def _asked(self, batch: SequenceBatch) -> Tensor:
        """Returns ``(N,)`` int64, the query of each request; -1 if no item of its basket has a query.

        The item with the basket's smallest random number chooses the query.
        """
        query = self.query_of_item[batch.target_items]
        drawn = target_uniform(batch, 1, self.training).squeeze(1).masked_fill(query < 0, 2.0)
        least = drawn.new_full((batch.num_requests,), 2.0).scatter_reduce(0, batch.target_request, drawn, "amin")
        chosen = (drawn < 2.0) & (drawn == least[batch.target_request])
        asked = torch.full((batch.num_requests,), -1, device=query.device)
        return asked.scatter_reduce(0, batch.target_request[chosen], query[chosen], "amax")
