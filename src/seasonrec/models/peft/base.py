"""Base classes of the methods that tune a recommender's language models."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal

from torch import nn

from seasonrec.batches.facts import Facts
from seasonrec.errors import UserError
from seasonrec.models.language.lookup import language_models

Target = Literal["all", "backbone", "item_encoder"]
"""Components whose language model is tuned: all, or one."""


class Peft:
    """Tuning method, whose constructor takes the options, then ``facts``. This base leaves the model as it is."""

    needs_whole_gradients = False
    """True if it reads gradients, which must then be neither scaled nor sharded."""

    def __init__(self, *, facts: Facts) -> None:
        pass

    def apply(self, model: nn.Module) -> None:
        """Wraps or freezes the language models of a newly built recommender and changes nothing else.

        Raises:
            ValueError: If the model has no language model, or one that the method does not support.
        """

    def before_training(self, total_steps: int) -> None:
        """Prepares for training; called once before the first step, in a resumed run after :meth:`load_state_dict`."""

    def before_step(self, step: int) -> None:
        """Handles the complete gradients of a step before clipping; ``step`` counts the earlier steps."""

    def after_step(self, step: int) -> None:
        """Handles an optimiser step while its gradients are still available; ``step`` includes this step."""

    def merge(self, model: nn.Module) -> None:
        """Turns the language models changed by :meth:`apply` into plain, fully trainable ones with equal outputs.

        Raises:
            ValueError: If the method does not allow merging.
        """

    def record(self) -> dict[str, Any]:
        """Returns the method's entries for the record of a run."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Returns the state that a resumed run needs besides the weights."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the state returned by :meth:`state_dict`."""


class Tuning(Peft, ABC):
    """Method that changes the language models of its target and freezes those of the other components."""

    option: str
    """Name of the method in the slot ``peft``, for messages."""
    adds_weights = False
    """True if it trains its own weights and leaves the language model's weights unchanged."""

    def __init__(self, target: Target = "all", *, facts: Facts) -> None:
        super().__init__(facts=facts)
        self.target = target
        self.components: dict[str, Any] = {}

    @abstractmethod
    def tune(self, language_model: Any) -> nn.Module:
        """Returns the language model, or a wrapper around it, with only the tuned weights trainable."""

    def plain(self, language_model: Any) -> Any:
        """Returns the language model without the changes of :meth:`tune`."""
        return language_model

    def apply(self, model: nn.Module) -> None:
        found = language_models(model)
        wanted = {name for name in found if self.target in ("all", name.partition(".")[0])}
        if not wanted:
            raise UserError(self._nothing_to_tune(sorted(found)))
        for name, component in found.items():
            if name in wanted:
                self.components[name] = component
                component.has_added_weights = self.adds_weights
                component.language_model = self.tune(component.language_model)
            else:
                component.language_model.requires_grad_(False)

    def merge(self, model: nn.Module) -> None:
        for name in self.components:  # looked up in the given model: the models of several domains share components
            component: Any = model.get_submodule(name)
            component.language_model = self.plain(component.language_model)
            component.has_added_weights = False
        for component in language_models(model).values():
            component.language_model.requires_grad_(True)
            embedding = component.language_model.get_input_embeddings()
            embedding.requires_grad_(len(embedding.weight) > 1)  # a single row is an unused placeholder
        self.components = {}

    def _nothing_to_tune(self, found: list[str]) -> str:
        where = "the model" if self.target == "all" else f"peft.target={self.target}"
        return (
            f"peft={self.option} needs a language model in {where}, found {found or 'none'}; choose backbone=minilm or "
            "item_encoder=tuned_text" + (", or peft=none." if self.target == "all" else ", or peft.target=all.")
        )


class Unmergeable(Tuning):
    """Method whose weights cannot be merged into the language model's."""

    adds_weights = True

    def plain(self, language_model: Any) -> Any:
        raise UserError(
            f"peft={self.option} cannot be merged: its weights do not fit into those of the language model; keep the "
            "model as it is, or choose peft=lora, dora, adalora or ia3."
        )
