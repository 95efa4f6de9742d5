"""Text vectors of a frozen language model, computed once and cached on disk by content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from seasonrec.atomic import writing
from seasonrec.data.trust import is_own
from seasonrec.disk import WriteError
from seasonrec.models.language.pretrained import load_model, load_tokenizer, resolve

VERSION = 2
"""Increased with every change to the computation of text vectors."""

MAX_TOKENS = 64

DIGEST = "sha256"
"""Metadata key of the digest of a file's vectors."""


class TextReader:
    """Reader that gives text vectors: a frozen language model's last layer, averaged over tokens, at unit length.

    Args:
        name: Model name, see :func:`~seasonrec.models.language.pretrained.resolve`.
        cache_dir: Folder for cached vectors, with one safetensors file per list of texts, which holds a digest of its
            vectors. A file that another user may have changed is not read.
        batch_size: Texts per batch; texts are sorted by length to reduce padding.

    References:
        Reimers and Gurevych, Sentence-BERT, EMNLP 2019, mean pooling.
    """

    def __init__(self, name: str, cache_dir: Path, batch_size: int = 64) -> None:
        self.name = name
        self.cache_dir = cache_dir / "text"
        self.batch_size = batch_size

    def __call__(self, texts: Sequence[str], progress: Callable[[str], None] = print) -> Tensor:
        """Returns the vectors of texts.

        Args:
            texts: ``n`` texts, truncated to 64 tokens.
            progress: Called with one line if the vectors are not cached.

        Returns:
            ``(n, hidden size)`` float32.
        """
        key = self._key(texts)
        shared = self.cache_dir / f"{key}.safetensors"
        alone = self.cache_dir / f"{key}-{os.geteuid()}.safetensors"  # beside the file of another user
        for path in (shared, alone):
            cached = _read(path, key, len(texts), progress)
            if cached is not None:
                return cached
        progress(f"reading {len(texts):,} texts with {self.name}")
        vectors = self._compute(texts).contiguous()
        try:
            with writing(alone if shared.exists() else shared) as temporary:
                save_file({"vectors": vectors}, temporary, {DIGEST: _digest(key, vectors)})
        except WriteError as error:
            progress(f"note: the vectors are used but not kept: {error}")
        return vectors

    def _key(self, texts: Sequence[str]) -> str:
        digest = hashlib.sha256(f"{VERSION}\0{MAX_TOKENS}\0{weights_identity(self.name)}".encode())
        for text in texts:
            digest.update(text.encode() + b"\0")
        return digest.hexdigest()[:32]

    @torch.inference_mode()
    def _compute(self, texts: Sequence[str]) -> Tensor:
        model, tokenizer = load_model(self.name), load_padding_tokenizer(self.name)
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        pieces = []
        for start in range(0, len(order), self.batch_size):
            rows = [texts[i] for i in order[start : start + self.batch_size]]
            tokens = tokenizer(rows, padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
            pieces.append(mean_of_tokens(model(**tokens).last_hidden_state, tokens["attention_mask"]))
        vectors = torch.empty(len(texts), pieces[0].shape[1])
        vectors[order] = torch.cat(pieces)
        return vectors


def load_padding_tokenizer(name: str) -> Any:
    """Loads the tokenizer of a model and makes it pad on the right.

    With padding on the left, learned positions would depend on the longest text of a batch.
    """
    tokenizer = load_tokenizer(name)
    tokenizer.padding_side = "right"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def mean_of_tokens(hidden: Tensor, is_token: Tensor) -> Tensor:
    """Returns the means ``(n, H)`` of ``(n, L, H)`` over the tokens ``(n, L)``, at unit length."""
    weights = is_token[..., None].to(hidden.dtype)
    return F.normalize((hidden * weights).sum(1) / weights.sum(1).clamp(min=1), dim=-1)


def weights_identity(name: str) -> str:
    """Returns a hash of the name and, for a local model, of the weights."""
    folder = Path(resolve(name))
    files = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    digest = hashlib.sha256(name.encode())
    for file in files:
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def text_readers(model: nn.Module) -> dict[str, str]:
    """Returns :func:`weights_identity` of each text reader of a recommender, by the name of the reader."""
    found = (getattr(module, "reader", None) for module in model.modules())
    return {name: weights_identity(name) for name in sorted({name for name in found if isinstance(name, str)})}


def _read(path: Path, key: str, count: int, progress: Callable[[str], None]) -> Tensor | None:
    """Returns the cached vectors; None if they are absent, damaged, or another user may have changed them."""
    if not path.is_file() or not is_own(path):
        return None
    try:
        with safe_open(str(path), "pt") as file:
            vectors: Tensor = file.get_tensor("vectors")
            metadata = file.metadata()
            told = metadata.get(DIGEST, "") if metadata else None
    except (SafetensorError, OSError):
        vectors, told = torch.empty(0), None
    if len(vectors) == count and told in (None, _digest(key, vectors)):  # earlier versions wrote no digest
        return vectors
    progress(f"the text vectors in {path} are damaged and computed again")
    path.unlink()
    return None


def _digest(key: str, vectors: Tensor) -> str:
    """Returns a digest of vectors, their shape, and the key of their texts."""
    digest = hashlib.sha256(f"{key}{vectors.dtype}{tuple(vectors.shape)}".encode())
    digest.update(vectors.numpy().tobytes())
    return digest.hexdigest()
