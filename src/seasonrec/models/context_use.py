"""Contexts of a component, and a check that it reads exactly the contexts that it declares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from seasonrec.batches.batch import SequenceBatch
from seasonrec.batches.context.base import Context
from seasonrec.errors import UserError


class ContextError(UserError):
    """Context that is read but not computed, or declared but never read."""


def pick(batch: SequenceBatch, component: Any) -> dict[str, Any]:
    """Returns the contexts that a component lists in ``reads``.

    Raises:
        ContextError: If one of them was not computed.
    """
    return pick_contexts(batch, component, component.reads)


def pick_contexts(batch: SequenceBatch, component: Any, contexts: Iterable[Context]) -> dict[str, Any]:
    """Returns some contexts of a batch for a component.

    Raises:
        ContextError: If one of them was not computed.
    """
    names = [context.name for context in contexts]
    for name in names:
        if name not in batch.context:
            raise ContextError(
                f"{type(component).__name__} reads context {name!r}, which was not computed; the batch has "
                f"{sorted(batch.context)}. Build the batches with the contexts of this model."
            )
    return {name: batch.context[name] for name in names}


def check_contexts(model: Any, batch: SequenceBatch) -> None:
    """Checks on one batch that every component reads exactly the contexts that it declares.

    The check leaves the model and the state of the random generators unchanged.

    Args:
        model: Recommender; every submodule with ``reads`` is checked.
        batch: Any batch built with the model's contexts.

    Raises:
        ContextError: If a component reads a context that it does not declare or that was not computed, declares one
            that it never reads, or a context is computed for no component.
    """
    readers = {
        f"{name} ({type(found).__name__})": found for name, found in model.named_modules() if hasattr(found, "reads")
    }
    seen: dict[str, set[str]] = {name: set() for name in readers}
    hooks = [reader.register_forward_pre_hook(partial(_record, name, seen[name])) for name, reader in readers.items()]
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
    for name, reader in readers.items():
        if unread := {context.name for context in reader.reads} - seen[name]:
            raise ContextError(
                f"{name} declares context {sorted(unread)[0]!r} in reads and never reads it; remove it from reads to "
                "save its computation."
            )
    if unused := set(batch.context) - set().union(*seen.values()):
        raise ContextError(
            f"context {sorted(unused)[0]!r} is computed and no component reads it; build the batches with the contexts "
            "of this model."
        )


def _record(reader: str, seen: set[str], module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Replaces the context among the inputs of a component by one that records its reads; a forward pre-hook."""
    return tuple(_Recorded(reader, value, seen) if isinstance(value, Mapping) else value for value in inputs)


@dataclass(frozen=True, eq=False)
class _Recorded(Mapping[str, Any]):
    """Context of a component that records which names are read."""

    reader: str
    values_by_name: Mapping[str, Any]
    seen: set[str]

    def __getitem__(self, name: str) -> Any:
        if name not in self.values_by_name:
            raise ContextError(
                f"{self.reader} reads context {name!r}, but declares {sorted(self.values_by_name)} in reads; add it."
            )
        self.seen.add(name)
        return self.values_by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_name)

    def __len__(self) -> int:
        return len(self.values_by_name)
