"""Files of a model's trained weights, without optimiser or pickles.

Instead of the frozen weights of a language model, a file holds their digest, which is checked when the file is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file, load_model, save_file, save_model
from torch import Tensor, nn

from seasonrec.atomic import writing
from seasonrec.errors import UserError
from seasonrec.models.language.lookup import digest_of, frozen_names

FROZEN = "frozen"
"""Metadata key of the digest of the frozen weights."""


class WeightsError(UserError, RuntimeError):
    """Weights that do not belong to the model."""


def save_weights(path: Path, model: nn.Module) -> None:
    """Writes a model's weights as safetensors, atomically."""
    left_out = frozen_names(model)
    if not left_out:
        with writing(path) as temporary:
            save_model(model, str(temporary))
    else:
        save_state(path, model.state_dict(), left_out)


def save_state(path: Path, state: Mapping[str, Tensor], left_out: AbstractSet[str] = frozenset()) -> None:
    """Writes weights by name, like :func:`save_weights`.

    Args:
        path: File to write.
        state: All weights.
        left_out: Names of the weights to leave out.
    """
    kept = {name: value.contiguous() for name, value in state.items() if name not in left_out}
    metadata = {FROZEN: digest_of({name: state[name] for name in left_out})} if left_out else None
    with writing(path) as temporary:
        save_file(kept, temporary, metadata)


def load_weights(path: Path, model: nn.Module) -> None:
    """Reads weights into a model of the same configuration.

    Raises:
        WeightsError: If the file does not lack exactly the frozen weights of the model's language models, or if these
            have changed.
        RuntimeError: If names or shapes differ.
    """
    left_out = frozen_names(model)
    with safe_open(str(path), "pt") as file:
        names, digest = set(file.keys()), (file.metadata() or {}).get(FROZEN)
    if not left_out and digest is None:
        load_model(model, str(path))
        return
    check_left_out(names, model, str(path))
    state = model.state_dict()
    if digest != digest_of({name: state[name] for name in left_out}):
        raise WeightsError(
            f"{path} was trained beside other weights of the frozen language model than were loaded now; use the "
            "version of the language model that the run was trained with."
        )
    model.load_state_dict(load_file(str(path)), strict=False)


def check_left_out(names: set[str], model: nn.Module, where: str, prefix: str = "") -> None:
    """Checks that exactly the frozen weights are missing.

    Args:
        names: Names of the saved weights.
        model: Model of the weights.
        where: File of the weights, for the message.
        prefix: Prefix of the model's names.

    Raises:
        WeightsError: If others are missing, or frozen or unknown ones are present.
    """
    every, left_out = set(model.state_dict()), frozen_names(model)
    missing = sorted(every - left_out - {name.removeprefix(prefix) for name in names if name.startswith(prefix)})
    unexpected = sorted(names - {prefix + name for name in every - left_out})
    if missing or unexpected:
        raise WeightsError(
            f"{where} must hold every weight but the {len(left_out)} frozen ones of the language model, but lacks "
            f"{len(missing)} {missing[:2]} and has {len(unexpected)} more {unexpected[:2]}; set peft and its options "
            "as they were in training."
        )
