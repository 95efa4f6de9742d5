"""Names of the layers of language models with a known or a similar structure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from torch import nn

from seasonrec.errors import UserError

TargetModules = tuple[str, ...] | Literal["all-linear"] | None
"""Suffixes of the names of linear layers, all linear layers, or None for the method's usual ones."""

ATTENTION_IN = {
    "query": ("query", "q_proj", "q_lin"),
    "key": ("key", "k_proj", "k_lin"),
    "value": ("value", "v_proj", "v_lin"),
}
FUSED = ("c_attn", "query_key_value", "qkv_proj", "Wqkv")
"""Queries, keys and values in one matrix."""
ATTENTION_OUT = (
    "attention.output.dense", "attention.dense", "self_attention.dense", "self_attn.dense", "attn.c_proj", "attn.Wo",
    "o_proj", "out_proj", "out_lin",
)  # fmt: skip
FEEDFORWARD_OUT = (
    "output.dense", "dense_4h_to_h", "mlp.c_proj", "mlp.Wo", "mlp.fc_out", "down_proj", "fc2", "ffn.lin2",
)  # fmt: skip
"""Second matrices of feed-forward blocks, if they do not also match :data:`ATTENTION_OUT` (as in BERT types)."""


def layer_stack(language_model: nn.Module) -> tuple[str, int]:
    """Returns the name and length of the list of layers.

    Raises:
        ValueError: If there is no such list.
    """
    for name, module in language_model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module):
            return name, len(module)
    raise UserError(
        f"{type(language_model).__name__} has no list of layers, so its last layers are unknown; choose peft=norms, "
        "peft=frozen or peft=none."
    )


def depths(language_model: nn.Module) -> dict[str, int]:
    """Returns the depth of each weight: 0 for the embeddings, ``1..n`` for the layers, ``n`` for the final norm."""
    stack, count = layer_stack(language_model)
    norms = tuple(f"{name}." for name in norm_names(language_model) if not name.startswith((stack, "embed")))
    found = {}
    for name, _ in language_model.named_parameters():
        if name.startswith(f"{stack}."):
            found[name] = int(name.removeprefix(f"{stack}.").partition(".")[0]) + 1
        else:
            found[name] = count if name.startswith(norms) else 0
    return found


def norm_names(language_model: nn.Module) -> list[str]:
    """Returns the names of the normalisations of any class, such as ``LayerNorm`` and ``RMSNorm``."""
    return [name for name, module in language_model.named_modules() if "norm" in type(module).__name__.lower()]


def attention_inputs(language_model: nn.Module, *kinds: Literal["query", "key", "value"]) -> list[str]:
    """Returns the names of the linear layers that compute queries, keys or values."""
    endings = [ending for kind in kinds for ending in ATTENTION_IN[kind]]
    return [name for name in _linear_names(language_model) if _ends(name, [*endings, *FUSED])]


def attention_outputs(language_model: nn.Module) -> list[str]:
    """Returns the names of the last linear layers of the attention blocks."""
    return [name for name in _linear_names(language_model) if _ends(name, ATTENTION_OUT)]


def feedforward_outputs(language_model: nn.Module) -> list[str]:
    """Returns the names of the last linear layers of the feed-forward blocks."""
    names = _linear_names(language_model)
    return [name for name in names if _ends(name, FEEDFORWARD_OUT) and not _ends(name, ATTENTION_OUT)]


def resolved(language_model: nn.Module, target_modules: TargetModules, usual: list[str], option: str) -> list[str]:
    """Returns the full names of the linear layers that a method changes.

    Args:
        language_model: Language model that has the layers.
        target_modules: The user's choice.
        usual: Full names of the method's usual layers, for ``target_modules=None``.
        option: Name of the method, for the message.

    Raises:
        ValueError: If a target matches no layer.
    """
    names = list(_linear_names(language_model))
    if target_modules == "all-linear":
        return names
    targets = () if target_modules is None else target_modules
    unmatched = [target for target in targets if not any(_ends(name, (target,)) for name in names)]
    if unmatched or not (targets or usual):
        raise UserError(
            f"peft={option}: peft.target_modules must each match a linear layer of {type(language_model).__name__}, "
            f"got {list(targets) or None}; {unmatched or 'the usual names'} match none; choose from "
            f'{_known(names)}, or "all-linear".'
        )
    return [name for name in names if _ends(name, targets)] if targets else usual


def both_kinds(language_model: nn.Module, attention: list[str], feedforward: list[str], option: str) -> list[str]:
    """Returns the usual layers of a method that changes attention and feed-forward blocks.

    Raises:
        ValueError: If the blocks of one kind have no layer with a known name.
    """
    if not (attention and feedforward):
        missing = " and ".join(
            kind for kind, names in (("attention", attention), ("feed-forward", feedforward)) if not names
        )
        raise UserError(
            f"peft={option}: no layer of the {missing} blocks of {type(language_model).__name__} has a known name; "
            f"name them all in peft.target_modules, from {_known(_linear_names(language_model))}."
        )
    return [*attention, *feedforward]


def is_conv1d(language_model: nn.Module, names: list[str]) -> bool:
    """Checks whether the layers store their matrix transposed, as in GPT-2."""
    return any(type(language_model.get_submodule(name)).__name__ == "Conv1D" for name in names)


def _linear_names(language_model: nn.Module) -> Iterator[str]:
    """Yields the names of the linear layers in the stack."""
    stack, _ = layer_stack(language_model)
    for name, module in language_model.named_modules():
        is_linear = isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D"
        if is_linear and name.startswith(f"{stack}."):
            yield name


def _known(names: Iterable[str]) -> list[str]:
    return sorted({".".join(piece for piece in name.split(".")[-2:] if not piece.isdigit()) for name in names})


def _ends(name: str, endings: Iterable[str]) -> bool:
    """Checks whether a dotted name ends with one of the given names."""
    return f".{name}".endswith(tuple(f".{ending}" for ending in endings))
