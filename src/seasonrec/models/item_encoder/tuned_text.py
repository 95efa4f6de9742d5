"""Item texts read by a language model that is trained with the recommender."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from seasonrec.batches.facts import Facts
from seasonrec.models.item_encoder.id import IdItems
from seasonrec.models.item_encoder.text import text_projection
from seasonrec.models.language.pretrained import load_model
from seasonrec.models.language.text_vectors import MAX_TOKENS, TextReader, load_padding_tokenizer, mean_of_tokens
from seasonrec.ranges import Batch, Width, ranged


@ranged("item_encoder")
class TunedTextItems(nn.Module):
    """Text vectors of a language model that reads the texts in every step; ``peft`` selects its trained weights.

    The initial item vectors are those of ``item_encoder=text``. With a loss over a sample of the catalogue
    (``loss=sampled_softmax``, ``bce``, ``bpr`` or ``gbce``), only the items of the batch are read. A loss over the
    whole catalogue reads all ``V`` texts per step, which is expensive: on one CPU thread MiniLM reads about 190 short
    texts per second and trains on 50. Texts are read in chunks of similar length. If there are several, each is
    computed again in the backward pass, so that memory holds the activations of only one chunk. With ``peft=frozen``,
    the texts are read once before training.

    Args:
        reader: Language model, see :func:`~seasonrec.models.language.pretrained.resolve`.
        hidden_dim: Width of the projection's hidden layer.
        with_ids: Whether to add a learned vector of each item's id, as in ``item_encoder=id_text``.
        chunk_size: Texts per chunk.

    Shape:
        - item_ids: ``(P,)`` int64 or None; output: ``(P, D)``, or ``(V, D)`` without them.
    """

    token_ids: Tensor
    is_token: Tensor
    length: Tensor
    as_loaded: Tensor
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        reader: str = "minilm",
        hidden_dim: Width = 128,
        with_ids: bool = False,
        chunk_size: Batch = 256,
        *,
        facts: Facts,
    ) -> None:
        super().__init__()
        texts = facts.texts_for("item_encoder=tuned_text")
        self.reader = reader
        as_loaded = TextReader(reader, facts.cache_dir)(texts)
        self.register_buffer("as_loaded", as_loaded, persistent=False)
        known = as_loaded[facts.item_is_known]
        self.register_buffer("mean", known.mean(0))
        self.register_buffer("std", (known - self.mean).std())
        self.chunk_size = chunk_size
        self._tokenize(reader, texts)
        self.language_model = load_model(reader)
        self.is_pretrained = True
        if getattr(self.language_model, "pooler", None) is not None:
            self.language_model.pooler = None  # unused
        self.project = text_projection(as_loaded.shape[1], hidden_dim, facts.embedding_dim)
        self.id = IdItems(facts=facts) if with_ids else None

    def forward(self, item_ids: Tensor | None = None) -> Tensor:
        vectors = self.project((self.read(item_ids) - self.mean) / self.std)
        return vectors if self.id is None else vectors + self.id(item_ids)

    def read(self, item_ids: Tensor | None = None) -> Tensor:
        """Returns the text vectors at unit length: ``(P, H)``, or ``(V, H)`` for all items."""
        if not any(parameter.requires_grad for parameter in self.language_model.parameters()):
            return self.as_loaded if item_ids is None else F.embedding(item_ids, self.as_loaded)
        wanted = torch.arange(len(self.length), device=self.length.device) if item_ids is None else item_ids
        order = wanted[self.length[wanted].argsort(stable=True)]  # reduces padding
        chunks = torch.split(order, self.chunk_size)
        vectors = torch.cat([self._of_chunk(chunk, alone=len(chunks) == 1) for chunk in chunks])
        place = torch.empty_like(self.length)
        place[order] = torch.arange(len(order), device=order.device)
        return F.embedding(place[wanted], vectors)

    def _of_chunk(self, item_ids: Tensor, alone: bool) -> Tensor:
        """Returns the vectors ``(n, H)`` of a chunk; keeps the activations only if it is the only chunk."""
        longest = int(self.length[item_ids].max())
        token_ids, is_token = self.token_ids[item_ids, :longest], self.is_token[item_ids, :longest]
        if alone or not torch.is_grad_enabled():
            return self._pooled(token_ids, is_token)
        return checkpoint(self._pooled, token_ids, is_token, use_reentrant=False)

    def _pooled(self, token_ids: Tensor, is_token: Tensor) -> Tensor:
        output = self.language_model(input_ids=token_ids, attention_mask=is_token, use_cache=False)
        hidden = output.last_hidden_state[:, -token_ids.shape[1] :]  # after the positions of a prompt
        return mean_of_tokens(hidden, is_token)

    def _tokenize(self, reader: str, texts: tuple[str, ...]) -> None:
        tokenizer = load_padding_tokenizer(reader)
        tokens = tokenizer(list(texts), padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
        self.register_buffer("token_ids", tokens["input_ids"], persistent=False)
        self.register_buffer("is_token", tokens["attention_mask"], persistent=False)
        self.register_buffer("length", tokens["attention_mask"].sum(1), persistent=False)
        self.num_positions_read = int(tokens["input_ids"].shape[1])
