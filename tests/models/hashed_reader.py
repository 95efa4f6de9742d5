"""A text reader without a language model."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn


class HashedReader:
    """A stand-in for the frozen language model: a vector of each text's bytes."""

    def __init__(self, name: str, cache_dir: Path) -> None:
        pass

    def __call__(self, texts: Sequence[str]) -> Tensor:
        rows = [torch.Generator().manual_seed(int(hashlib.md5(text.encode()).hexdigest()[:12], 16)) for text in texts]
        return nn.functional.normalize(torch.stack([torch.randn(24, generator=row) for row in rows]), dim=-1)
