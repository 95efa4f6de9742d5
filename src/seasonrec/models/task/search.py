"""Search: a query in words, and who asks it, to the item bought."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.context.base import Context
from seasonrec.batches.facts import Facts
from seasonrec.batches.labels.base import Labels
from seasonrec.errors import UserError
from seasonrec.models.components import ContextValues
from seasonrec.models.kernels.matmul import Linear
from seasonrec.models.language.text_vectors import TextReader
from seasonrec.models.queries import require_words, word_queries
from seasonrec.models.scoring import ScoredItems
from seasonrec.models.task.base import Kind, TaskFeatures, TaskOutput
from seasonrec.models.task.candidates import Correction, mean_of, set_cross_entropy, targets_of
from seasonrec.models.task.draws import hashed_uniform

MATCH = 5.0
"""What an item whose words match has ahead of one whose do not, before anything is learnt."""
AHEAD = 1e4
"""The same in a look-up of words alone."""


class SearchHead(nn.Module):
    """Ranks the items for words that a user asks with: the words' vector is added to the user's own.

    The user's part are the next item's scores, season and habit in them: who asks for milk is shown their own. Items
    whose words begin with those of the query have a further score, which is learnt.

    The field has no log of queries and makes them of the items bought, see
    :func:`~seasonrec.models.queries.word_queries`. One query of each basket is asked: that of one of its items, drawn
    anew in training, following from the basket in evaluation. What is relevant are the basket's items that answer that
    query. The words are read once by a frozen language model and kept on disk.

    Args:
        reader: Language model, see :func:`~seasonrec.models.language.pretrained.resolve`.
        max_words: Words of a query at most.
        min_items: Items that must answer a query which goes beyond the words of the category.

    Raises:
        ValueError: If the items have neither categories nor texts, or make no two queries.

    References:
        Ai et al., Learning a Hierarchical Embedding Model for Personalized Product Search, SIGIR 2017: query and user
        are added and meet the item in one space. Departure: the user is the sequence model's query at the request time.
    """

    kind: Kind = "ranking"
    is_series = False
    text_vectors: Tensor
    query_of_item: Tensor
    matched: Tensor

    def __init__(self, reader: str = "minilm", max_words: int = 6, min_items: int = 3, *, facts: Facts) -> None:
        super().__init__()
        require_words(facts.spec, "task=search")
        self.reads: tuple[Context, ...] = ()
        self.labels: tuple[Labels, ...] = ()
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
        start = own + AHEAD * match  # a look-up of the words, what it finds in the user's own order
        answers = features.items.of(self.query_of_item) == asked[rows, None]  # (P, C)
        truth = targets_of(batch, scores.shape[1])[rows] & answers
        losses = set_cross_entropy(scores, truth, batch)
        return TaskOutput(mean_of(losses), scores.detach(), truth, start=start.detach())

    def _matches(self, items: ScoredItems, asked: Tensor) -> Tensor:
        """``(P, C)`` bool: the item's words begin with those of the query."""
        found = torch.zeros(len(asked), len(items.vectors), dtype=torch.bool, device=asked.device)
        for column in items.of(self.matched).unbind(1):
            found |= column == asked[:, None]
        return found

    def _asked(self, batch: SequenceBatch) -> Tensor:
        """``(N,)`` int64: the query of each request; -1 where its basket answers none."""
        query = self.query_of_item[batch.target_items]
        drawn = self._uniform(batch).masked_fill(query < 0, 2.0)
        least = drawn.new_full((batch.num_requests,), 2.0).scatter_reduce(0, batch.target_request, drawn, "amin")
        chosen = (drawn < 2.0) & (drawn == least[batch.target_request])
        asked = torch.full((batch.num_requests,), -1, device=query.device)
        return asked.scatter_reduce(0, batch.target_request[chosen], query[chosen], "amax")

    def _uniform(self, batch: SequenceBatch) -> Tensor:
        """``(M,)`` float64 in ``[0, 1)``: the least of a basket chooses its query."""
        if self.training:
            return torch.rand(len(batch.target_items), dtype=torch.float64, device=batch.target_items.device)
        return hashed_uniform(batch.basket_ids[batch.target_request] * 0x9E37 + batch.target_items, 1).squeeze(1)
