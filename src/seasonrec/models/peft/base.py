"""How much of the language models inside a recommender is trained, and how."""

from __future__ import annotations

from typing import Any, Literal, Protocol

from torch import nn

from seasonrec.errors import UserError
from seasonrec.models.language.inside import language_models

Target = Literal["all", "backbone", "item_encoder"]
"""Whose language model: that of every part, or of one."""


class Peft(Protocol):
    """A way of tuning. Its constructor takes its options, then ``*, facts: Facts``.

    Attributes:
        needs_whole_gradients: Whether it reads the gradients themselves, so that they must be neither scaled nor spread
            over processes.
    """

    needs_whole_gradients: bool

    def apply(self, model: nn.Module) -> None:
        """Wraps or freezes the language models of a freshly built recommender; what else it has is left alone.

        Raises:
            ValueError: If the model holds no language model, or one that the method does not fit.
        """
        ...

    def before_training(self, total_steps: int) -> None:
        """Called once before the first step, after :meth:`load_state_dict` in a run that goes on."""
        ...

    def before_step(self, step: int) -> None:
        """Called when the gradients of a step are complete and not yet clipped; ``step`` steps were made before."""
        ...

    def after_step(self, step: int) -> None:
        """Called after a step of the optimiser while its gradients are still there; ``step`` counts it."""
        ...

    def merge(self, model: nn.Module) -> None:
        """Makes plain language models of those that :meth:`apply` has changed, all trained, with equal outputs.

        Raises:
            ValueError: If the method does not allow it.
        """
        ...

    def record(self) -> dict[str, Any]:
        """What the record of a run says of the tuned model besides how many weights were trained."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """What a run that goes on needs besides the weights."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes what :meth:`state_dict` gave."""
        ...


class Tuning:
    """What the methods share: finding the language models, no schedule, and nothing to merge.

    A method overrides :meth:`tune`. The language model of a part that is not the target is frozen.

    Args:
        target: Whose language model is tuned.
    """

    option = ""
    needs_whole_gradients = False
    adds_weights = False
    """Whether it trains weights of its own and leaves those of the language model as they were loaded."""

    def __init__(self, target: Target = "all") -> None:
        self.target = target
        self.parts: dict[str, Any] = {}

    def apply(self, model: nn.Module) -> None:
        found = language_models(model)
        wanted = {name for name in found if self.target in ("all", name.partition(".")[0])}
        if not wanted:
            raise UserError(self._nothing_to_tune(sorted(found)))
        for name, part in found.items():
            if name in wanted:
                self.parts[name] = part
                part.has_added_weights = self.adds_weights
                part.language_model = self.tune(part.language_model)
            else:
                part.language_model.requires_grad_(False)

    def tune(self, language_model: Any) -> nn.Module:
        """Gives the language model, frozen but for what is tuned, or one that is wrapped around it."""
        raise NotImplementedError

    def merge(self, model: nn.Module) -> None:
        for name in self.parts:  # those of the given model: that of a further domain shares parts with another one
            part: Any = model.get_submodule(name)
            part.language_model = self.plain(part.language_model)
            part.has_added_weights = False
        for part in language_models(model).values():
            part.language_model.requires_grad_(True)
            embedding = part.language_model.get_input_embeddings()
            embedding.requires_grad_(len(embedding.weight) > 1)  # a single row is what nothing reads
        self.parts = {}

    def plain(self, language_model: Any) -> Any:
        """The language model without what :meth:`tune` has put around or into it."""
        return language_model

    def before_training(self, total_steps: int) -> None:
        pass

    def before_step(self, step: int) -> None:
        pass

    def after_step(self, step: int) -> None:
        pass

    def record(self) -> dict[str, Any]:
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass

    def _nothing_to_tune(self, found: list[str]) -> str:
        where = "the model" if self.target == "all" else f"peft.target={self.target}"
        return (
            f"peft={self.option} needs a language model in {where}, found {found or 'none'}; choose backbone=minilm or "
            "item_encoder=tuned_text" + (", or peft=none." if self.target == "all" else ", or peft.target=all.")
        )


class Unmergeable(Tuning):
    """A method whose weights stand beside those of the language model and do not fit into them."""

    adds_weights = True

    def plain(self, language_model: Any) -> Any:
        raise UserError(
            f"peft={self.option} cannot be merged: what it trains stands beside the language model's weights and not "
            "in them; keep the model as it is, or choose peft=lora, dora, adalora or ia3."
        )
