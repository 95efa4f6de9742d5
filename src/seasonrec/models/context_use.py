"""A part gets the contexts that it names, and reads every one of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from seasonrec.batches.batch import SequenceBatch
from seasonrec.errors import UserError


class ContextError(UserError):
    """A context is read and not computed, or declared and never read."""


def pick(batch: SequenceBatch, part: Any) -> dict[str, Any]:
    """Just the contexts that a part lists in ``reads``.

    Raises:
        ContextError: If one of them was not computed.
    """
    names = [context.name for context in part.reads]
    for name in names:
        if name not in batch.context:
            raise ContextError(
                f"{type(part).__name__} reads context {name!r}, which was not computed; the batch holds "
                f"{sorted(batch.context)}. Build the batches with the contexts of this very model."
            )
    return {name: batch.context[name] for name in names}


def check_contexts(model: Any, batch: SequenceBatch) -> None:
    """Runs one batch and compares what every part declares with what it looks at.

    Draws no random number and leaves the model as it was.

    Args:
        model: A recommender; every submodule with ``reads`` is looked at.
        batch: Any batch built with the model's contexts.

    Raises:
        ContextError: If a part reads a context that it does not declare or that was not computed, declares one that it
            never reads, or a context is computed for nobody.
    """
    parts = {f"{name} ({type(part).__name__})": part for name, part in model.named_modules() if hasattr(part, "reads")}
    seen: dict[str, set[str]] = {name: set() for name in parts}
    hooks = [part.register_forward_pre_hook(_Spy(name, seen[name])) for name, part in parts.items()]
    modes = {module: module.training for module in model.modules()}
    try:
        model.eval()
        with torch.no_grad():
            batch = batch.to(next(model.parameters()).device)
            model(batch)
            model.tasks_of(model.read(batch), batch)
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in modes.items():
            module.training = mode
    for name, part in parts.items():
        if unread := {context.name for context in part.reads} - seen[name]:
            raise ContextError(
                f"{name} declares context {sorted(unread)[0]!r} in reads and never reads it; remove it there, so that "
                "it is not computed for nothing."
            )
    if unused := set(batch.context) - set().union(*seen.values()):
        raise ContextError(
            f"context {sorted(unused)[0]!r} is computed and read by no part; build the batches with the contexts of "
            "this very model."
        )


class _Spy:
    """Puts a mapping that notes what is read in place of a part's context."""

    def __init__(self, part: str, seen: set[str]) -> None:
        self.part = part
        self.seen = seen

    def __call__(self, module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(_Noted(self.part, value, self.seen) if isinstance(value, Mapping) else value for value in inputs)


class _Noted(Mapping[str, Any]):
    """A part's context that notes which names are read."""

    def __init__(self, part: str, values: Mapping[str, Any], seen: set[str]) -> None:
        self.part = part
        self.values_by_name = values
        self.seen = seen

    def __getitem__(self, name: str) -> Any:
        if name not in self.values_by_name:
            raise ContextError(
                f"{self.part} reads context {name!r}, but declares {sorted(self.values_by_name)} in reads; add it."
            )
        self.seen.add(name)
        return self.values_by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_name)

    def __len__(self) -> int:
        return len(self.values_by_name)
