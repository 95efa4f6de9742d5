"""The trained weights of a model, without optimiser or pickles.

The weights of a language model that stay as they were loaded are left out; the file holds a digest of them, so that it
is only ever put beside the same ones. Of a model without such weights, everything is in the file.
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
from seasonrec.models.language.inside import digest_of, frozen_names

FROZEN = "frozen"
"""Key in a file's metadata of the digest of what was left out."""


class WeightsError(UserError, RuntimeError):
    """A file of weights is not one of this model."""


def save_weights(path: Path, model: nn.Module) -> None:
    """Writes a model's weights as safetensors, at once or not at all."""
    left_out = frozen_names(model)
    if not left_out:
        with writing(path) as temporary:
            save_model(model, str(temporary))
    else:
        save_state(path, model.state_dict(), left_out)


def save_state(path: Path, state: Mapping[str, Tensor], left_out: AbstractSet[str] = frozenset()) -> None:
    """Writes weights by name, as :func:`save_weights` does with those of a model.

    Args:
        path: Where to.
        state: All weights.
        left_out: Names of those that are not written.
    """
    kept = {name: value.contiguous() for name, value in state.items() if name not in left_out}
    metadata = {FROZEN: digest_of({name: state[name] for name in left_out})} if left_out else None
    with writing(path) as temporary:
        save_file(kept, temporary, metadata)


def load_weights(path: Path, model: nn.Module) -> None:
    """Reads weights into a model of the same configuration.

    Raises:
        WeightsError: If the file lacks more or less than the frozen weights of the model's language models, or was
            written beside other ones.
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
    """Refuses weights unless exactly the frozen ones are missing.

    Args:
        names: Names of the weights that were kept.
        model: What they are for.
        where: Where they lie, for the message.
        prefix: Of the model's names among them.

    Raises:
        WeightsError: If others are missing, or frozen or unknown ones are there.
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
